/** A hub id to files in the standard Hugging Face cache: only those that loading needs, and without network if need be. */
import { join } from 'node:path';
import { JsgError } from '../errors.js';
import { log } from '../log.js';
import type { HubFile } from './hf-hub.js';
import { COMMIT, RepoCache, shardsIn } from './hub-cache.js';
import { HubClient, HubUnreachableError } from './hub-client.js';
import { downloadBlob } from './hub-download.js';
import { chooseWeights, parseHubId, textFiles } from './hub-files.js';
import type { LoadModelOptions } from './load-options.js';

/**
 * The snapshot's directory, or its GGUF file. The hub is asked what the revision stands for now; where it can't be
 * reached, a complete snapshot of an earlier download serves. Throws E_MODEL_NOT_FOUND, E_DOWNLOAD_FAILED,
 * E_CHECKSUM_MISMATCH or E_IO_FAILED.
 */
export async function hubModel(options: LoadModelOptions): Promise<string> {
  const { loadFormat, revision = 'main' } = options;
  const cache = new RepoCache(parseHubId(options.model));
  checkRevision(revision);
  const cachedCommit = await cache.commitOf(revision);
  const cached = cachedCommit === null ? null : await cache.complete(cachedCommit, loadFormat);
  // A commit never changes, so a complete snapshot of it needs no question.
  if (cached !== null && (COMMIT.test(revision) || isOffline())) return cached;
  if (isOffline()) {
    throw new JsgError('E_MODEL_NOT_FOUND', `${options.model}: not in the cache, and HF_HUB_OFFLINE is set`, {
      hint: `unset HF_HUB_OFFLINE, or put the model into ${cache.directory}`,
    });
  }
  try {
    return await download(cache, revision, options);
  } catch (error) {
    if (cached === null || !(error instanceof HubUnreachableError)) throw error;
    log.warning(`${error.message}; using what is cached of ${options.model}`);
    return cached;
  }
}

async function download(cache: RepoCache, revision: string, options: LoadModelOptions): Promise<string> {
  const { id } = cache;
  const client = new HubClient(options.signal);
  const commit = await client.resolve(id.name, revision);
  const complete = await cache.complete(commit, options.loadFormat);
  if (complete !== null) {
    await cache.writeRef(revision, commit);
    return complete;
  }
  const files = new Map((await client.list(id.name, commit)).map((file) => [file.path, file]));
  const paths = [...files.keys()];
  const weights = chooseWeights(id, options.loadFormat, paths);
  const source = { client, name: id.name, commit, blobs: cache.blobs };
  const take = async (path: string) => {
    if (await cache.has(commit, path)) return;
    const blob = await downloadBlob(source, required(files, path, id.name), options);
    await cache.link(commit, path, blob);
  };

  for (const path of textFiles(paths)) await take(path);
  if (weights.kind === 'sharded') {
    await take(weights.index);
    for (const shard of shardsIn(join(cache.snapshot(commit), weights.index))) await take(shard);
  } else if (weights.kind !== 'none') {
    for (const path of weights.files) await take(path);
  }
  await cache.writeRef(revision, commit);
  return weights.kind === 'gguf' ? join(cache.snapshot(commit), weights.files[0] ?? '') : cache.snapshot(commit);
}

function required(files: ReadonlyMap<string, HubFile>, path: string, name: string): HubFile {
  const file = files.get(path);
  if (file !== undefined) return file;
  throw new JsgError('E_MODEL_NOT_FOUND', `${name}: ${path} is missing on the hub`);
}

/** A revision becomes part of a path and a URL. */
function checkRevision(revision: string): void {
  if (/^[\w][\w./-]*$/.test(revision) && !revision.includes('..')) return;
  throw new JsgError('E_USAGE', `--revision ${revision}: not the name of a branch, a tag or a commit`);
}

function isOffline(): boolean {
  return /^(1|on|yes|true)$/i.test(process.env.HF_HUB_OFFLINE ?? '');
}
