import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { probeDevice } from '../../../src/device/probe.js';

let root = '';
afterEach(() => rmSync(root, { recursive: true, force: true }));

function machine(files: Record<string, string>): string {
  root = mkdtempSync(join(tmpdir(), 'jsg-machine-'));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(root, dirname(path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}

it('reads a Jetson from its files', () => {
  const device = probeDevice(
    machine({
      '/etc/os-release': 'ID=ubuntu\nVERSION_ID="22.04"\nPRETTY_NAME="Ubuntu 22.04.5 LTS"\n',
      '/etc/nv_tegra_release': '# R36 (release), REVISION: 4.4, GCID: 1, BOARD: generic\n',
      '/proc/device-tree/model': 'NVIDIA Jetson AGX Orin Developer Kit\0',
      '/proc/device-tree/compatible': 'nvidia,p3737-0000+p3701-0005\0nvidia,p3701-0005\0nvidia,tegra234\0',
      '/proc/meminfo': 'MemTotal:       64349072 kB\nMemAvailable:   60000000 kB\n',
      '/proc/sys/kernel/osrelease': '5.15.148-tegra\n',
    }),
  );
  expect(device.jetson).toEqual({
    name: 'Jetson AGX Orin 64GB',
    model: 'NVIDIA Jetson AGX Orin Developer Kit',
    partNumber: 'p3701-0005',
    soc: 'tegra234',
    isSuper: false,
    ramGib: 64,
    l4t: '36.4.4',
  });
  expect(device.os?.name).toBe('Ubuntu 22.04.5 LTS');
  expect(device.kernel).toBe('5.15.148-tegra');
  expect(device.memory).toEqual({
    totalBytes: 64349072 * 1024,
    availableBytes: 60000000 * 1024,
    cgroupLimitBytes: null,
  });
  // A Jetson has a GPU even where nvidia-smi is not there to tell (JetPack 5).
  expect(device.gpu).not.toBeNull();
});

it('takes the memory that a container may have', () => {
  const device = probeDevice(
    machine({
      '/proc/meminfo': 'MemTotal:       64349072 kB\nMemAvailable:   60000000 kB\n',
      '/proc/self/cgroup': '0::/\n',
      '/sys/fs/cgroup/memory.max': '2000000\n',
      '/sys/fs/cgroup/memory.current': '500000\n',
      '/sys/fs/cgroup/cpu.max': '100000 100000\n',
      '/proc/cpuinfo': 'processor\t: 0\nflags\t: avx2\n\nprocessor\t: 1\nflags\t: avx2\n',
    }),
  );
  expect(device.memory.availableBytes).toBe(1_500_000);
  expect(device.cpu.usableCores).toBe(1);
});

it('knows nothing of a machine without files, and tells nothing of this one instead', () => {
  const device = probeDevice(machine({ '/empty': '' }));
  expect(device).toMatchObject({ os: null, jetson: null, kernel: 'unknown' });
  expect(device.memory).toEqual({ totalBytes: 0, availableBytes: null, cgroupLimitBytes: null });
  expect(device.cpu).toEqual({ model: 'unknown', arch: 'x64', flags: [], numCores: 0, usableCores: 0 });
});

it('knows this machine', () => {
  const device = probeDevice();
  expect(device.memory.totalBytes).toBeGreaterThan(0);
  expect(device.cpu.usableCores).toBeGreaterThan(0);
  expect(device.cpu.arch).toBe(process.arch);
});
