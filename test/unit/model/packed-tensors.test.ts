import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type StoredEntry, takePackedTensors } from '../../../src/model/packed-tensors.js';
import type { QuantMethod } from '../../../src/model/quantization.js';
import { temporaryDirectory } from './temporary.js';

const LAYER = 'model.layers.0.mlp.down_proj.';
const [ROWS, COLS] = [64, 256];
const PLAN = [
  { name: `${LAYER}weight`, shape: [ROWS, COLS] },
  { name: 'model.norm.weight', shape: [ROWS] },
];

type Parts = Record<string, [dtype: string, shape: number[]]>;

const ROWS_LAYOUT: Parts = {
  weight_packed: ['I32', [ROWS, COLS / 8]],
  weight_scale: ['BF16', [ROWS, 2]],
  weight_zero_point: ['I32', [ROWS / 8, 2]],
  weight_shape: ['I64', [2]],
};
const AWQ: Parts = {
  qweight: ['I32', [COLS, ROWS / 8]],
  qzeros: ['I32', [2, ROWS / 8]],
  scales: ['F16', [2, ROWS]],
};
const GPTQ: Parts = { ...AWQ, qweight: ['I32', [COLS / 8, ROWS]], g_idx: ['I32', [COLS]] };

function take(method: QuantMethod, parts: Parts, groups: number[] = Array.from({ length: COLS }, (_, c) => c >> 7)) {
  const file = join(temporaryDirectory(), 'x.safetensors');
  writeFileSync(file, Buffer.from(Int32Array.from(groups).buffer));
  const entries = new Map<string, StoredEntry>(
    Object.entries(parts).map(([part, [dtype, shape]]) => {
      const nbytes = part === 'g_idx' ? 4 * COLS : 1;
      return [LAYER + part, { name: LAYER + part, dtype, shape, offset: 0, nbytes, file: 0 }];
    }),
  );
  const tensors = takePackedTensors(entries, { method, int8Activations: false }, PLAN, [file]);
  return { tensors, left: [...entries.keys()] };
}

describe('matrices that others quantised', () => {
  it.each([
    ['compressed-tensors', ROWS_LAYOUT, 'rows'],
    ['awq', AWQ, 'awq'],
    ['gptq', GPTQ, 'gptq'],
  ] as const)('%s: their parts become one entry', (method, parts, layout) => {
    const { tensors, left } = take(method, parts);
    expect(tensors).toHaveLength(1);
    expect(tensors[0]).toMatchObject({
      name: `${LAYER}weight`,
      shape: [ROWS, COLS],
      packing: { layout, bits: 4, groupSize: 128, groupIndex: null },
    });
    expect(left).toEqual([]);
  });

  it('8 bits are told by the shape of the codes', () => {
    const { tensors } = take('gptq', {
      ...GPTQ,
      qweight: ['I32', [COLS / 4, ROWS]],
      qzeros: ['I32', [2, ROWS / 4]],
    });
    expect(tensors[0]?.packing?.bits).toBe(8);
  });

  it('columns out of order keep their index', () => {
    const { tensors } = take(
      'gptq',
      GPTQ,
      Array.from({ length: COLS }, (_, c) => c % 2),
    );
    expect(tensors[0]?.packing?.groupIndex).not.toBeNull();
  });

  it('a matrix that is not quantised is left alone', () => {
    const { tensors, left } = take('awq', { weight: ['BF16', [ROWS, COLS]] });
    expect(tensors).toEqual([]);
    expect(left).toEqual([`${LAYER}weight`]);
  });

  const without = (parts: Parts, name: string) =>
    Object.fromEntries(Object.entries(parts).filter(([part]) => part !== name));

  it.each<[string, QuantMethod, Parts, string]>([
    ['no scales', 'compressed-tensors', without(ROWS_LAYOUT, 'weight_scale'), `'${LAYER}weight_scale' is missing`],
    ['no scales', 'awq', without(AWQ, 'scales'), `'${LAYER}scales' is missing`],
    ['no zeros', 'gptq', without(GPTQ, 'qzeros'), `'${LAYER}qzeros' is missing`],
    [
      'codes of another shape',
      'awq',
      { ...AWQ, qweight: ['I32', [COLS / 8, ROWS]] },
      `'${LAYER}qweight' is I32 [32, 64], expected I32 [256, 8]`,
    ],
    [
      'codes of another type',
      'compressed-tensors',
      { ...ROWS_LAYOUT, weight_packed: ['I64', [ROWS, COLS / 8]] },
      `'${LAYER}weight_packed' is I64 [64, 32], expected I32 [64, 32]`,
    ],
    [
      'scales of another number of rows',
      'compressed-tensors',
      { ...ROWS_LAYOUT, weight_scale: ['BF16', [ROWS / 2, 2]] },
      `'${LAYER}weight_scale' is BF16 [32, 2], expected F16 or BF16 or F32 [64, 2]`,
    ],
    [
      'zeros of another number of groups',
      'gptq',
      { ...GPTQ, qzeros: ['I32', [4, ROWS / 8]] },
      `'${LAYER}qzeros' is I32 [4, 8], expected I32 [2, 8]`,
    ],
    [
      'groups that do not divide a row',
      'compressed-tensors',
      { ...ROWS_LAYOUT, weight_scale: ['BF16', [ROWS, 3]] },
      "3 groups don't divide the 256 columns",
    ],
    [
      'groups that the kernels do not have',
      'compressed-tensors',
      { ...ROWS_LAYOUT, weight_scale: ['BF16', [ROWS, 16]] },
      'groups of 16 columns; supported: multiples of 32',
    ],
  ])('%s (%s) is refused naming the tensor', (_, method, parts, message) => {
    expect(() => take(method, parts)).toThrow(message);
  });
});
