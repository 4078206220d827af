/** Where a build's sources and wheels come from: the network with the index of wheels, or a bundle and nothing else. */
import { join, resolve } from 'node:path';
import { OfflineSources } from '../bundle/offline.js';
import { sourceUnder } from '../device/source.js';
import { kernelName } from '../device/wheel-index.js';
import { JsgError } from '../errors.js';
import type { PackageSource, Plan } from '../recipe/plan.js';
import type { FetchPackage } from '../recipe/run/packages.js';
import type { RunOptions } from '../recipe/run/run.js';
import { requirementOf } from '../recipe/source-steps.js';
import { JetsonIndex } from '../registry/jetson-index.js';
import {
  LOCK_NAME,
  type LockedPackage,
  type LockFile,
  locked,
  readLock,
  requireSameTarget,
  writeLock,
} from '../registry/lock.js';
import { targetOfPython } from '../registry/target.js';
import { gatherWheels, removeOthers } from '../registry/wheelhouse.js';
import type { Options } from './settings.js';

export type Sources = Pick<RunOptions, 'fetchPackage' | 'archiveOf'> & { env: Record<string, string> };

/** Throws E_USAGE; of a bundle also what OfflineSources.open throws. `folder`: where the build is kept. */
export async function chooseSources(parts: Plan[], folder: string, options: Options): Promise<Sources> {
  const { offline, bundle, lock } = options;
  if (Boolean(offline) !== (bundle !== undefined)) {
    const message = offline ? '--offline needs --bundle DIR' : '--bundle goes with --offline';
    throw new JsgError('E_USAGE', message, {
      hint: 'jsg build RECIPE --offline --bundle DIR, with what `jsg bundle` has gathered.',
    });
  }
  if (bundle !== undefined) return fromBundle(resolve(String(bundle)), parts);
  const lockPath = lock === undefined ? join(folder, LOCK_NAME) : resolve(String(lock));
  return { env: {}, fetchPackage: fromIndex(lockPath) };
}

async function fromBundle(directory: string, parts: Plan[]): Promise<Sources> {
  const device = parts[0]?.device;
  const machine = kernelName(device?.arch ?? process.arch);
  const python = device?.python ?? null;
  const place = { platform: device?.platform ?? null, python, machine };
  const target = { python: python ?? '', machine, glibc: null };
  const sources = await OfflineSources.open(directory, parts, place, target);
  return {
    env: sources.environment,
    archiveOf: (source) => sources.archiveOf(source),
    fetchPackage: async (source, context) => ({
      packages: await sources.fetch(source, context.directory),
      isCached: false,
    }),
  };
}

/** The wheels of `jsg build torch`: those of the lock where there is one, and the lock says afterwards which they were. */
function fromIndex(lockPath: string): FetchPackage {
  return async (source, context) => {
    const { index } = source;
    if (index === null) throw new JsgError('E_INTERNAL', `${source.name} is not of the index`);
    const target = await targetOfPython(sourceUnder(), context.python);
    if (target === null) throw new JsgError('E_IO_FAILED', `${context.python} does not run`);
    const lock = await readLock(lockPath);
    requireSameTarget(lockPath, lock, index.platform, target.python);
    const client = new JetsonIndex({ path: index.platform, target });
    let isCached = true;
    try {
      const packages = await gatherWheels([requirementOf(source)], {
        index: client,
        target,
        directory: context.directory,
        lock,
        lockPath,
        python: context.python,
        signal: context.signal,
        onProgress: ({ file, doneBytes, totalBytes }) => {
          isCached = false;
          context.tell(file, totalBytes === null ? null : doneBytes / totalBytes);
        },
      });
      requirePinned(source, packages);
      const names = packages.map(({ filename }) => filename);
      await removeOthers(context.directory, names);
      keepLock(
        lockPath,
        lock ?? { version: 1, platform: index.platform, python: target.python, packages: [] },
        packages,
      );
      return { packages, isCached };
    } finally {
      await client.close();
    }
  };
}

function requirePinned({ name, sha256 }: PackageSource, packages: LockedPackage[]): void {
  const found = packages.find((entry) => entry.name === name);
  if (sha256 === null || found === undefined || found.sha256 === sha256) return;
  throw new JsgError('E_CHECKSUM_MISMATCH', `${found.filename}: sha256 is ${found.sha256}, the recipe says ${sha256}`);
}

function keepLock(path: string, before: LockFile, packages: LockedPackage[]): void {
  const after = locked(before, packages);
  if (JSON.stringify(after) !== JSON.stringify(before)) writeLock(path, after);
}
