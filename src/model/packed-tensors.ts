/**
 * Matrices of checkpoints that others quantised: the tensors that a matrix is stored as become one entry of the runtime's
 * table. Layouts: https://github.com/vllm-project/compressed-tensors (pack_quantized.py, int_quantized.py),
 * https://github.com/casper-hansen/AutoAWQ (gemm), https://github.com/ModelCloud/GPTQModel (gptq).
 */
import type { Packing, TensorInfo } from '../addon/binding.js';
import { modelInvalid, modelUnsupported, quote } from './model-error.js';
import type { Quantization, QuantMethod } from './quantization.js';
import type { SafetensorsEntry } from './safetensors.js';
import type { PlannedTensor } from './tensor-plan.js';
import { readInt32 } from './tensor-read.js';

export type StoredEntry = SafetensorsEntry & { file: number };

/** The kernels take columns by so many. */
const COLUMNS = 32;

/** Names of the parts after the layer's, codes first. */
const PARTS: Record<QuantMethod, readonly string[]> = {
  'compressed-tensors': ['weight_packed', 'weight_scale', 'weight_zero_point', 'weight_shape', 'weight_g_idx'],
  awq: ['qweight', 'qzeros', 'scales'],
  gptq: ['qweight', 'qzeros', 'scales', 'g_idx'],
};

/**
 * Takes out of `entries` all parts of quantised matrices of the plan. Throws E_MODEL_INVALID naming a part that is missing
 * or of a wrong shape, E_MODEL_UNSUPPORTED for groups that the runtime has no kernels for.
 */
export function takePackedTensors(
  entries: Map<string, StoredEntry>,
  { method, int8Activations }: Quantization,
  plan: readonly PlannedTensor[],
  files: readonly string[],
): TensorInfo[] {
  return plan.flatMap(({ name, shape }) => {
    const [rows, cols] = shape;
    if (rows === undefined || cols === undefined) return [];
    const base = name.replace(/weight$/, '');
    const matrix = new StoredMatrix(entries, files, base, rows, cols);
    const packed = method === 'compressed-tensors' ? readRows(matrix) : readColumns(matrix, method);
    if (packed === null) return [];
    for (const part of [...PARTS[method], ...(packed.packing.signedCodes ? ['weight'] : [])])
      entries.delete(base + part);
    const { codes, packing } = packed;
    const is8Bit = packing.layout === 'rows' && packing.bits === 8 && packing.signedCodes;
    return [
      {
        name,
        dtype: packing.scaleType === 'F16' ? 'F16' : 'BF16',
        shape,
        file: codes.file,
        offset: codes.offset,
        nbytes: codes.nbytes,
        packing,
        ...(int8Activations && is8Bit ? { int8Activations } : {}),
      } satisfies TensorInfo,
    ];
  });
}

interface Packed {
  codes: StoredEntry;
  packing: Packing;
}

/** One matrix (rows, cols), and its parts by name. */
class StoredMatrix {
  constructor(
    private readonly entries: ReadonlyMap<string, StoredEntry>,
    private readonly files: readonly string[],
    private readonly base: string,
    readonly rows: number,
    readonly cols: number,
  ) {}

  find(part: string): StoredEntry | null {
    return this.entries.get(this.base + part) ?? null;
  }

  part(part: string, beside: StoredEntry): StoredEntry {
    const found = this.find(part);
    if (found !== null) return found;
    throw modelInvalid(
      this.pathOf(beside),
      `tensor ${quote(this.base + part)} is missing beside ${quote(beside.name)}`,
    );
  }

  pathOf(entry: StoredEntry): string {
    return this.files[entry.file] ?? '';
  }

  /** Throws unless the entry has one of the types and exactly this shape. */
  check(entry: StoredEntry, types: readonly string[], shape: readonly number[]): void {
    const isShape = entry.shape.length === shape.length && entry.shape.every((dim, i) => dim === shape[i]);
    if (isShape && types.includes(entry.dtype)) return;
    const got = `${entry.dtype} [${entry.shape.join(', ')}]`;
    throw modelInvalid(
      this.pathOf(entry),
      `tensor ${quote(entry.name)} is ${got}, expected ${types.join(' or ')} [${shape.join(', ')}]`,
    );
  }

