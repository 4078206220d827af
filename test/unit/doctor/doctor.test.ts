import { Chalk } from 'chalk';
import { describe, expect, it } from 'vitest';
import type { Device } from '../../../src/device/device.js';
import { examine, exitCodeOf } from '../../../src/doctor/examine.js';
import type { Facts } from '../../../src/doctor/facts.js';
import { formatFindings } from '../../../src/doctor/report.js';
import { laptop, orin } from '../device/machines.js';

const GIB = 1024 ** 3;

const healthy: Facts = {
  device: laptop,
  toolchain: { cmake: '3.25.1', compiler: '12.2.0', make: '4.3', python: '3.11.7', pip: '23.0' },
  addon: { fault: null, isas: ['avx2', 'scalar'], hasCuda: false, cudaDevice: null },
  store: { path: '/home/me/.cache/jsg', hasDefaultModel: true, freeBytes: 10 * GIB },
};
const broken = (message: string, hint: string | null = null): Facts['addon'] => ({
  fault: { message, hint },
  isas: [],
  hasCuda: false,
  cudaDevice: null,
});
const onOrin = (cuda: Partial<NonNullable<Facts['addon']>>): Facts => ({
  ...healthy,
  device: orin,
  addon: { fault: null, isas: ['neon'], hasCuda: true, cudaDevice: 'Orin (sm_87)', ...cuda },
});
const withDevice = (change: Partial<Device>): Facts => ({ ...healthy, device: { ...laptop, ...change } });
const find = (facts: Facts, id: string) => examine(facts).find((finding) => finding.id === id);

describe('checks', () => {
  it('pass on a machine in order', () => {
    expect(exitCodeOf(examine(healthy))).toBe(0);
    expect(exitCodeOf(examine(onOrin({})))).toBe(0);
  });

  it.each([
    ['os', withDevice({ platform: 'darwin', os: null }), 'warn'],
    ['cpu', withDevice({ cpu: { ...laptop.cpu, flags: ['sse2'] } }), 'warn'],
    [
      'memory',
      withDevice({ memory: { totalBytes: 4 * GIB, availableBytes: GIB / 2, cgroupLimitBytes: null } }),
      'fail',
    ],
    [
      'pip',
      {
        ...healthy,
        toolchain: { ...healthy.toolchain, pip: null },
        store: { ...healthy.store, hasDefaultModel: false },
      },
      'warn',
    ],
    ['toolchain', { ...healthy, toolchain: { ...healthy.toolchain, cmake: null } }, 'warn'],
    ['toolchain', { ...healthy, toolchain: { ...healthy.toolchain, cmake: '3.16.3' } }, 'warn'],
    [
      'toolchain',
      {
        ...healthy,
        toolchain: { ...healthy.toolchain, make: null },
        addon: broken('x'),
      },
      'fail',
    ],
    ['addon', { ...healthy, addon: broken('no jsg.node', 'npm run build') }, 'fail'],
    ['model-store', { ...healthy, store: { path: '/x', hasDefaultModel: false, freeBytes: 1000 } }, 'fail'],
  ] as [string, Facts, string][])('%s of a machine out of order', (id, facts, status) => {
    const finding = find(facts, id);
    expect(finding?.status).toBe(status);
    expect(finding?.fix).toBeTruthy();
  });

  it.each([
    [onOrin({}), 'pass', null],
    [onOrin({ hasCuda: false, cudaDevice: null }), 'warn', /nvcc/],
    [onOrin({ cudaDevice: null }), 'warn', /nvidia-smi/],
    [healthy, 'skip', null],
  ] as const)('the GPU and what CUDA makes of it', (facts, status, fix) => {
    const finding = find(facts, 'gpu');
    expect(finding?.status).toBe(status);
    if (fix === null) expect(finding?.fix).toBeNull();
    else expect(finding?.fix).toMatch(fix);
  });

  it('names what to install', () => {
    const bare = { ...healthy, toolchain: { cmake: null, compiler: null, make: '4.3', python: null, pip: null } };
    expect(find(bare, 'toolchain')?.fix).toBe('sudo apt-get install -y cmake g++');
  });

  it('ask for no pip once the model is there', () => {
    expect(
      find({ ...healthy, toolchain: { ...healthy.toolchain, pip: null } as Facts['toolchain'] }, 'pip')?.status,
    ).toBe('pass');
  });

  it('skip what was not looked at', () => {
    const copied = { device: orin, toolchain: null, addon: null, store: null };
    expect(find(copied, 'addon')?.status).toBe('skip');
    expect(exitCodeOf(examine(copied))).toBe(0);
  });

  it('come worst first, and decide the exit code', () => {
    const sick: Facts = {
      ...withDevice({ cpu: { ...laptop.cpu, flags: [] } }),
      addon: broken('broken'),
    };
    const findings = examine(sick);
    expect(findings.map(({ status }) => status)).toEqual([
      'fail',
      'warn',
      'pass',
      'pass',
      'pass',
      'pass',
      'pass',
      'skip',
    ]);
    expect(exitCodeOf(findings)).toBe(1);
    expect(exitCodeOf(examine(withDevice({ platform: 'darwin' })))).toBe(0);
  });
});

describe('formatFindings', () => {
  const plain = new Chalk({ level: 0 });

  it('fits 80 columns and tells the fix of what is wrong', () => {
    const addon = broken(`cannot load the addon: ${'a long reason '.repeat(12)}`, 'run npm run build');
    const text = formatFindings(examine({ ...healthy, addon }), plain);
    expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
    expect(text).toMatch(/^fail {2}addon/);
    expect(text).toContain('fix: run npm run build');
    expect(text).toMatch(/Not ready: 1 to mend, 0 to look at.*\n$/);
  });

  it('ends with what to do next', () => {
    expect(formatFindings(examine(healthy), plain)).toMatch(/Ready\. Next: jsg launch --profile smollm2\n$/);
  });
});
