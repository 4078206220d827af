/** The few looks at tensor data that loading needs; the weights themselves are mapped by the runtime. */
import { closeSync, openSync, readSync } from 'node:fs';
import type { TensorInfo } from '../addon/binding.js';
import { isPlain } from './dtype.js';
import { fileError, modelInvalid, quote } from './model-error.js';

/** Vectors only: a bias of the widest model is far smaller. */
const MAX_BYTES = 16 << 20;

/** Whether every number of a plain vector is zero (of either sign). */
export function isAllZero(file: string, tensor: TensorInfo): boolean {
  if (!isPlain(tensor.dtype)) return false;
  if (tensor.nbytes > MAX_BYTES) throw modelInvalid(file, `tensor ${quote(tensor.name)} is too large for a bias`);
  const bytes = readTensor(file, tensor);
  const width = tensor.dtype === 'F32' ? 4 : 2;
  return bytes.every((byte, i) => byte === 0 || (byte === 0x80 && i % width === width - 1));
}

/** The numbers of an int32 vector. */
export function readInt32(file: string, tensor: Pick<TensorInfo, 'name' | 'offset' | 'nbytes'>): Int32Array {
  if (tensor.nbytes > MAX_BYTES) throw modelInvalid(file, `tensor ${quote(tensor.name)} is too large for an index`);
  const bytes = readTensor(file, tensor);
  return Int32Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readInt32LE(4 * i));
}

function readTensor(file: string, { offset, nbytes }: Pick<TensorInfo, 'offset' | 'nbytes'>): Buffer {
  try {
    const fd = openSync(file, 'r');
    try {
      const bytes = Buffer.alloc(nbytes);
      readSync(fd, bytes, 0, nbytes, offset);
      return bytes;
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw fileError(file, error);
  }
}
