/**
 * A strict reader of GGUF v2 and v3 headers (little-endian). Layout: magic, version, tensor count, key count, keys with
 * typed values, tensor infos, padding, data. https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 *
 * Every count is checked against the bytes that are left before anything is allocated for it; see
 * docs/decisions/0002-gguf-reader.md for why it is our own.
 */
import type { DType } from '../addon/binding.js';
import { numElements, tensorBytes } from './dtype.js';
import { HeaderReader } from './header-reader.js';
import { modelInvalid, modelUnsupported, quote } from './model-error.js';

const MAGIC = 0x46554747; // 'GGUF'
const MAX_KEYS = 1 << 16;
const MAX_TENSORS = 1 << 16;
/** Merges of the largest vocabularies number 600 k. */
const MAX_ARRAY = 1 << 22;
const MAX_NAME = 1 << 16;
const MAX_DIMS = 4;
const DEFAULT_ALIGNMENT = 32;
const MAX_ALIGNMENT = 1 << 20;

// biome-ignore format: a table, index = type number
const VALUE_TYPES = [
  'u8', 'i8', 'u16', 'i16', 'u32', 'i32', 'f32', 'bool', 'string', 'array', 'u64', 'i64', 'f64',
] as const;
type ValueType = (typeof VALUE_TYPES)[number];

/** Bytes; of strings and arrays the least that one takes. */
// biome-ignore format: a table
const SIZES: Record<ValueType, number> = {
  u8: 1, i8: 1, u16: 2, i16: 2, u32: 4, i32: 4, f32: 4, bool: 1, string: 8, array: 12, u64: 8, i64: 8, f64: 8,
};

/** ggml's tensor types by number; null: removed from the format. The ones we read are named as `DType`s. */
// biome-ignore format: a table, index = type number
const TENSOR_TYPES = [
  'F32', 'F16', 'Q4_0', 'Q4_1', null, null, 'Q5_0', 'Q5_1', 'Q8_0', 'Q8_1', 'Q2_K', 'Q3_K', 'Q4_K', 'Q5_K', 'Q6_K',
  'Q8_K', 'IQ2_XXS', 'IQ2_XS', 'IQ3_XXS', 'IQ1_S', 'IQ4_NL', 'IQ3_S', 'IQ2_S', 'IQ4_XS', 'I8', 'I16', 'I32', 'I64',
  'F64', 'IQ1_M', 'BF16', null, null, null, 'TQ1_0', 'TQ2_0', null, null, null, 'MXFP4',
] as const;
// biome-ignore format: a list
const READABLE: ReadonlySet<string> = new Set<DType>([
  'F32', 'F16', 'BF16', 'Q4_0', 'Q4_1', 'Q5_0', 'Q5_1', 'Q8_0', 'Q4_K', 'Q5_K', 'Q6_K',
]);

export type GgufArray = string[] | Float32Array | Int32Array | Uint32Array | number[];
type GgufScalar = string | number | boolean;
export type GgufValue = GgufScalar | GgufArray;

export interface GgufTensor {
  name: string;
  dtype: DType;
  /** Row-major, outermost first (the file stores it reversed). */
  shape: number[];
  /** Bytes from the start of the file. */
  offset: number;
  nbytes: number;
}

export interface GgufHeader {
  path: string;
  version: number;
  metadata: ReadonlyMap<string, GgufValue>;
  tensors: GgufTensor[];
}

/** Throws E_MODEL_NOT_FOUND, E_MODEL_INVALID, E_MODEL_UNSUPPORTED or E_IO_FAILED, each in one line. */
export function readGguf(path: string): GgufHeader {
  const reader = new HeaderReader(path);
  try {
    return parse(reader);
  } finally {
    reader.close();
  }
}

