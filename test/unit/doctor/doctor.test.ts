import { Chalk } from 'chalk';
import { describe, expect, it } from 'vitest';
import type { Device } from '../../../src/device/device.js';
import { examine, exitCodeOf } from '../../../src/doctor/examine.js';
import type { Facts } from '../../../src/doctor/facts.js';
import { formatFindings } from '../../../src/doctor/report.js';
import { laptop, laptopMachine, orinMachine } from '../device/machines.js';

const GIB = 1024 ** 3;

const healthy: Facts = {
  ...laptopMachine,
  speed: null,
  profiles: [],
  python: null,
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
  ...orinMachine,
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
    const copied = { ...healthy, ...orinMachine, toolchain: null, addon: null, store: null };
    expect(find(copied, 'addon')?.status).toBe('skip');
    expect(exitCodeOf(examine(copied))).toBe(0);
  });

  it('come worst first, and decide the exit code', () => {
    const findings = examine({ ...withDevice({ cpu: { ...laptop.cpu, flags: [] } }), addon: broken('broken') });
    const order = findings.map(({ status }) => ['fail', 'warn', 'pass', 'skip'].indexOf(status));
    expect(order).toEqual([...order].sort());
    expect(findings.slice(0, 2).map(({ id, status }) => `${status} ${id}`)).toEqual(['fail addon', 'warn cpu']);
    expect(exitCodeOf(findings)).toBe(1);
    expect(exitCodeOf(examine(withDevice({ platform: 'darwin' })))).toBe(0);
  });
});

describe('formatFindings', () => {
  const plain = new Chalk({ level: 0 });
  const next = 'jsg launch --profile smollm2';
  const report = (facts: Facts) => formatFindings('A machine', examine(facts), next, plain);

  it('fits 80 columns, the worst group first, and tells the command that mends it', () => {
    const reason = `cannot load the addon: ${'a long reason '.repeat(12)}/${'a-path-without-spaces'.repeat(6)}`;
    const text = report({ ...healthy, addon: broken(reason, 'npm run build') });
    expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
    expect(text).toMatch(/^A machine\n\nServing\n {2}fail {2}addon /);
    expect(text).toMatch(/^ {8}\$ npm run build$/m);
    expect(text).toMatch(/Not ready: 1 to mend, 0 to look at.*\n$/);
  });

  it('breaks a long command so that it can still be pasted', () => {
    const addon = broken('x', `sudo apt-get install ${'one-package '.repeat(12).trim()}`);
    const lines = report({ ...healthy, addon }).split('\n');
    const from = lines.findIndex((line) => line.includes('$ sudo'));
    const command = lines
      .slice(from, from + 3)
      .join('\n')
      .replace(/^\s*\$ /, '');
    expect(command.replace(/ \\\n\s+/g, ' ')).toContain(`sudo apt-get install ${'one-package '.repeat(12).trim()}`);
  });

  it('breaks no command within quotes', () => {
    const addon = broken('x', `${'tool '.repeat(14)}"one argument of several words" end`);
    expect(report({ ...healthy, addon })).toContain('"one argument of several words"');
  });

  it('ends with what to do next', () => {
    expect(report(healthy)).toMatch(/Ready\. Next: jsg launch --profile smollm2\n$/);
  });
});
