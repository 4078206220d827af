/** What a build needs and the machine lacks: all of it at once, before anything is fetched. */
import { lstatSync, readdirSync, statfsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import { findOnPath } from '../../device/path.js';
import { JsgError } from '../../errors.js';
import { type Plan, usesPython } from '../plan.js';

/** What preflight goes by; read by `readMachine`. */
export interface MachineNow {
  hasTool: (name: string) => boolean;
  /** Whether the build's Python can import it. */
  hasModule: (name: string) => boolean;
  /** What Python lacks to make a virtual environment: `ensurepip`; null: nothing, or it is not to make one. */
  venvLacks: string | null;
  freeDiskBytes: number | null;
  /** Of the build's sources, which are there already. */
  builtBytes: number;
  /** RAM and swap that can be taken. */
  freeMemoryBytes: number | null;
}

export interface Missing {
  what: string;
  /** A command, or what to do. */
  fix: string;
}

const GIB = 2 ** 30;

/** Tools, modules, versions, memory and disk. What is not known (no board, no GPU) is not held against the machine. Pure. */
export function missingFor(plan: Plan, machine: MachineNow): Missing[] {
  const { tools, modules } = plan.requirements;
  const venv = machine.venvLacks;
  return [
    ...tools
      .filter((tool) => !machine.hasTool(tool))
      .map((tool) => ({ what: `${tool}, a command`, fix: fixOfTool(tool) })),
    ...(venv === null ? [] : [{ what: `Python's ${venv}, to make a virtual environment`, fix: apt('python3-venv') }]),
    ...modules
      .filter((name) => !machine.hasModule(name))
      .map((name) => ({ what: `Python's ${name}, in the environment of the build`, fix: fixOfModule(name, plan) })),
    ...missingVersions(plan),
    ...missingRoom(plan, machine),
  ];
}

function missingVersions({ requirements: { jetpack, cuda, python }, device, recipe }: Plan): Missing[] {
  const missing: Missing[] = [];
  if (jetpack !== null && device.jetpack !== null && isOlder(device.jetpack, jetpack)) {
    missing.push({ what: `JetPack ${jetpack} or later; here is ${device.jetpack}`, fix: 'flash a newer JetPack' });
  }
  if (cuda !== null && (device.cuda === null || isOlder(device.cuda, cuda))) {
    const found = device.cuda === null ? 'none is found' : `here is ${device.cuda}`;
    missing.push({ what: `CUDA toolkit ${cuda} or later; ${found}`, fix: 'jsg doctor   # tells how to install it' });
  }
  const isPythonFit =
    device.python === null || (!isOlder(device.python, python[0]) && !isOlder(python[1], device.python));
  if (!isPythonFit) {
    const what = `Python ${python[0]} to ${python[1]}; here is ${device.python}`;
    missing.push({ what, fix: `jsg build ${recipe} --venv DIR   # a virtual environment of such a Python` });
  }
  return missing;
}

function missingRoom({ requirements: { memoryBytes, diskBytes } }: Plan, machine: MachineNow): Missing[] {
  const missing: Missing[] = [];
  const diskNeeded = Math.max(0, diskBytes - machine.builtBytes);
  if (machine.freeDiskBytes !== null && machine.freeDiskBytes < diskNeeded) {
    missing.push({
      what: `${gib(diskNeeded)} of disk; ${gib(machine.freeDiskBytes)} are free`,
      fix: 'free some space, or name another disk: --build-dir DIR',
    });
  }
  if (machine.freeMemoryBytes !== null && machine.freeMemoryBytes < memoryBytes) {
    missing.push({
      what: `${gib(memoryBytes)} of memory and swap; ${gib(machine.freeMemoryBytes)} are free`,
      fix: 'end other programs, or add swap: jsg doctor tells how',
    });
  }
  return missing;
}

/** Throws E_DEVICE_UNSUITABLE that names all that is missing. */
export function requireAll(missing: Missing[], recipe: string): void {
  if (missing.length === 0) return;
  const lines = [`jsg build ${recipe} needs what is not here:`, ...missing.map(({ what }) => `  ${what}`)];
  throw new JsgError('E_DEVICE_UNSUITABLE', lines.join('\n'), { hint: fixesOf(missing).join('\n') });
}

/** Packages of the system by one command. */
function fixesOf(missing: Missing[]): string[] {
  const fixes = [...new Set(missing.map(({ fix }) => fix))];
  const packages = fixes.filter((fix) => fix.startsWith(APT)).map((fix) => fix.slice(APT.length));
  const rest = fixes.filter((fix) => !fix.startsWith(APT));
  return packages.length === 0 ? rest : [apt([...new Set(packages)].join(' ')), ...rest];
}

/** Packages of Ubuntu whose name is not that of the command. */
const PACKAGES: Record<string, string> = {
  ninja: 'ninja-build',
  'c++': 'build-essential',
  gcc: 'build-essential',
  'g++': 'build-essential',
  make: 'build-essential',
};
const APT = 'sudo apt-get install -y ';
const apt = (packages: string) => `${APT}${packages}`;

function fixOfTool(tool: string): string {
  if (tool === 'nvcc') return 'jsg doctor   # tells how to install the CUDA toolkit';
  return apt(PACKAGES[tool] ?? tool);
}

const fixOfModule = (name: string, { variant }: Plan) =>
  name === 'torch'
    ? `jsg build torch${variant === 'seed' ? '' : ` --variant ${variant}`}`
    : `python3 -m pip install ${name}`;

/** By number: 3.9 is older than 3.10. Only as many parts as both tell. */
function isOlder(a: string, b: string): boolean {
  const [left = [], right = []] = [a, b].map((text) => text.split('.').map((part) => Number.parseInt(part, 10) || 0));
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    if (left[i] !== right[i]) return (left[i] ?? 0) < (right[i] ?? 0);
  }
  return false;
}

