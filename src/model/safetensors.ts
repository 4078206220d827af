/**
 * A strict reader of safetensors headers: 8 bytes of length, JSON, data. As strict as the format's own library: the
 * tensors cover the data exactly, without holes and overlaps. https://github.com/huggingface/safetensors#format
 */
import type { DType } from '../addon/binding.js';
import { numElements } from './dtype.js';
import { HeaderReader } from './header-reader.js';
import { isObject, type JsonObject, parseJson } from './json-file.js';
import { modelInvalid, quote } from './model-error.js';

const MAX_HEADER = 100_000_000;
const MAX_DIMS = 8;

/** Bytes of one element. */
// biome-ignore format: a table
const ELEMENT_BYTES: Record<string, number> = {
  BOOL: 1, U8: 1, I8: 1, F8_E5M2: 1, F8_E4M3: 1, F8_E8M0: 1, I16: 2, U16: 2, F16: 2, BF16: 2,
  I32: 4, U32: 4, F32: 4, F64: 8, I64: 8, U64: 8,
};

export interface SafetensorsEntry {
  name: string;
  /** One of the format's types; those that are a `DType` can be used. */
  dtype: string;
  shape: number[];
  /** Bytes from the start of the file. */
  offset: number;
  nbytes: number;
}

/** Throws E_MODEL_NOT_FOUND, E_MODEL_INVALID or E_IO_FAILED, each in one line. */
export function readSafetensors(path: string): SafetensorsEntry[] {
  const reader = new HeaderReader(path);
  try {
    const length = reader.u64('the header length');
    if (length > MAX_HEADER) throw modelInvalid(path, `header of ${length} bytes, more than ${MAX_HEADER}`);
    if (length > reader.remaining) {
      throw modelInvalid(path, `truncated: header of ${length} bytes in a file of ${reader.fileSize}`);
    }
    const text = reader.utf8(length, 'the header');
    const header = parseJson(text, path);
    if (!isObject(header)) throw modelInvalid(path, 'header is no JSON object');
    refuseDuplicateKeys(text, header, path);
    const { pos, fileSize } = reader;
    const entries = Object.entries(header)
      .filter(([name]) => name !== '__metadata__')
      .map(([name, info]) => parseEntry(path, name, info, pos));
    checkCover(path, entries, pos, fileSize);
    return entries;
  } finally {
    reader.close();
  }
}

function parseEntry(path: string, name: string, info: unknown, dataStart: number): SafetensorsEntry {
  const what = `tensor ${quote(name)}`;
  if (!isObject(info)) throw modelInvalid(path, `${what} is described by ${quote(info)}, expected an object`);
  const { dtype, shape, data_offsets: offsets } = info;
  const elementBytes = typeof dtype === 'string' && Object.hasOwn(ELEMENT_BYTES, dtype) ? ELEMENT_BYTES[dtype] : null;
  if (typeof dtype !== 'string' || !elementBytes) throw modelInvalid(path, `${what} has unknown dtype ${quote(dtype)}`);
  const isShape = Array.isArray(shape) && shape.length <= MAX_DIMS && shape.every(isSize);
  if (!isShape) throw modelInvalid(path, `${what} has shape ${quote(shape)}`);
  const isSpan = Array.isArray(offsets) && offsets.length === 2 && offsets.every(isSize);
  if (!isSpan) throw modelInvalid(path, `${what} has data_offsets ${quote(offsets)}`);
  const [begin, end] = offsets as [number, number];
  if (end < begin) throw modelInvalid(path, `${what} ends at ${end}, before it begins at ${begin}`);
  const count = shape.includes(0) ? 0 : numElements(shape);
  if (count === null || count * elementBytes !== end - begin) {
    throw modelInvalid(path, `${what} of ${dtype} [${shape.join(', ')}] has a span of ${end - begin} bytes`);
  }
  return { name, dtype, shape, offset: dataStart + begin, nbytes: end - begin };
}

function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** Overlaps, holes, data past the end of the file, bytes that belong to nobody. */
function checkCover(path: string, entries: SafetensorsEntry[], dataStart: number, fileSize: number): void {
  const inOrder = [...entries].sort((a, b) => a.offset - b.offset || a.nbytes - b.nbytes);
  let expected = dataStart;
  for (const { name, offset, nbytes } of inOrder) {
    if (offset < expected) throw modelInvalid(path, `tensor ${quote(name)} overlaps the one before it`);
    if (offset > expected) throw modelInvalid(path, `hole of ${offset - expected} bytes before tensor ${quote(name)}`);
    expected = offset + nbytes;
    if (expected > fileSize) {
      const problem = `truncated: tensor ${quote(name)} ends at byte ${expected} of a file of ${fileSize}`;
      throw modelInvalid(path, problem, 'download it again');
    }
  }
  if (expected !== fileSize) throw modelInvalid(path, `${fileSize - expected} bytes after the last tensor`);
}

/**
 * JSON.parse keeps the last of equal keys in silence. Outside strings a colon stands once for every member of every
 * object, so more colons than parsed members means that some were dropped.
 */
function refuseDuplicateKeys(text: string, header: JsonObject, path: string): void {
  if (countColons(text) !== countMembers(header)) throw modelInvalid(path, 'duplicate keys in the header');
}

/** Colons outside strings of valid JSON. */
function countColons(text: string): number {
  let colons = 0;
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    const char = text.charCodeAt(i);
    if (char === 0x22 /* " */) inString = !inString;
    else if (char === 0x5c /* \ */) i++;
    else if (char === 0x3a /* : */ && !inString) colons++;
  }
  return colons;
}

function countMembers(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  const children: unknown[] = Object.values(value);
  const own = Array.isArray(value) ? 0 : children.length;
  return children.reduce<number>((sum, child) => sum + countMembers(child), own);
}

/** Whether the runtime can use the type. */
export function isUsable(dtype: string): dtype is DType {
  return dtype === 'F32' || dtype === 'F16' || dtype === 'BF16';
}
