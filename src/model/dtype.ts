/** Storage sizes of the tensor types that the runtime reads. */
import type { DType } from '../addon/binding.js';

interface BlockSize {
  /** Elements and bytes of one storage block; plain types have blocks of one. */
  elems: number;
  bytes: number;
}

const BLOCKS: Record<DType, BlockSize> = {
  F32: { elems: 1, bytes: 4 },
  F16: { elems: 1, bytes: 2 },
  BF16: { elems: 1, bytes: 2 },
  Q4_0: { elems: 32, bytes: 18 },
  Q4_1: { elems: 32, bytes: 20 },
  Q5_0: { elems: 32, bytes: 22 },
  Q5_1: { elems: 32, bytes: 24 },
  Q8_0: { elems: 32, bytes: 34 },
  Q4_K: { elems: 256, bytes: 144 },
  Q5_K: { elems: 256, bytes: 176 },
  Q6_K: { elems: 256, bytes: 210 },
};

/** Types of one number an element: the only ones for norms and biases. */
export function isPlain(dtype: DType): boolean {
  return BLOCKS[dtype].elems === 1;
}

/** Product of the dimensions, or null where one is no positive integer or the product is not exact in a double. */
export function numElements(shape: readonly number[]): number | null {
  let product = 1;
  for (const dim of shape) {
    if (!Number.isSafeInteger(dim) || dim < 1) return null;
    product *= dim;
    if (product > Number.MAX_SAFE_INTEGER) return null;
  }
  return product;
}

/** Bytes of a row-major tensor, or null where rows are no whole number of blocks or a size overflows. */
export function tensorBytes(dtype: DType, shape: readonly number[]): number | null {
  const { elems, bytes } = BLOCKS[dtype];
  const count = numElements(shape);
  const row = shape.at(-1) ?? 1;
  if (count === null || row % elems !== 0) return null;
  const total = (count / elems) * bytes;
  return Number.isSafeInteger(total) ? total : null;
}
