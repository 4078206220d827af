/** What of a machine a plan depends on. Free memory and load are left out: they would make another plan every minute. */
import { isJetson, type Machine } from '../device/machine.js';
import { smOf } from '../device/modules.js';
import { cudaOfPath, indexTable, pathOfMachine } from '../device/wheel-index.js';
import type { PlanDevice } from './plan.js';
import { versionsFor } from './variants.js';

export interface Looked {
  machine: Machine;
  /** `3.10.12`; null: not known. */
  python: string | null;
  /** Compute capability times ten that the driver tells, for GPUs that are no Jetson's. */
  sm: number | null;
}

const minor = (version: string | null) => /^\d+\.\d+/.exec(version ?? '')?.[0] ?? null;

/** What the machine tells comes first, then what its JetPack brings. */
export function planDevice({ machine, python, sm }: Looked): PlanDevice {
  const { device, board, release, libraries } = machine;
  const jetson = isJetson(machine);
  const versions = versionsFor({ l4t: release.l4t, isJetson: jetson });
  return {
    name: device.jetson?.name ?? device.gpu?.name ?? device.cpu.arch,
    isJetson: jetson,
    // A copied Jetson may not tell its CPU; all that run a supported JetPack are of one kind.
    arch: jetson ? 'arm64' : device.cpu.arch,
    l4t: release.l4t,
    jetpack: release.jetpack,
    cuda: minor(libraries.cuda) ?? versions?.cuda ?? null,
    python: minor(python) ?? versions?.python ?? null,
    sm: board?.soc ? smOf(board.soc) : jetson ? null : sm,
    // Elsewhere the public index has a torch with CUDA.
    platform: jetson ? pathOfMachine(machine) : null,
    cores: device.cpu.usableCores,
    memoryBytes: memoryOf(machine),
  };
}

/** A board that is not at hand, by its path on the index: as far as what is fetched for it depends on it. */
export function planDeviceOfPath(path: string, { python, machine }: { python: string; machine: string }): PlanDevice {
  const line = indexTable().jetson.find((entry) => entry.path === path.split('/')[0]);
  return {
    name: path,
    isJetson: line !== undefined,
    arch: machine === 'aarch64' ? 'arm64' : 'x64',
    l4t: line?.l4t[0] ?? null,
    jetpack: null,
    cuda: cudaOfPath(path),
    python,
    // What is fetched is the same for every GPU; a step that names it must only be complete.
    sm: 87,
    platform: path,
    cores: 0,
    memoryBytes: 0,
  };
}

/** RAM, or what a container is allowed of it. */
function memoryOf({ device: { memory, jetson } }: Machine): number {
  const totalBytes = memory.totalBytes || (jetson?.ramGib ?? 0) * 2 ** 30;
  return Math.min(totalBytes, memory.cgroupLimitBytes ?? Number.POSITIVE_INFINITY);
}
