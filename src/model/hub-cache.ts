/** The cache that huggingface_hub (Python) keeps, read and written in its layout: refs, blobs, snapshots of links. */
import { copyFile, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { makeDirectory } from '../files.js';
import { getHFHubCachePath } from './hf-hub.js';
import { shardNames } from './hf-model.js';
import { chooseWeights, type HubId } from './hub-files.js';
import { readJsonObject } from './json-file.js';
import type { LoadFormat } from './load-options.js';
import { replaceFile } from './replace-file.js';

export const COMMIT = /^[0-9a-f]{40}$/;

export class RepoCache {
  readonly directory: string;

  constructor(readonly id: HubId) {
    this.directory = join(getHFHubCachePath(), `models--${id.name.replaceAll('/', '--')}`);
  }

  get blobs(): string {
    return join(this.directory, 'blobs');
  }

  snapshot(commit: string): string {
    return join(this.directory, 'snapshots', commit);
  }

  /** The commit that a branch or tag stood for when it was last downloaded. */
  async commitOf(revision: string): Promise<string | null> {
    if (COMMIT.test(revision)) return revision;
    const text = await readFile(join(this.directory, 'refs', revision), 'utf8').catch(() => '');
    return COMMIT.test(text.trim()) ? text.trim() : null;
  }

  async writeRef(revision: string, commit: string): Promise<void> {
    if (revision === commit) return;
    const path = join(this.directory, 'refs', revision);
    makeDirectory(dirname(path));
    await replaceFile(path, (temporary) => writeFile(temporary, commit));
  }

  async has(commit: string, path: string): Promise<boolean> {
    return isFile(join(this.snapshot(commit), path));
  }

  /** Makes a blob visible as a file of the snapshot; another process may have done so, and be reading it. */
  async link(commit: string, path: string, blob: string): Promise<void> {
    const target = join(this.snapshot(commit), path);
    makeDirectory(dirname(target));
    await replaceFile(target, (temporary) =>
      // Some file systems have no links.
      symlink(relative(dirname(target), blob), temporary).catch(() => copyFile(blob, temporary)),
    );
  }

  /** The model's directory or GGUF file, if every file that loading needs is there; else null. */
  async complete(commit: string, loadFormat: LoadFormat): Promise<string | null> {
    const directory = this.snapshot(commit);
    const paths = await readdir(directory, { recursive: true }).catch((): string[] => []);
    try {
      const weights = chooseWeights(this.id, loadFormat, paths);
      const files = weights.kind === 'gguf' ? weights.files : ['config.json'];
      if (weights.kind === 'single') files.push(...weights.files);
      if (weights.kind === 'sharded') files.push(...shardsIn(join(directory, weights.index)));
      const present = await Promise.all(files.map((file) => isFile(join(directory, file))));
      if (!present.every(Boolean)) return null;
      return weights.kind === 'gguf' ? join(directory, weights.files[0] ?? '') : directory;
    } catch {
      return null; // no weights, or an unreadable index: nothing to fall back on
    }
  }
}

export function shardsIn(index: string): string[] {
  return shardNames(readJsonObject(index).weight_map, index);
}

async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null))?.isFile() ?? false;
}
