import { describe, expect, it } from 'vitest';
import {
  parseCfsQuota,
  parseCgroupPath,
  parseCpuInfo,
  parseCpuMax,
  parseMemInfo,
  parseMemoryLimit,
  parseNvidiaSmi,
  parseOsRelease,
  parseVersion,
} from '../../../src/device/parse.js';

describe('parseOsRelease', () => {
  it('reads quoted, bare and escaped values', () => {
    const text = 'PRETTY_NAME="Ubuntu 22.04.5 LTS"\nNAME="Ubuntu"\nVERSION_ID="22.04"\nID=ubuntu\n';
    expect(parseOsRelease(text)).toEqual({ id: 'ubuntu', versionId: '22.04', name: 'Ubuntu 22.04.5 LTS' });
    expect(parseOsRelease('ID=\'alpine\'\nNAME="My \\"OS\\""')).toEqual({
      id: 'alpine',
      versionId: '',
      name: 'My "OS"',
    });
  });

  it('is null for an empty or foreign file', () => {
    expect(parseOsRelease('')).toBeNull();
    expect(parseOsRelease('# nothing here\n')).toBeNull();
  });
});

describe('parseCpuInfo', () => {
  it('reads x86', () => {
    const core = (n: number) => `processor\t: ${n}\nmodel name\t: AMD EPYC\nflags\t\t: fpu avx2 fma f16c\n\n`;
    expect(parseCpuInfo(core(0) + core(1))).toEqual({
      model: 'AMD EPYC',
      flags: ['fpu', 'avx2', 'fma', 'f16c'],
      numCores: 2,
    });
  });

  it('reads Arm, where cores have no model name', () => {
    const text = 'processor\t: 0\nBogoMIPS\t: 62.50\nFeatures\t: fp asimd asimddp\nCPU part\t: 0xd42\n';
    expect(parseCpuInfo(text)).toEqual({ model: null, flags: ['fp', 'asimd', 'asimddp'], numCores: 1 });
  });
});

it('parseMemInfo counts in bytes, and does without MemAvailable', () => {
  expect(parseMemInfo('MemTotal:       1024 kB\nMemFree: 1 kB\nMemAvailable:    512 kB\n')).toEqual({
    totalBytes: 1024 * 1024,
    availableBytes: 512 * 1024,
  });
  expect(parseMemInfo('MemTotal:       1024 kB\n').availableBytes).toBeNull();
  expect(parseMemInfo('')).toEqual({ totalBytes: null, availableBytes: null });
});

describe('cgroup texts', () => {
  it('finds the path of a controller in v1 and the one path of v2', () => {
    const hybrid = '4:memory:/jobs/a\n2:cpuacct,cpu:/jobs/b\n0::/unified\n';
    expect(parseCgroupPath(hybrid, 'memory')).toBe('/jobs/a');
    expect(parseCgroupPath(hybrid, 'cpu')).toBe('/jobs/b');
    expect(parseCgroupPath(hybrid, '')).toBe('/unified');
    expect(parseCgroupPath('0::/x\n', 'memory')).toBeNull();
  });

  it('knows every way to write "no limit"', () => {
    expect(parseMemoryLimit('max\n')).toBeNull();
    expect(parseMemoryLimit('9223372036854771712\n')).toBeNull();
    expect(parseMemoryLimit('1073741824\n')).toBe(1073741824);
    expect(parseCpuMax('max 100000\n')).toBeNull();
    expect(parseCpuMax('150000 100000\n')).toBe(1.5);
    expect(parseCpuMax('')).toBeNull();
    expect(parseCfsQuota('-1\n', '100000\n')).toBeNull();
    expect(parseCfsQuota('200000\n', '100000\n')).toBe(2);
  });
});

describe('parseNvidiaSmi', () => {
  const table = (name: string, memory: string) => `
| NVIDIA-SMI 580.00                 Driver Version: 580.00         CUDA Version: 13.0     |
|=========================================+========================+======================|
|   0  ${name}                    Off |   00000000:01:00.0 Off |                  N/A |
| N/A   N/A  N/A             N/A  /  N/A  | ${memory}          |      0%      Default |
`;

  it('reads a GPU that shares its memory', () => {
    expect(parseNvidiaSmi(table('NVIDIA Thor', 'Not Supported'))).toEqual({
      name: 'NVIDIA Thor',
      driver: '580.00',
      cudaVersion: '13.0',
      memoryBytes: null,
    });
  });

  it('reads a GPU with memory of its own', () => {
    const gpu = parseNvidiaSmi(table('NVIDIA H100 80GB HBM3', '4MiB / 81559MiB |'));
    expect(gpu).toMatchObject({ name: 'NVIDIA H100 80GB HBM3', memoryBytes: 81559 * 1024 * 1024 });
  });

  it('is null for a failure text', () => {
    expect(parseNvidiaSmi("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.")).toBeNull();
  });
});

it('parseVersion takes the first dotted number', () => {
  expect(parseVersion('cmake version 3.25.1\n\nCMake suite')).toBe('3.25.1');
  expect(parseVersion('g++ (Debian 12.2.0-14) 12.2.0')).toBe('12.2.0');
  expect(parseVersion('no number')).toBeNull();
});
