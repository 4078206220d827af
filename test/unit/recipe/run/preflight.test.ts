/** What a machine lacks for a build is told all at once. */
import { expect, it } from 'vitest';
import type { Plan } from '../../../../src/recipe/plan.js';
import { missingFor, readMachine, requireAll } from '../../../../src/recipe/run/preflight.js';

const GIB = 2 ** 30;
const plan = {
  recipe: 'demo',
  device: { jetpack: '6.0', cuda: null, python: '3.9' },
  requirements: {
    jetpack: '6.1',
    cuda: '12.6',
    python: ['3.10', '3.12'],
    tools: ['git', 'ninja', 'nvcc'],
    modules: [],
    memoryBytes: 4 * GIB,
    diskBytes: 10 * GIB,
  },
} as unknown as Plan;

it('names everything that is missing', () => {
  const machine = { hasTool: (name: string) => name === 'git', freeDiskBytes: GIB, freeMemoryBytes: GIB };
  const missing = missingFor(plan, machine);
  expect(missing.map(({ what }) => what.split(/[ ,]/)[0])).toEqual([
    'ninja',
    'nvcc',
    'JetPack',
    'no',
    'Python',
    '1.0',
    '1.0',
  ]);
  expect(() => requireAll(missing)).toThrow(/ninja[\s\S]*of memory and swap/);
  expect(missing[0]?.fix).toBe('sudo apt-get install ninja-build');
});

it('asks nothing more of a machine that has all of it', () => {
  const device = { jetpack: '6.2', cuda: '12.6', python: '3.10' };
  const machine = { hasTool: () => true, freeDiskBytes: 10 * GIB, freeMemoryBytes: null };
  expect(missingFor({ ...plan, device } as unknown as Plan, machine)).toEqual([]);
  expect(() => requireAll([])).not.toThrow();
});

it('reads tools and disk of a folder that is not there yet', () => {
  const machine = readMachine('/tmp/not/there/yet', null);
  expect(machine.hasTool('sh')).toBe(true);
  expect(machine.hasTool('no-such-tool')).toBe(false);
  expect(machine.freeDiskBytes).toBeGreaterThan(0);
});
