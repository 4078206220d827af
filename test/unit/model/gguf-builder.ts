/** Makes GGUF files, sound ones and, by overriding any count or offset, damaged ones. */
import { Buffer } from 'node:buffer';

const VALUE_TYPES = {
  u8: 0, i8: 1, u16: 2, i16: 3, u32: 4, i32: 5, f32: 6, bool: 7, string: 8, array: 9, u64: 10, i64: 11, f64: 12,
}; // biome-ignore format: a table
export type ValueType = keyof typeof VALUE_TYPES;

export interface KeyValue {
  key: string;
  type: ValueType | number;
  value: unknown;
  /** Of arrays. */
  elementType?: ValueType | number;
  /** Claimed instead of the true number of elements. */
  claimedCount?: number | bigint;
}

export interface TensorSpec {
  name: string;
  /** In the file's order: innermost first. */
  dims: (number | bigint)[];
  /** ggml's number; default F32. */
  type?: number;
  /** Default: right after the tensor before, aligned. */
  offset?: number | bigint;
  /** Default: zeros of the right size for F32. */
  data?: Uint8Array;
}

export interface GgufSpec {
  magic?: string;
  version?: number;
  numTensors?: number | bigint;
  numKeys?: number | bigint;
  keys?: KeyValue[];
  tensors?: TensorSpec[];
  alignment?: number;
  /** Bytes of data left off at the end. */
  cut?: number;
}

export function buildGguf(spec: GgufSpec): Buffer {
  const { keys = [], tensors = [], alignment = 32 } = spec;
  const parts: Buffer[] = [Buffer.from(spec.magic ?? 'GGUF'), u32(spec.version ?? 3)];
  parts.push(u64(spec.numTensors ?? tensors.length), u64(spec.numKeys ?? keys.length));
  for (const key of keys) parts.push(string(key.key), u32(typeNumber(key.type)), encode(key));

  const data: Buffer[] = [];
  let dataLength = 0;
  for (const { name, dims, type = 0, offset, data: given } of tensors) {
    const size = dims.reduce<number>((product, dim) => product * Number(dim), 4);
    const bytes = Buffer.from(given ?? new Uint8Array(size > 0 && size < 1 << 20 ? size : 0));
    parts.push(string(name), u32(dims.length), ...dims.map(u64), u32(type), u64(offset ?? dataLength));
    data.push(bytes, Buffer.alloc((alignment - (bytes.length % alignment)) % alignment));
    dataLength += bytes.length + (data.at(-1)?.length ?? 0);
  }
  const header = Buffer.concat(parts);
  const padding = Buffer.alloc((alignment - (header.length % alignment)) % alignment);
  const file = Buffer.concat([header, tensors.length > 0 ? padding : Buffer.alloc(0), ...data]);
  return file.subarray(0, file.length - (spec.cut ?? 0));
}

function typeNumber(type: ValueType | number): number {
  return typeof type === 'number' ? type : VALUE_TYPES[type];
}

function encode({ type, value, elementType = 'u32', claimedCount }: KeyValue): Buffer {
  if (type !== 'array') return scalar(type, value);
  const elements = value as unknown[];
  const count = u64(claimedCount ?? elements.length);
  return Buffer.concat([
    u32(typeNumber(elementType)),
    count,
    ...elements.map((element) => scalar(elementType, element)),
  ]);
}

function scalar(type: ValueType | number, value: unknown): Buffer {
  const bytes = Buffer.alloc(8);
  switch (type) {
    case 'string':
      return string(value as string);
    case 'u64':
    case 'i64':
      bytes.writeBigInt64LE(BigInt.asIntN(64, BigInt(value as number)));
      return bytes;
    case 'f64':
      bytes.writeDoubleLE(value as number);
      return bytes;
    case 'f32':
      bytes.writeFloatLE(value as number);
      return bytes.subarray(0, 4);
    case 'u16':
    case 'i16':
      bytes.writeUInt16LE((value as number) & 0xffff);
      return bytes.subarray(0, 2);
    case 'u8':
    case 'i8':
    case 'bool':
      bytes.writeUInt8(Number(value) & 0xff);
      return bytes.subarray(0, 1);
    default:
      bytes.writeUInt32LE((value as number) >>> 0);
      return bytes.subarray(0, 4);
  }
}

function string(text: string): Buffer {
  const bytes = Buffer.from(text, 'utf8');
  return Buffer.concat([u64(bytes.length), bytes]);
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function u64(value: number | bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)));
  return bytes;
}
