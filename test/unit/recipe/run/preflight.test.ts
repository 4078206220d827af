/** What a machine lacks for a build is told all at once. */
import { expect, it } from 'vitest';
import type { Plan } from '../../../../src/recipe/plan.js';
import { missingFor, readMachine, requireAll } from '../../../../src/recipe/run/preflight.js';

const GIB = 2 ** 30;
const plan = {
  recipe: 'demo',
  variant: 'seed',
  device: { jetpack: '6.0', cuda: null, python: '3.9' },
  requirements: {
    jetpack: '6.1',
    cuda: '12.6',
    python: ['3.10', '3.12'],
    tools: ['git', 'ninja', 'nvcc'],
    modules: ['torch'],
    memoryBytes: 4 * GIB,
    diskBytes: 10 * GIB,
  },
} as unknown as Plan;

const machine = {
  hasTool: () => true,
  hasModule: () => true,
  venvLacks: null,
  freeDiskBytes: 10 * GIB,
  builtBytes: 0,
  freeMemoryBytes: null,
};

it('names everything that is missing, and installs the packages of the system by one command', () => {
  const missing = missingFor(plan, {
    hasTool: (name) => name === 'git',
    hasModule: () => false,
    venvLacks: 'ensurepip',
    freeDiskBytes: GIB,
    builtBytes: GIB,
    freeMemoryBytes: GIB,
  });
  expect(missing.map(({ what }) => what)).toEqual([
    'ninja, a command',
    'nvcc, a command',
    "Python's ensurepip, to make a virtual environment",
    "Python's torch, in the environment of the build",
    'JetPack 6.1 or later; here is 6.0',
    'CUDA toolkit 12.6 or later; none is found',
    'Python 3.10 to 3.12; here is 3.9',
    '9.0 GiB of disk; 1.0 GiB are free',
    '4.0 GiB of memory and swap; 1.0 GiB are free',
  ]);
  let thrown: unknown;
  try {
    requireAll(missing, 'demo');
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toMatchObject({ code: 'E_DEVICE_UNSUITABLE', message: expect.stringContaining('9.0 GiB of disk') });
  const hint = (thrown as { hint: string }).hint.split('\n');
  expect(hint[0]).toBe('sudo apt-get install -y ninja-build python3-venv');
  expect(hint).toContain('jsg build torch');
});

it('asks nothing more of a machine that has all of it', () => {
  const device = { jetpack: '6.2', cuda: '12.6', python: '3.10' };
  expect(missingFor({ ...plan, device } as unknown as Plan, machine)).toEqual([]);
  // A patch level does not make 3.12 newer than 3.12, nor is 3.9 newer than 3.10.
  const newest = { ...device, python: '3.12.4' };
  expect(missingFor({ ...plan, device: newest } as unknown as Plan, machine)).toEqual([]);
  expect(() => requireAll([], 'demo')).not.toThrow();
});

it('reads tools, modules and disk of a folder that is not there yet', async () => {
  const asked = {
    ...plan,
    sources: [],
    steps: [],
    checks: [],
    requirements: { ...plan.requirements, modules: ['json', 'not_there'] },
  };
  const found = await readMachine(asked as unknown as Plan, {
    build: '/tmp/not/there/yet',
    python: 'python3',
    env: process.env,
    freeMemoryBytes: null,
  });
  expect([found.hasTool('sh'), found.hasTool('no-such-tool')]).toEqual([true, false]);
  expect([found.hasModule('json'), found.hasModule('not_there')]).toEqual([true, false]);
  expect(found.freeDiskBytes).toBeGreaterThan(0);
});