function parse(reader: HeaderReader): GgufHeader {
  const { path } = reader;
  if (reader.u32('the magic') !== MAGIC) throw modelInvalid(path, "not a GGUF file (it doesn't begin with 'GGUF')");
  const version = reader.u32('the version');
  if (version === 1) throw modelUnsupported(path, 'GGUF version 1; supported: 2 and 3', 'convert the model again');
  if (version !== 2 && version !== 3) throw modelInvalid(path, `GGUF version ${version}; supported: 2 and 3`);
  const numTensors = reader.u64('the tensor count');
  const numKeys = reader.u64('the key count');
  // The least a key takes: its length, one character, a type, one byte. A tensor: the same, dimensions and an offset.
  checkCount(reader, 'keys', numKeys, MAX_KEYS, 14);
  checkCount(reader, 'tensors', numTensors, MAX_TENSORS, 33);

  const metadata = new Map<string, GgufValue>();
  for (let i = 0; i < numKeys; i++) {
    const key = readName(reader, 'a key');
    if (metadata.has(key)) throw modelInvalid(path, `duplicate key ${quote(key)}`);
    metadata.set(key, readValue(reader, key, readType(reader, key)));
  }
  const infos: TensorEntry[] = [];
  const names = new Set<string>();
  for (let i = 0; i < numTensors; i++) {
    const info = readTensorInfo(reader);
    if (names.has(info.name)) throw modelInvalid(path, `duplicate tensor ${quote(info.name)}`);
    names.add(info.name);
    infos.push(info);
  }
  return { path, version, metadata, tensors: placeTensors(reader, infos, alignmentOf(path, metadata)) };
}

function checkCount(reader: HeaderReader, what: string, count: number, limit: number, leastBytes: number): void {
  if (count > limit || count * leastBytes > reader.remaining) {
    throw modelInvalid(reader.path, `claims ${count} ${what}, more than it can hold`);
  }
}

function readName(reader: HeaderReader, what: string): string {
  const length = reader.u64(`the length of ${what}`);
  if (length === 0 || length > MAX_NAME) throw modelInvalid(reader.path, `${what} has a name of ${length} bytes`);
  return reader.utf8(length, `the name of ${what}`);
}

function readType(reader: HeaderReader, key: string): ValueType {
  const type = reader.u32(`the type of ${quote(key)}`);
  const name = VALUE_TYPES[type];
  if (name === undefined) throw modelInvalid(reader.path, `key ${quote(key)} has unknown type ${type}`);
  return name;
}

function readValue(reader: HeaderReader, key: string, type: ValueType): GgufValue {
  if (type !== 'array') return readScalar(reader, key, type);
  const elementType = readType(reader, key);
  const count = reader.u64(`the length of ${quote(key)}`);
  if (elementType === 'array') throw modelUnsupported(reader.path, `key ${quote(key)} is an array of arrays`);
  checkCount(reader, `elements of ${quote(key)}`, count, MAX_ARRAY, SIZES[elementType]);
  const what = quote(key);
  switch (elementType) {
    case 'f32':
      return new Float32Array(reader.bytes(4 * count, what));
    case 'i32':
      return new Int32Array(reader.bytes(4 * count, what));
    case 'u32':
      return new Uint32Array(reader.bytes(4 * count, what));
    case 'string': {
      const strings: string[] = [];
      for (let i = 0; i < count; i++) strings.push(reader.utf8(reader.u64(what), what));
      return strings;
    }
    default: {
      const numbers: number[] = [];
      for (let i = 0; i < count; i++) numbers.push(Number(readScalar(reader, key, elementType)));
      return numbers;
    }
  }
}

function readScalar(reader: HeaderReader, key: string, type: Exclude<ValueType, 'array'>): GgufScalar {
  const what = quote(key);
  if (type === 'string') return reader.utf8(reader.u64(`the length of ${what}`), what);
  const view = reader.view(SIZES[type], what);
  switch (type) {
    case 'u8':
      return view.getUint8(0);
    case 'i8':
      return view.getInt8(0);
    case 'u16':
      return view.getUint16(0, true);
    case 'i16':
      return view.getInt16(0, true);
    case 'u32':
      return view.getUint32(0, true);
    case 'i32':
      return view.getInt32(0, true);
    case 'f32':
      return view.getFloat32(0, true);
    case 'f64':
      return view.getFloat64(0, true);
    case 'u64':
      return Number(view.getBigUint64(0, true));
    case 'i64':
      return Number(view.getBigInt64(0, true));
    case 'bool': {
      const byte = view.getUint8(0);
      if (byte > 1) throw modelInvalid(reader.path, `key ${what} is a bool of value ${byte}`);
      return byte === 1;
    }
  }
}

