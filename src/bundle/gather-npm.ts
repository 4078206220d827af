/** jsg itself, packed by npm, with what it requires at run time for the target's processor: one folder that runs as it is. */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { packageRoot, version } from '../version.js';
import type { BundleFile } from './manifest.js';
import type { Workshop } from './workshop.js';

/** npm's names of processors. */
const CPUS: Record<string, string> = { aarch64: 'arm64', x86_64: 'x64' };

/** `machine`: the kernel's name, `aarch64`. Throws E_DOWNLOAD_FAILED. */
export async function gatherNpm(machine: string, shop: Workshop): Promise<Omit<BundleFile, 'sha256' | 'sizeBytes'>> {
  const cpu = CPUS[machine] ?? machine;
  const work = shop.scratch('npm');
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work, { recursive: true });
  // What compiles or runs scripts is left to the board.
  const quiet = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  await shop.must(['npm', 'pack', packageRoot, '--pack-destination', work, ...quiet], work);
  const packed = readdirSync(work).find((name) => name.endsWith('.tgz')) ?? '';
  await shop.must(['tar', '-xzf', packed], work);
  rmSync(join(work, packed));
  const folder = join(work, 'package');
  const lock = join(packageRoot, 'package-lock.json');
  const isLocked = existsSync(lock);
  if (isLocked) await copyFile(lock, join(folder, 'package-lock.json'));
  const target = ['--omit=dev', '--os=linux', `--cpu=${cpu}`];
  await shop.must(['npm', isLocked ? 'ci' : 'install', ...target, ...quiet], folder);
  renameSync(folder, join(work, 'jsg'));
  const name = `jsg-${version()}-linux-${cpu}.tar`;
  const out = join(shop.directory, 'npm');
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  await shop.must(['tar', '-cf', join(work, name), '-C', work, '--owner=0', '--group=0', 'jsg'], work);
  renameSync(join(work, name), join(out, name));
  const file = { kind: 'npm', name: 'jsg', version: version(), commit: null, submodules: [] } as const;
  return { ...file, submodules: [], path: `npm/${name}` };
}
