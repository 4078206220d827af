/** Reads a machine into a Device. Changes nothing. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { arch, availableParallelism, cpus, platform, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { cgroupCpuLimit, cgroupMemory } from './cgroup.js';
import type { Cpu, Device, Gpu, Jetson, Memory, Toolchain } from './device.js';
import {
  parseCpuInfo,
  parseDeviceTree,
  parseMemInfo,
  parseNvidiaSmi,
  parseOsRelease,
  parseTegraRelease,
  parseVersion,
} from './parse.js';

/** A file's text under the probed root; null where it cannot be read. */
export type ReadText = (path: string) => string | null;

const COMMAND_TIMEOUT_MS = 5000;

export function readerUnder(root: string): ReadText {
  return (path) => {
    try {
      return readFileSync(join(root, path), 'utf8');
    } catch {
      return null;
    }
  };
}

/** What a command prints on stdout and stderr; null when it is not there, fails or hangs. */
function output(command: string, args: string[] = []): string | null {
  const result = spawnSync(command, args, { encoding: 'utf8', timeout: COMMAND_TIMEOUT_MS });
  return result.status === 0 ? result.stdout + result.stderr : null;
}

/** `root`: another machine's files; what they don't tell stays unknown (0 or empty) then, never this machine's. */
export function probeDevice(root = '/'): Device {
  const read = readerUnder(root);
  const isHere = root === '/';
  const jetson = probeJetson(read);
  return {
    platform: isHere ? platform() : 'linux',
    kernel: read('/proc/sys/kernel/osrelease')?.trim() || (isHere ? release() : 'unknown'),
    os: parseOsRelease(read('/etc/os-release') ?? read('/usr/lib/os-release') ?? ''),
    cpu: probeCpu(read, isHere),
    memory: probeMemory(read, isHere),
    gpu: probeGpu(root, jetson),
    jetson,
  };
}

function probeCpu(read: ReadText, isHere: boolean): Cpu {
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

function probeMemory(read: ReadText, isHere: boolean): Memory {
  const system = parseMemInfo(read('/proc/meminfo') ?? '');
  const cgroup = cgroupMemory(read);
  const known = [system.availableBytes, cgroup?.availableBytes ?? null].filter((bytes) => bytes !== null);
  return {
    totalBytes: system.totalBytes ?? (isHere ? totalmem() : 0),
    availableBytes: known.length > 0 ? Math.min(...known) : null,
    cgroupLimitBytes: cgroup?.limitBytes ?? null,
  };
}

function probeJetson(read: ReadText): Jetson | null {
  const tree = parseDeviceTree(read('/proc/device-tree/model'), read('/proc/device-tree/compatible') ?? '');
  const l4t = parseTegraRelease(read('/etc/nv_tegra_release') ?? '');
  if (tree === null && l4t === null) return null;
  return { ...(tree ?? { model: null, partNumber: null, soc: null }), l4t };
}

/** nvidia-smi where it works; else a driver node is proof enough that there is a GPU (JetPack 5 has no nvidia-smi). */
function probeGpu(root: string, jetson: Jetson | null): Gpu | null {
  const told = parseNvidiaSmi(output('nvidia-smi') ?? '');
  if (told !== null) return told;
  const nodes = ['/dev/nvidia0', '/dev/nvhost-gpu', '/dev/nvgpu'].map((path) => join(root, path));
  if (!nodes.some((path) => existsSync(path)) && jetson === null) return null;
  return { name: jetson?.soc ? `integrated GPU of ${jetson.soc}` : 'NVIDIA GPU', driver: null, memoryBytes: null };
}

/** The build tools on PATH. Slower than the rest (it runs each), so apart from probeDevice. */
export function probeToolchain(env: NodeJS.ProcessEnv = process.env): Toolchain {
  const versionOf = (...commands: (string | undefined)[]) => {
    for (const command of commands) {
      const text = command ? output(command, ['--version']) : null;
      if (text !== null) return parseVersion(text) ?? 'unknown version';
    }
    return null;
  };
  const pip = output('python3', ['-m', 'pip', '--version']);
  return {
    cmake: versionOf('cmake'),
    compiler: versionOf(env.CXX, 'c++', 'g++', 'clang++'),
    make: versionOf('make', 'ninja'),
    python: versionOf('python3'),
    pip: pip === null ? null : parseVersion(pip),
  };
}
