/** What machine this is: the facts that doctor, profiles and the engine decide on. */

import type { Board } from './board.js';

export interface Os {
  /** `ubuntu`, `debian`, ... */
  id: string;
  versionId: string;
  /** As a person reads it: `Ubuntu 22.04.5 LTS`. */
  name: string;
}

export interface Cpu {
  model: string;
  /** Node's name of the architecture: `x64`, `arm64`. */
  arch: string;
  /** Feature flags of /proc/cpuinfo, all of them. */
  flags: string[];
  /** Cores the system shows; 0: not known. */
  numCores: number;
  /** Cores that this process may use: affinity mask and cgroup quota, rounded down, at least 1 of those known. */
  usableCores: number;
}

export interface Memory {
  /** 0: not known. */
  totalBytes: number;
  /** What may be taken now: the smaller of MemAvailable and what the cgroup has left. Null: not known. */
  availableBytes: number | null;
  /** Limit of this process's cgroup; null: none. */
  cgroupLimitBytes: number | null;
}

export interface Gpu {
  name: string;
  driver: string | null;
  /** Newest CUDA that the driver takes: `12.6`. */
  cudaVersion: string | null;
  /** Null where memory is shared with the CPU (Jetson) or not told. */
  memoryBytes: number | null;
}

/** What the board is (see Board), and its Jetson Linux. */
export interface Jetson extends Omit<Board, 'isSuperInBootControl'> {
  /** Jetson Linux release: `36.4.4`. Null in a container that hides it. */
  l4t: string | null;
}

/** Versions of the build tools found; null: not there. */
export interface Toolchain {
  cmake: string | null;
  compiler: string | null;
  make: string | null;
  python: string | null;
  pip: string | null;
}

export interface Device {
  /** `linux`, `darwin`, `win32` */
  platform: string;
  kernel: string;
  os: Os | null;
  cpu: Cpu;
  memory: Memory;
  gpu: Gpu | null;
  jetson: Jetson | null;
}
