/** The checks: each a pure function of the facts. */
import type { Facts, Finding, Status } from './finding.js';

const GIB = 1024 ** 3;
const gib = (bytes: number) => `${(bytes / GIB).toFixed(1)} GiB`;

type Outcome = Omit<Finding, 'id' | 'expected' | 'why'>;
interface Check {
  id: string;
  expected: string;
  why: string;
  look: (facts: Facts) => Outcome;
}

const outcome = (status: Status, found: string, fix: string | null = null): Outcome => ({ status, found, fix });
const notTold = outcome('skip', 'not told by the files');
const notLooked = outcome('skip', 'not looked at on a copied machine');

const os: Check = {
  id: 'os',
  expected: 'Linux',
  why: 'the native runtime is built and tested on Linux',
  look: ({ device }) => {
    const name = `${device.os?.name ?? device.platform}, kernel ${device.kernel}`;
    if (device.platform === 'linux') return outcome('pass', name);
    return outcome('warn', name, 'use Linux, or a Linux container');
  },
};

const cpu: Check = {
  id: 'cpu',
  expected: 'AVX2 with FMA and F16C, or NEON',
  why: 'the fast CPU kernels need it; without it the scalar ones run',
  look: ({ device }) => {
    const { arch, flags, model, usableCores, numCores } = device.cpu;
    if (numCores === 0) return notTold;
    const has = (...names: string[]) => names.every((name) => flags.includes(name));
    const cores = usableCores === numCores ? `${numCores} cores` : `${usableCores} of ${numCores} cores`;
    const named = (isa: string) => `${model}, ${cores}, ${isa}`;
    if (arch === 'arm64' || has('asimd')) return outcome('pass', named(has('asimddp') ? 'NEON dotprod' : 'NEON'));
    if (has('avx512f', 'avx512bw', 'avx512_vnni')) return outcome('pass', named('AVX-512 VNNI'));
    if (has('avx512f', 'avx512bw')) return outcome('pass', named('AVX-512'));
    if (has('avx2', 'fma', 'f16c')) return outcome('pass', named('AVX2'));
    return outcome('warn', named('no AVX2'), 'expect a few tokens a second only; use a newer CPU');
  },
};

/** smollm2 with its KV cache needs well under 1 GiB. */
const MIN_MEMORY_BYTES = GIB;

const memory: Check = {
  id: 'memory',
  expected: `${gib(MIN_MEMORY_BYTES)} available`,
  why: 'weights and KV cache must fit; too little ends in the kernel killing the server',
  look: ({ device }) => {
    const { totalBytes, availableBytes, cgroupLimitBytes } = device.memory;
    if (totalBytes === 0) return notTold;
    const limit = cgroupLimitBytes === null ? '' : `, limited to ${gib(cgroupLimitBytes)}`;
    const available = availableBytes ?? totalBytes;
    const found = `${gib(available)} of ${gib(totalBytes)} available${limit}`;
    if (available >= MIN_MEMORY_BYTES) return outcome('pass', found);
    return outcome('fail', found, 'end other programs, or raise the memory limit of this container');
  },
};

const gpu: Check = {
  id: 'gpu',
  expected: 'a GPU that CUDA can use, or none',
  why: 'profiles for CUDA need it; without one smollm2 and other small models run on the CPU',
  look: ({ device, addon }) => {
    if (device.gpu === null) return outcome('skip', 'no NVIDIA GPU: profiles for CUDA are refused');
    const { name, driver, memoryBytes } = device.gpu;
    const details = [driver && `driver ${driver}`, memoryBytes !== null && gib(memoryBytes)].filter(Boolean);
    const found = [name, ...details].join(', ');
    if (addon === null || addon.fault !== null) return outcome('skip', found);
    if (!addon.hasCuda) {
      const fix = 'put nvcc on the PATH (JetPack: export PATH=/usr/local/cuda/bin:$PATH), then npm run build';
      return outcome('warn', `${found}; the native runtime was built without CUDA`, fix);
    }
    if (addon.cudaDevice !== null) return outcome('pass', `${found}; CUDA uses ${addon.cudaDevice}`);
    const fix = 'check nvidia-smi, and that you may use /dev/nvidia* (on Jetson: groups video and render)';
    return outcome('warn', `${found}; CUDA finds no GPU that it can use`, fix);
  },
};