const gib = (bytes: number) => `${(bytes / GIB).toFixed(1)} GiB`;

export interface Looked {
  build: string;
  /** Interpreter of the build, absolute; null: its venv is to be made. */
  python: string | null;
  env: NodeJS.ProcessEnv;
  freeMemoryBytes: number | null;
}

/** `build` need not be there yet: the disk is that of the nearest folder above it. */
export async function readMachine(plan: Plan, { build, python, env, freeMemoryBytes }: Looked): Promise<MachineNow> {
  const { modules } = plan.requirements;
  const lacks = await modulesMissing(python, modules, env);
  const [venvLacks = null] =
    python === null && usesPython(plan) ? await modulesMissing('python3', ['venv', 'ensurepip'], env) : [];
  return {
    hasTool: (name) => findOnPath(name, env.PATH ?? '') !== null,
    hasModule: (name) => !lacks.includes(name),
    venvLacks,
    freeDiskBytes: freeBytesAt(build),
    builtBytes: plan.sources.reduce((sum, { name }) => sum + bytesUnder(join(build, name)), 0),
    freeMemoryBytes,
  };
}

const FIND = 'import importlib.util, sys; print(*[n for n in sys.argv[1:] if importlib.util.find_spec(n) is None])';
const FIND_TIMEOUT_MS = 30_000;

/** A Python that is not there has none; one that does not answer is met by the first step. */
async function modulesMissing(python: string | null, modules: string[], env: NodeJS.ProcessEnv): Promise<string[]> {
  if (python === null || modules.length === 0) return modules;
  const options = { env, extendEnv: false, stdin: 'ignore', timeout: FIND_TIMEOUT_MS, reject: false } as const;
  const { exitCode, stdout } = await execa(python, ['-I', '-c', FIND, ...modules], options);
  return exitCode === 0 ? stdout.split(/\s+/).filter(Boolean) : [];
}

/** What a folder takes; 0 where it is not there. Links are not followed. */
function bytesUnder(folder: string): number {
  try {
    return readdirSync(folder, { withFileTypes: true }).reduce((sum, entry) => {
      const path = join(folder, entry.name);
      return sum + (entry.isDirectory() ? bytesUnder(path) : (lstatSync(path, { throwIfNoEntry: false })?.size ?? 0));
    }, 0);
  } catch {
    return 0;
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
