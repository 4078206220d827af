/** What a build needs and the machine lacks: all of it at once, before anything is fetched. */
import { accessSync, constants, statfsSync, statSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { JsgError } from '../../errors.js';
import type { Plan } from '../plan.js';

/** What preflight goes by; read by `readMachine`. */
export interface MachineNow {
  hasTool: (name: string) => boolean;
  freeDiskBytes: number | null;
  /** RAM and swap that can be taken. */
  freeMemoryBytes: number | null;
}

export interface Missing {
  what: string;
  fix: string;
}

const GIB = 2 ** 30;

/** Tools, versions, memory and disk. What is not known (no board, no GPU) is not held against the machine. Pure. */
export function missingFor({ requirements, device, recipe }: Plan, machine: MachineNow): Missing[] {
  const { tools, jetpack, cuda, python, memoryBytes, diskBytes } = requirements;
  const missing: Missing[] = tools
    .filter((tool) => !machine.hasTool(tool))
    .map((tool) => ({ what: `${tool} is not on PATH`, fix: fixOfTool(tool) }));
  if (jetpack !== null && device.jetpack !== null && compare(device.jetpack, jetpack) < 0) {
    missing.push({ what: `JetPack ${device.jetpack}, at least ${jetpack} is needed`, fix: 'flash a newer JetPack' });
  }
  if (cuda !== null && (device.cuda === null || compare(device.cuda, cuda) < 0)) {
    const found = device.cuda === null ? 'no CUDA toolkit' : `CUDA toolkit ${device.cuda}`;
    missing.push({ what: `${found}, at least ${cuda} is needed`, fix: 'jsg doctor tells how to install it' });
  }
  const isPythonFit =
    device.python === null || (compare(device.python, python[0]) >= 0 && compare(device.python, python[1]) <= 0);
  if (!isPythonFit) {
    const what = `Python ${device.python}, ${python[0]} to ${python[1]} is needed`;
    missing.push({ what, fix: `jsg build ${recipe} --venv DIR, with a virtual environment of such a Python` });
  }
  if (machine.freeDiskBytes !== null && machine.freeDiskBytes < diskBytes) {
    missing.push({
      what: `${gib(machine.freeDiskBytes)} of disk, ${gib(diskBytes)} are needed`,
      fix: 'free some space',
    });
  }
  if (machine.freeMemoryBytes !== null && machine.freeMemoryBytes < memoryBytes) {
    const what = `${gib(machine.freeMemoryBytes)} of memory and swap, ${gib(memoryBytes)} are needed`;
    missing.push({ what, fix: 'end other programs, or add swap' });
  }
  return missing;
}

/** Throws E_DEVICE_UNSUITABLE that names all that is missing. */
export function requireAll(missing: Missing[]): void {
  if (missing.length === 0) return;
  throw new JsgError(
    'E_DEVICE_UNSUITABLE',
    ['the build cannot begin:', ...missing.map(({ what }) => `  ${what}`)].join('\n'),
    {
      hint: [...new Set(missing.map(({ fix }) => fix))].join('\n'),
    },
  );
}

/** `build` need not be there yet: the disk is that of the nearest folder above it. */
export function readMachine(build: string, freeMemoryBytes: number | null, path = process.env.PATH ?? ''): MachineNow {
  const folders = path.split(delimiter).filter((folder) => folder !== '');
  return {
    hasTool: (name) => folders.some((folder) => isExecutable(join(folder, name))),
    freeDiskBytes: freeBytesAt(build),
    freeMemoryBytes,
  };
}

/** Packages of Ubuntu whose name is not that of the command. */
const PACKAGES: Record<string, string> = {
  ninja: 'ninja-build',
  gcc: 'build-essential',
  'g++': 'build-essential',
  make: 'build-essential',
};

function fixOfTool(tool: string): string {
  if (tool === 'nvcc') return 'jsg doctor tells how to install the CUDA toolkit, and how to put nvcc on PATH';
  return `sudo apt-get install ${PACKAGES[tool] ?? tool}`;
}

/** By number: 3.9 is older than 3.10. */
function compare(a: string, b: string): number {
  const [left, right] = [a, b].map((text) => text.split('.').map((part) => Number.parseInt(part, 10) || 0));
  for (let i = 0; i < Math.max(left?.length ?? 0, right?.length ?? 0); i++) {
    const difference = (left?.[i] ?? 0) - (right?.[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

const gib = (bytes: number) => `${(bytes / GIB).toFixed(1)} GiB`;

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

function freeBytesAt(folder: string): number | null {
  for (let at = folder; ; at = dirname(at)) {
    try {
      const { bavail, bsize } = statfsSync(at);
      return bavail * bsize;
    } catch {
      if (dirname(at) === at) return null;
    }
  }
}
