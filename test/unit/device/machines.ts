/** Machines to decide on in tests. */
import type { Device } from '../../../src/device/device.js';
import type { Machine } from '../../../src/device/machine.js';

const GIB = 1024 ** 3;

export const laptop: Device = {
  platform: 'linux',
  kernel: '6.1.0',
  os: { id: 'debian', versionId: '12', name: 'Debian GNU/Linux 12 (bookworm)' },
  cpu: { model: 'AMD EPYC', arch: 'x64', flags: ['avx2', 'fma', 'f16c'], numCores: 2, usableCores: 2 },
  memory: { totalBytes: 24 * GIB, availableBytes: 20 * GIB, cgroupLimitBytes: null },
  gpu: null,
  jetson: null,
};

export const orin: Device = {
  platform: 'linux',
  kernel: '5.15.148-tegra',
  os: { id: 'ubuntu', versionId: '22.04', name: 'Ubuntu 22.04.5 LTS' },
  cpu: { model: 'Cortex-A78AE', arch: 'arm64', flags: ['asimd', 'asimddp'], numCores: 12, usableCores: 12 },
  memory: { totalBytes: 61 * GIB, availableBytes: 50 * GIB, cgroupLimitBytes: null },
  gpu: { name: 'Orin (nvgpu)', driver: '540.4.0', cudaVersion: '12.6', memoryBytes: null },
  jetson: {
    name: 'Jetson AGX Orin 64GB',
    model: 'NVIDIA Jetson AGX Orin Developer Kit',
    partNumber: 'p3701-0005',
    soc: 'tegra234',
    isSuper: false,
    ramGib: 64,
    l4t: '36.4.4',
  },
};

/** What is looked at of a machine that has nothing of a Jetson. */
export const laptopMachine: Machine = {
  device: laptop,
  board: null,
  release: { l4t: null, isFromPackage: false, jetpack: null, jetpackPackage: null, nearest: null },
  power: null,
  clocks: null,
  libraries: { cuda: null, nvcc: null, toolkit: null, installed: [], cudnn: null, tensorrt: null },
  swap: { totalBytes: 0, zramBytes: 0, diskBytes: 0 },
  storage: { device: '/dev/nvme0n1p2', kind: 'nvme', freeBytes: 100 * GIB, totalBytes: 500 * GIB },
  gpuAccess: { nodes: [], closed: [], user: 'me', missingGroups: [] },
  gpuFault: null,
  thermal: { sensors: [], rails: [], numOverCurrent: null, throttling: [] },
  container: null,
  docker: { isInstalled: false, hasToolkit: false, hasRuntime: false, isDefaultRuntime: false },
  desktop: { isRunning: false, startsAtBoot: null, bytes: 0 },
};

const maxn = { id: 0, name: 'MAXN', gpuMaxHz: null, emcMaxHz: null, numCpus: 12, gating: '' };
const mode30w = { id: 2, name: 'MODE_30W', gpuMaxHz: 612e6, emcMaxHz: 3199e6, numCpus: 8, gating: 'TPC 252;' };

/** An AGX Orin 64GB that is as it should be. */
export const orinMachine: Machine = {
  ...laptopMachine,
  device: orin,
  board: {
    name: 'Jetson AGX Orin 64GB',
    partNumber: 'p3701-0005',
    model: 'NVIDIA Jetson AGX Orin Developer Kit',
    soc: 'tegra234',
    isSuper: false,
    isSuperInBootControl: false,
    ramGib: 64,
  },
  release: { l4t: '36.4.4', isFromPackage: false, jetpack: '6.2.1', jetpackPackage: '6.2.1+b38', nearest: null },
  power: {
    current: { id: 0, name: 'MAXN' },
    source: 'nvpmodel',
    modes: [maxn, mode30w],
    isFromConf: true,
    max: maxn,
    isMax: true,
    hasSuperMode: false,
    defaultId: 2,
    savedId: 0,
  },
  clocks: {
    isLocked: true,
    needsRoot: false,
    gpuMaxHz: 1300.5e6,
    emcMaxHz: 3199e6,
    cpuMaxHz: 2201.6e6,
    modeName: 'MAXN',
  },
  libraries: {
    cuda: '12.6.68',
    nvcc: '12.6.68',
    toolkit: '12.6.11',
    installed: ['12.6'],
    cudnn: '9.3.0.75',
    tensorrt: '10.3.0.30',
  },
  gpuAccess: { nodes: ['/dev/nvhost-gpu', '/dev/nvmap'], closed: [], user: 'me', missingGroups: [] },
  thermal: {
    sensors: [{ name: 'tj-thermal', celsius: 52.9, throttlesAt: 99 }],
    rails: [{ name: 'VDD_GPU_SOC', milliwatts: 3178, milliamps: 160, maxMilliamps: null }],
    numOverCurrent: 0,
    throttling: [],
  },
};
