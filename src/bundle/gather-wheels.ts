/** Wheels of a bundle: those that recipes install, those that their builds ask pip for, and all that these require. */
import { mkdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { type PipNeeds, pipNeeds } from '../recipe/pip-needs.js';
import type { Plan } from '../recipe/plan.js';
import { requirementOf } from '../recipe/source-steps.js';
import type { JetsonIndex } from '../registry/jetson-index.js';
import { LOCK_NAME, locked, readLock, requireSameTarget, writeLock } from '../registry/lock.js';
import { pipDownload } from '../registry/pip-download.js';
import type { Target } from '../registry/tags.js';
import { gatherWheels, removeOthers } from '../registry/wheelhouse.js';
import type { Tell } from './gather-model.js';
import type { BundleFile } from './manifest.js';
import { projectNeeds } from './project-needs.js';
import type { Workshop } from './workshop.js';

export interface WheelRequest {
  plans: Plan[];
  /** Name of a git source -> its clone. */
  clones: Map<string, string>;
  index: JetsonIndex | null;
  platform: string | null;
  target: Target;
  /** The interpreter whose pip is asked. */
  python: string;
}

type Gathered = Omit<BundleFile, 'sha256' | 'sizeBytes'>;

/** pip builds an old project with these, and some say so only while they are built. */
const ALWAYS = ['setuptools', 'wheel'];

/** Throws E_NOT_FOUND, E_DOWNLOAD_FAILED, E_CHECKSUM_MISMATCH, E_USAGE (the lock in the bundle is of another target). */
export async function gatherPackages(request: WheelRequest, shop: Workshop, tell: Tell): Promise<Gathered[]> {
  const { plans, index, platform, target, python } = request;
  const directory = join(shop.directory, 'wheels');
  mkdirSync(directory, { recursive: true });
  const needs = plans.map(pipNeeds);
  const sourcePackages = await gatherSourcePackages(needs, directory, request, shop);
  const requirements = [
    ...plans.flatMap(({ sources }) =>
      sources.flatMap((each) => ('index' in each && each.index ? requirementOf(each) : [])),
    ),
    ...needs.flatMap(({ wheels }) => wheels),
    ...(await buildNeeds(
      needs,
      request,
      sourcePackages.map(({ path }) => join(shop.directory, path)),
    )),
  ];
  if (requirements.length === 0) return [];
  const lockPath = join(shop.directory, LOCK_NAME);
  const lock = await readLock(lockPath);
  const of = platform ?? `linux/${target.machine}`;
  requireSameTarget(lockPath, lock, of, target.python);
  const packages = await gatherWheels([...new Set(requirements)], {
    index,
    target,
    directory,
    lock,
    lockPath,
    python,
    signal: shop.signal,
    onProgress: ({ file, doneBytes, totalBytes }) => tell(file, totalBytes === null ? null : doneBytes / totalBytes),
  });
  writeLock(lockPath, locked({ version: 1, platform: of, python: target.python, packages: [] }, packages));
  const wheels = packages.map(({ name, version, filename }): Gathered => {
    return { path: `wheels/${filename}`, kind: 'wheel', name, version, commit: null, submodules: [] };
  });
  const gathered = [...wheels, ...sourcePackages];
  const names = gathered.map(({ path }) => basename(path));
  await removeOthers(directory, names);
  return gathered;
}

async function gatherSourcePackages(needs: PipNeeds[], directory: string, request: WheelRequest, shop: Workshop) {
  const gathered: Gathered[] = [];
  for (const requirement of new Set(needs.flatMap(({ sourcePackages }) => sourcePackages))) {
    const { target, python } = request;
    const asked = { requirement, sha256: null, source: true, target, directory, python, signal: shop.signal };
    const { filename } = await pipDownload(asked);
    const [name = '', version = null] = requirement.split('==');
    gathered.push({ path: `wheels/${filename}`, kind: 'source-package', name, version, commit: null, submodules: [] });
  }
  return gathered;
}

async function buildNeeds(needs: PipNeeds[], { clones, python }: WheelRequest, archives: string[]): Promise<string[]> {
  const builds = needs.flatMap((each) => each.builds);
  const projects = [
    ...builds.map(({ folder, withDependencies }) => ({ path: inClone(folder, clones), withDependencies })),
    ...archives.map((path) => ({ path, withDependencies: false })),
  ];
  const found: string[] = projects.length === 0 ? [] : [...ALWAYS];
  for (const { path, withDependencies } of projects) {
    const { build, run } = await projectNeeds(path, python);
    found.push(...build, ...(withDependencies ? run : []));
  }
  return found;
}

/** `xgrammar/python` of the build folder, in the clone of xgrammar. */
function inClone(folder: string, clones: Map<string, string>): string {
  const [name = '', ...rest] = folder.split('/');
  return join(clones.get(name) ?? name, ...rest);
}