const TOOLS = [
  { tool: 'cmake', names: ['cmake'], install: 'cmake' },
  { tool: 'compiler', names: ['c++', 'g++', 'clang++'], install: 'g++' },
  { tool: 'make', names: ['make', 'ninja'], install: 'make' },
] as const;

const toolchain: Check = {
  id: 'toolchain',
  expected: 'cmake 3.22, a C++20 compiler, make or ninja',
  why: 'npm builds the native runtime on this machine',
  look: ({ toolchain: found, addon }) => {
    if (found === null) return notLooked;
    const missing = TOOLS.filter(({ tool }) => found[tool] === null);
    const present = TOOLS.filter(({ tool }) => found[tool] !== null);
    const text = [
      ...present.map(({ tool }) => `${tool} ${found[tool]}`),
      ...missing.map(({ names }) => `no ${names.join('/')}`),
    ].join(', ');
    const old = found.cmake !== null && isOlder(found.cmake, [3, 22]);
    if (missing.length === 0 && !old) return outcome('pass', text);
    const packages = missing.map(({ install }) => install).join(' ');
    // What is built already needs no compiler.
    const fixes = [packages && `sudo apt-get install -y ${packages}`, old && 'python3 -m pip install cmake'];
    return outcome(addon?.fault === null ? 'warn' : 'fail', text, fixes.filter(Boolean).join(', then '));
  },
};

function isOlder(version: string, [major, minor]: [number, number]): boolean {
  const [a = 0, b = 0] = version.split('.').map(Number);
  return a < major || (a === major && b < minor);
}

const pip: Check = {
  id: 'pip',
  expected: 'python3 with pip, or smollm2 fetched already',
  why: 'the embedded model comes as a pinned package through pip; nothing else uses Python',
  look: ({ toolchain: found, store }) => {
    if (found === null) return notLooked;
    if (found.pip !== null) return outcome('pass', `python3 ${found.python}, pip ${found.pip}`);
    const text = found.python === null ? 'no python3' : `python3 ${found.python} without pip`;
    if (store?.hasDefaultModel) return outcome('pass', `${text}, but smollm2 is there`);
    return outcome('warn', text, 'sudo apt-get install -y python3-pip');
  },
};

const addon: Check = {
  id: 'addon',
  expected: 'the native runtime loads',
  why: 'it runs the model',
  look: ({ addon: found }) => {
    if (found === null) return notLooked;
    if (found.fault === null) return outcome('pass', `loads; kernels: ${found.isas.join(', ')}`);
    return outcome('fail', found.fault.message, found.fault.hint ?? 'npm run build');
  },
};

/** smollm2's package and its unpacked file, for a moment both. */
const MIN_DISK_BYTES = 0.5 * GIB;

const store: Check = {
  id: 'model-store',
  expected: `smollm2, or ${gib(MIN_DISK_BYTES)} free to fetch it`,
  why: 'models are kept there after the first launch',
  look: ({ store: found }) => {
    if (found === null) return notLooked;
    const free = found.freeBytes === null ? 'free space unknown' : `${gib(found.freeBytes)} free`;
    const text = `${found.path}: ${found.hasDefaultModel ? 'smollm2 is there' : 'no smollm2 yet'}, ${free}`;
    const hasRoom = found.freeBytes === null || found.freeBytes >= MIN_DISK_BYTES;
    if (found.hasDefaultModel || hasRoom) return outcome('pass', text);
    return outcome('fail', text, 'free some space, or set XDG_CACHE_HOME to another disk');
  },
};

const CHECKS: Check[] = [os, cpu, memory, gpu, toolchain, pip, addon, store];
const WORST_FIRST: Status[] = ['fail', 'warn', 'pass', 'skip'];

/** Every finding, worst first. */
export function examine(facts: Facts): Finding[] {
  const findings = CHECKS.map(({ id, expected, why, look }) => ({ id, expected, why, ...look(facts) }));
  return findings.sort((a, b) => WORST_FIRST.indexOf(a.status) - WORST_FIRST.indexOf(b.status));
}

/** 0: nothing to do. 1: something to look at. 2: something that must be mended. */
export function exitCodeOf(findings: Finding[]): 0 | 1 | 2 {
  if (findings.some(({ status }) => status === 'fail')) return 2;
  return findings.some(({ status }) => status === 'warn') ? 1 : 0;
}
