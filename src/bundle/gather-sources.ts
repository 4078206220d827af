/** Git sources of a bundle: each cloned as a build clones it, verified, and kept as one tar. */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { hasSha256 } from '../files.js';
import type { GitSource, Plan } from '../recipe/plan.js';
import { ensureClone } from '../recipe/run/git.js';
import type { BundleFile } from './manifest.js';
import type { Workshop } from './workshop.js';

export interface GatheredSource {
  file: Omit<BundleFile, 'sha256' | 'sizeBytes'>;
  /** The clone, where it was needed; it goes when the bundle is finished. */
  clone: string;
}

/** Those of several plans, each once, with the submodules of all. */
export function gitSources(plans: Plan[]): GitSource[] {
  const joined = new Map<string, GitSource>();
  for (const source of plans.flatMap((plan) => plan.sources)) {
    if (source.kind !== 'git') continue;
    const before = joined.get(source.name);
    const submodules = [...(before?.submodules ?? []), ...source.submodules];
    const isNew = (path: string, i: number) => submodules.findIndex((each) => each.path === path) === i;
    joined.set(source.name, { ...source, submodules: submodules.filter(({ path }, i) => isNew(path, i)) });
  }
  return [...joined.values()];
}

/** `had`: what an earlier run has put here; it is taken as it is where it is whole. */
export async function gatherSource(source: GitSource, had: BundleFile[], shop: Workshop): Promise<GatheredSource> {
  const { name, tag, commit: pinned, submodules } = source;
  const clones = shop.scratch('clones');
  const clone = join(clones, source.directory);
  const paths = submodules.map(({ path }) => path);
  const before = had.find(
    (file) =>
      file.kind === 'git-source' &&
      file.name === name &&
      file.version === tag &&
      (pinned === null || file.commit === pinned) &&
      paths.every((path) => file.submodules.includes(path)),
  );
  if (before !== undefined && (await hasSha256(join(shop.directory, before.path), before.sha256, shop.signal))) {
    await shop.must(['tar', '-xf', join(shop.directory, before.path), '-C', clones], clones);
    return { file: before, clone };
  }
  const commit = await ensureClone(source, clones, {
    run: (argv, cwd) => shop.run(argv, cwd),
    fail: (argv, _cwd, result) => shop.failure(argv, result),
  });
  const folder = join(shop.directory, 'sources');
  mkdirSync(folder, { recursive: true });
  const filename = `${name}-${tag.replace(/[^\w.-]/g, '_')}-${commit.slice(0, 12)}.tar`;
  await shop.must(
    [
      'tar',
      '-cf',
      join(folder, `.${filename}.part`),
      '-C',
      clones,
      '--sort=name',
      '--owner=0',
      '--group=0',
      source.directory,
    ],
    folder,
  );
  renameSync(join(folder, `.${filename}.part`), join(folder, filename));
  const path = `sources/${filename}`;
  return { file: { path, kind: 'git-source', name, version: tag, commit, submodules: paths }, clone };
}

/** Archives of other versions, and halves of archives, that earlier runs have left. */
export function removeOtherSources(directory: string, kept: string[]): void {
  const folder = join(directory, 'sources');
  for (const name of existsSync(folder) ? readdirSync(folder) : []) {
    if (!kept.includes(`sources/${name}`)) rmSync(join(folder, name), { force: true });
  }
}