  /** Columns of a group, of which a row has `groups`. */
  groupSize(groups: number, entry: StoredEntry): number {
    const size = this.cols / groups;
    if (!Number.isInteger(size)) {
      const problem = `tensor ${quote(entry.name)}: ${groups} groups don't divide the ${this.cols} columns of a row`;
      throw modelInvalid(this.pathOf(entry), problem);
    }
    if (size % COLUMNS === 0) return size;
    const problem = `tensor ${quote(entry.name)}: groups of ${size} columns; supported: multiples of ${COLUMNS}`;
    throw modelUnsupported(this.pathOf(entry), problem);
  }

  scaleType(entry: StoredEntry): Packing['scaleType'] {
    if (entry.dtype === 'F16' || entry.dtype === 'BF16' || entry.dtype === 'F32') return entry.dtype;
    throw modelInvalid(this.pathOf(entry), `tensor ${quote(entry.name)} is ${entry.dtype}, expected F16, BF16 or F32`);
  }
}

const partOf = ({ file, offset, nbytes }: StoredEntry) => ({ file, offset, nbytes });
const FLOATS = ['F16', 'BF16', 'F32'];

/** compressed-tensors. Null: the matrix is not quantised. */
function readRows(matrix: StoredMatrix): Packed | null {
  const { rows, cols } = matrix;
  const packed = matrix.find('weight_packed');
  const plain = matrix.find('weight');
  const codes = packed ?? (plain?.dtype === 'I8' ? plain : null);
  if (codes === null) return null;
  const bits = packed === null || packed.shape[1] === cols / 4 ? 8 : 4;
  if (packed === null) matrix.check(codes, ['I8'], [rows, cols]);
  else matrix.check(codes, ['I32'], [rows, (cols * bits) / 32]);
  const scales = matrix.part('weight_scale', codes);
  // One scale a row is at times stored as a vector.
  const groups = scales.shape.length === 1 ? 1 : (scales.shape[1] ?? 0);
  matrix.check(scales, FLOATS, scales.shape.length === 1 ? [rows] : [rows, groups]);
  const groupSize = matrix.groupSize(groups, scales);
  const zeros = matrix.find('weight_zero_point');
  if (zeros?.dtype === 'I8') matrix.check(zeros, ['I8'], scales.shape);
  else if (zeros !== null) matrix.check(zeros, ['I32'], [Math.ceil((rows * bits) / 32), groups]);
  const index = matrix.find('weight_g_idx');
  if (index !== null && !isInOrder(matrix, index, groupSize)) {
    throw modelUnsupported(
      matrix.pathOf(index),
      `tensor ${quote(index.name)}: reordered groups are not supported here`,
    );
  }
  return {
    codes,
    packing: {
      layout: 'rows',
      bits,
      groupSize,
      signedCodes: packed === null,
      bytesAsZeros: zeros?.dtype === 'I8',
      scaleType: matrix.scaleType(scales),
      scales: partOf(scales),
      zeros: zeros === null ? null : partOf(zeros),
      groupIndex: null,
    },
  };
}

/** AWQ and GPTQ. Null: the matrix is not quantised. */
function readColumns(matrix: StoredMatrix, layout: 'awq' | 'gptq'): Packed | null {
  const { rows, cols } = matrix;
  const codes = matrix.find('qweight');
  if (codes === null) return null;
  const scales = matrix.part('scales', codes);
  const zeros = matrix.part('qzeros', codes);
  const groups = scales.shape[0] ?? 0;
  const bits = layout === 'gptq' && codes.shape[0] === cols / 4 ? 8 : 4;
  matrix.check(codes, ['I32'], layout === 'awq' ? [cols, rows / 8] : [(cols * bits) / 32, rows]);
  matrix.check(scales, FLOATS, [groups, rows]);
  matrix.check(zeros, ['I32'], [groups, (rows * bits) / 32]);
  const groupSize = matrix.groupSize(groups, scales);
  const index = layout === 'gptq' ? matrix.find('g_idx') : null;
  const isReordered = index !== null && !isInOrder(matrix, index, groupSize);
  return {
    codes,
    packing: {
      layout,
      bits,
      groupSize,
      signedCodes: false,
      bytesAsZeros: false,
      scaleType: matrix.scaleType(scales),
      scales: partOf(scales),
      zeros: partOf(zeros),
      groupIndex: isReordered ? partOf(index) : null,
    },
  };
}

/** Whether column c is of group c / size, as without act-order. */
function isInOrder(matrix: StoredMatrix, index: StoredEntry, groupSize: number): boolean {
  matrix.check(index, ['I32'], [matrix.cols]);
  return readInt32(matrix.pathOf(index), index).every((group, column) => group === Math.floor(column / groupSize));
}
