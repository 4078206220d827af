/** Machines to decide on in tests. */
import type { Device } from '../../../src/device/device.js';

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
  gpu: { name: 'Orin (nvgpu)', driver: '540.4.0', memoryBytes: null },
  jetson: {
    model: 'NVIDIA Jetson AGX Orin Developer Kit',
    partNumber: 'p3701-0005',
    soc: 'tegra234',
    l4t: '36.4.4',
  },
};