/** A tensor as the header has it: its offset counts from the start of the data. */
interface TensorEntry {
  name: string;
  dtype: DType;
  shape: number[];
  relativeOffset: number;
  nbytes: number;
}

function readTensorInfo(reader: HeaderReader): TensorEntry {
  const { path } = reader;
  const name = readName(reader, 'a tensor');
  const what = `tensor ${quote(name)}`;
  const numDims = reader.u32(what);
  if (numDims < 1 || numDims > MAX_DIMS) throw modelInvalid(path, `${what} has ${numDims} dimensions`);
  const shape: number[] = [];
  for (let i = 0; i < numDims; i++) shape.unshift(reader.u64(`a dimension of ${what}`));
  const type = reader.u32(what);
  const relativeOffset = reader.u64(`the offset of ${what}`);
  if (numElements(shape) === null) throw modelInvalid(path, `${what} has shape [${shape.join(', ')}]`);
  const typeName = TENSOR_TYPES[type];
  if (typeName === undefined || typeName === null) throw modelInvalid(path, `${what} has unknown type ${type}`);
  if (!READABLE.has(typeName)) {
    const hint = `use a file quantised as one of ${[...READABLE].join(', ')} (Q4_K_M, for one)`;
    throw modelUnsupported(path, `${what} is ${typeName}, which this runtime doesn't read`, hint);
  }
  const dtype = typeName as DType;
  const nbytes = tensorBytes(dtype, shape);
  if (nbytes === null) throw modelInvalid(path, `${what} of type ${dtype} can't have shape [${shape.join(', ')}]`);
  return { name, dtype, shape, relativeOffset, nbytes };
}

function alignmentOf(path: string, metadata: ReadonlyMap<string, GgufValue>): number {
  const alignment = metadata.get('general.alignment') ?? DEFAULT_ALIGNMENT;
  const valid = typeof alignment === 'number' && alignment >= 1 && alignment <= MAX_ALIGNMENT;
  if (!valid || !Number.isInteger(Math.log2(alignment))) {
    throw modelInvalid(path, `general.alignment is ${quote(alignment)}, expected a power of two`);
  }
  return alignment;
}

/** Absolute offsets, each aligned, inside the file and overlapping no other. */
function placeTensors(reader: HeaderReader, entries: TensorEntry[], alignment: number): GgufTensor[] {
  const { path, fileSize } = reader;
  const dataStart = Math.ceil(reader.pos / alignment) * alignment;
  const tensors = entries.map(({ relativeOffset, ...tensor }) => {
    if (relativeOffset % alignment !== 0) {
      throw modelInvalid(path, `tensor ${quote(tensor.name)} is misaligned (offset ${relativeOffset}, ${alignment})`);
    }
    const offset = dataStart + relativeOffset;
    const end = offset + tensor.nbytes;
    if (end > fileSize) {
      const problem = `truncated: tensor ${quote(tensor.name)} ends at byte ${end} of a file of ${fileSize}`;
      throw modelInvalid(path, problem, 'download it again');
    }
    return { ...tensor, offset };
  });
  const inOrder = [...tensors].sort((a, b) => a.offset - b.offset);
  for (let i = 1; i < inOrder.length; i++) {
    const [before, after] = [inOrder[i - 1], inOrder[i]];
    if (before && after && before.offset + before.nbytes > after.offset) {
      throw modelInvalid(path, `tensors ${quote(before.name)} and ${quote(after.name)} overlap`);
    }
  }
  return tensors;
}
