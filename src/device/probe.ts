/** Reads a machine into a Device: what launching decides on. Changes nothing. */
import { arch, availableParallelism, cpus, platform, release, totalmem } from 'node:os';
import { execaSync } from 'execa';
import { type Board, identifyBoard } from './board.js';
import { cgroupCpuLimit, cgroupMemory } from './cgroup.js';
import type { Cpu, Device, Gpu, Jetson, Memory, Toolchain } from './device.js';
import { probePackages } from './packages.js';
import { parseCpuInfo, parseLsbRelease, parseMemInfo, parseNvidiaSmi, parseOsRelease, parseVersion } from './parse.js';
import { identifyRelease, type Release } from './release.js';
import { cleanText, oneValue, type ReadText, type Source, sourceUnder } from './source.js';

const SMI_TIMEOUT_MS = 5000;

/** `root`: another machine's files; what they don't tell stays unknown (0 or empty) then, never this machine's. */
export function probeDevice(root = '/'): Device {
  const source = sourceUnder(root);
  const memory = probeMemory(source);
  const board = probeBoard(source, memory.totalBytes);
  return deviceOf(source, {
    memory,
    board,
    release: identifyRelease(source.read('/etc/nv_tegra_release'), probePackages(source)),
    smi: smiText(),
  });
}

interface Parts {
  memory: Memory;
  board: Board | null;
  release: Release;
  /** What nvidia-smi printed; empty where there is none. */
  smi: string;
}

export function deviceOf(source: Source, { memory, board, release: { l4t }, smi }: Parts): Device {
  const { read, isHere } = source;
  const jetson = board === null && l4t === null ? null : jetsonOf(board, l4t);
  return {
    platform: isHere ? platform() : 'linux',
    kernel: kernelOf(read) ?? (isHere ? release() : 'unknown'),
    os:
      parseOsRelease(read('/etc/os-release') ?? read('/usr/lib/os-release') ?? '') ??
      parseLsbRelease(read('/etc/lsb-release') ?? ''),
    cpu: probeCpu(source),
    memory,
    gpu: gpuOf(source, smi, jetson),
    jetson,
  };
}

/** In a container the release may be hidden, or the device tree, hardly both. */
function jetsonOf(board: Board | null, l4t: string | null): Jetson {
  const unknown = { name: 'unknown Jetson', partNumber: null, model: null, soc: null, isSuper: false, ramGib: null };
  const { name, partNumber, model, soc, isSuper, ramGib } = board ?? unknown;
  return { name, partNumber, model, soc, isSuper, ramGib, l4t };
}

export function probeBoard({ read }: Source, memoryBytes: number): Board | null {
  const deviceTree = (name: string) =>
    read(`/proc/device-tree/${name}`) ?? read(`/sys/firmware/devicetree/base/${name}`);
  return identifyBoard({
    model: deviceTree('model'),
    compatible: deviceTree('compatible'),
    bootControl: read('/etc/nv_boot_control.conf'),
    memoryBytes,
  });
}

function kernelOf(read: ReadText): string | null {
  const told = oneValue(read('/proc/sys/kernel/osrelease'));
  return told ?? /^Linux version (\S{1,100})/.exec(read('/proc/version') ?? '')?.[1] ?? null;
}

function probeCpu({ read, isHere }: Source): Cpu {
  const info = parseCpuInfo(read('/proc/cpuinfo') ?? '');
  const numCores = info.numCores || (isHere ? cpus().length : 0);
  // availableParallelism counts the affinity mask; only newer Node versions count the cgroup quota too.
  const allowed = isHere ? Math.min(availableParallelism(), numCores) : numCores;
  const limit = cgroupCpuLimit(read) ?? Number.POSITIVE_INFINITY;
  return {
    model: info.model ?? (isHere ? (cpus()[0]?.model ?? 'unknown') : 'unknown'),
    arch: isHere ? arch() : info.flags.includes('asimd') ? 'arm64' : 'x64',
    flags: info.flags,
    numCores,
    usableCores: Math.max(Math.min(1, numCores), Math.min(allowed, Math.floor(limit))),
  };
}

export function probeMemory({ read, isHere }: Source): Memory {
  const system = parseMemInfo(read('/proc/meminfo') ?? '');
  const cgroup = cgroupMemory(read);
  const known = [system.availableBytes, cgroup?.availableBytes ?? null].filter((bytes) => bytes !== null);
  return {
    totalBytes: system.totalBytes ?? (isHere ? totalmem() : 0),
    availableBytes: known.length > 0 ? Math.min(...known) : null,
    cgroupLimitBytes: cgroup?.limitBytes ?? null,
  };
}

function smiText(): string {
  const result = execaSync('nvidia-smi', [], {
    stdin: 'ignore',
    env: { LC_ALL: 'C' },
    timeout: SMI_TIMEOUT_MS,
    reject: false,
  });
  return result.exitCode === 0 ? cleanText(result.stdout) : '';
}

/** nvidia-smi where it works; else a driver node is proof enough that there is a GPU (JetPack 5 has no nvidia-smi). */
function gpuOf({ find }: Source, smi: string, jetson: Jetson | null): Gpu | null {
  const told = parseNvidiaSmi(smi);
  if (told !== null) return told;
  const nodes = ['/dev/nvidia0', '/dev/nvhost-gpu', '/dev/nvgpu'];
  if (!nodes.some((path) => find(path) !== null) && jetson === null) return null;
  const name = jetson?.soc ? `integrated GPU of ${jetson.soc}` : 'NVIDIA GPU';
  return { name, driver: null, cudaVersion: null, memoryBytes: null };
}

/** The build tools on PATH, asked side by side. */
export async function probeToolchain({ run }: Source, env: NodeJS.ProcessEnv = process.env): Promise<Toolchain> {
  const versionOf = async (...commands: (string | undefined)[]) => {
    for (const command of commands) {
      const answer = command ? await run(command, ['--version']) : null;
      if (answer?.code === 0) return parseVersion(answer.stdout + answer.stderr) ?? 'unknown version';
    }
    return null;
  };
  const [cmake, compiler, make, python, pip] = await Promise.all([
    versionOf('cmake'),
    versionOf(env.CXX, 'c++', 'g++', 'clang++'),
    versionOf('make', 'ninja'),
    versionOf('python3'),
    run('python3', ['-m', 'pip', '--version']),
  ]);
  return { cmake, compiler, make, python, pip: pip?.code === 0 ? parseVersion(pip.stdout) : null };
}
