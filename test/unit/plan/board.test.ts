import { describe, expect, it } from 'vitest';
import { POWER_TABLES } from '../../../src/device/power-modes.js';
import { boardOf, findBoard, findMode, ratesOf } from '../../../src/plan/board.js';
import { BOARDS } from '../../../src/plan/boards.js';

const GIB = 2 ** 30;

describe('boards by what a person types', () => {
  it.each([
    ['orin-nano-8gb', 'orin-nano-8gb'],
    ['agx-orin', 'agx-orin-64gb'],
    ['AGX Orin 32GB', 'agx-orin-32gb'],
    ['agx-orin-32', 'agx-orin-32gb'],
    ['NVIDIA Jetson AGX Orin (64 GB)', 'agx-orin-64gb'],
    ['Jetson Orin NX 16 GiB', 'orin-nx-16gb'],
    ['orin-nano-super', 'orin-nano-8gb-super'],
    ['thor', 'agx-thor'],
    ['AGX Xavier', 'agx-xavier'],
  ])('%s is %s', (typed, id) => {
    expect(findBoard(typed).id).toBe(id);
  });

  it('names the nearest', () => {
    expect(() => findBoard('orin-nanno-8gb')).toThrow(
      expect.objectContaining({ code: 'E_USAGE', hint: 'Did you mean --board orin-nano-8gb?' }),
    );
    expect(() => findBoard('')).toThrow(/is not known/);
  });
});

describe('boards by what a machine tells', () => {
  it.each([
    ['p3767-0005', true, 7.4, 'orin-nano-8gb-super'],
    ['p3767-0003', false, 7.4, 'orin-nano-8gb'],
    ['p3767-0000', true, 15.3, 'orin-nx-16gb-super'],
    // One part number of two sizes.
    ['p3701-0000', false, 29.9, 'agx-orin-32gb'],
    ['p3701-0000', false, 61.4, 'agx-orin-64gb'],
    ['p3834-0008', false, 122.8, 'agx-thor'],
  ])('%s, Super %s, %f GiB: %s', (partNumber, isSuper, gib, id) => {
    expect(boardOf({ partNumber, isSuper, memoryBytes: gib * GIB })?.id).toBe(id);
  });

  it('by name where there is no part number', () => {
    const nameless = { partNumber: null, memoryBytes: 0 };
    expect(boardOf({ ...nameless, isSuper: true, name: 'Jetson Orin Nano 8GB' })?.id).toBe('orin-nano-8gb-super');
    expect(boardOf({ ...nameless, isSuper: false, name: 'Jetson Orin NX 8GB' })?.id).toBe('orin-nx-8gb');
    expect(boardOf({ ...nameless, isSuper: false, name: 'Jetson TX2' })).toBeNull();
    expect(boardOf({ ...nameless, isSuper: false })).toBeNull();
  });

  it('none for a part that is not in the table', () => {
    expect(boardOf({ partNumber: 'p3448-0000', isSuper: false, memoryBytes: 4 * GIB })).toBeNull();
  });
});

describe('modes', () => {
  const orin = findBoard('agx-orin');

  it('by name with and without MODE_, and by id; the fastest unless named', () => {
    expect(findMode(orin, null).name).toBe('MAXN');
    expect(findMode(orin, '30W').name).toBe('MODE_30W');
    expect(findMode(orin, 'mode_50w').id).toBe(3);
    expect(findMode(orin, '1').name).toBe('MODE_15W');
    expect(() => findMode(orin, '25W')).toThrow(/has no mode '25W'; it has MAXN, MODE_50W/);
  });

  it('MAXN of AGX Orin: 204.8 GB/s, 42.6 TFLOPS in fp16, 85 TOPS in int8', () => {
    const mode = findMode(orin, null);
    const rates = ratesOf(orin, mode, mode.watts);
    expect(rates.bandwidthGBs).toBe(204.8);
    expect(rates.fp16Tflops).toBeCloseTo(42.6, 1);
    expect(rates.int8Tops).toBeCloseTo(85.2, 1);
  });

  it.each([
    ['orin-nano-8gb-super', 67],
    ['orin-nano-8gb', 40],
    ['orin-nano-4gb-super', 34],
    ['orin-nano-4gb', 20],
    ['orin-nx-8gb', 50],
  ])('%s: half of the %i sparse int8 TOPS that NVIDIA states of the GPU', (id, sparseTops) => {
    const board = findBoard(id);
    const { int8Tops } = ratesOf(board, findMode(board, null), null);
    expect(Math.abs((2 * (int8Tops ?? 0)) / sparseTops - 1)).toBeLessThan(0.04);
  });
});

describe('the table', () => {
  it('has the modes of the device table under the same ids', () => {
    for (const { id, partNumbers, isSuper, modes } of BOARDS) {
      const [part = ''] = partNumbers;
      const tables = POWER_TABLES.filter((table) => table.isSuper === isSuper);
      const table =
        tables.find(({ parts }) => parts.includes(part)) ??
        tables.find(({ parts }) => parts.includes(part.split('-')[0] ?? ''));
      for (const mode of modes) expect([id, mode.name]).toEqual([id, table?.modes[mode.id]]);
    }
  });

  it('has the fastest mode first', () => {
    for (const { id, modes } of BOARDS) {
      const speed = modes.map(({ gpuMhz, numSms }) => (gpuMhz ?? 0) * (numSms ?? 0));
      expect([id, Math.max(...speed)]).toEqual([id, speed[0]]);
    }
  });

  it('has no two boards of a name', () => {
    const names = BOARDS.flatMap(({ id, aliases }) => [id, ...aliases]);
    expect(new Set(names).size).toBe(names.length);
  });
});
