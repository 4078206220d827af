/**
 * Where every tensor of the new checkpoint lies, known before any of them is made: shards, headers, sizes. Pure.
 * https://github.com/huggingface/safetensors#format
 */
import type { MatrixFormat, Target } from './scheme.js';

/** A tensor of the new checkpoint. */
export interface Part {
  name: string;
  dtype: 'F32' | 'F16' | 'BF16' | 'I64' | 'I32' | 'I8';
  shape: number[];
  nbytes: number;
  /** Which result of quantising it is; `copy`: the tensor as it was. */
  content: 'copy' | 'codes' | 'scales' | 'zeros' | 'shape';
}

/** What is made of one tensor of the model, in order. */
export interface Item {
  target: Target;
  parts: Part[];
}

export interface Shard {
  file: string;
  /** Length and JSON, as they open the file. */
  header: Buffer;
  items: Item[];
  nbytes: number;
}

/** Shards no larger than this, unless one tensor is. */
const SHARD_BYTES = 2 ** 30;

export function layOut(targets: readonly Target[], shardBytes = SHARD_BYTES): Shard[] {
  const runs: Item[][] = [];
  let size = Number.POSITIVE_INFINITY;
  for (const target of targets) {
    const item = { target, parts: partsOf(target) };
    const nbytes = bytesOf(item.parts);
    if (size + nbytes > shardBytes) {
      runs.push([]);
      size = 0;
    }
    runs.at(-1)?.push(item);
    size += nbytes;
  }
  const pad = (n: number) => String(n).padStart(5, '0');
  return runs.map((items, i) => {
    const file = runs.length === 1 ? 'model.safetensors' : `model-${pad(i + 1)}-of-${pad(runs.length)}.safetensors`;
    const header = headerOf(items);
    return { file, header, items, nbytes: header.length + bytesOf(items.flatMap(({ parts }) => parts)) };
  });
}

const bytesOf = (parts: readonly Part[]) => parts.reduce((sum, { nbytes }) => sum + nbytes, 0);

function partsOf({ tensor, name, format }: Target): Part[] {
  const { dtype, shape, nbytes } = tensor;
  if (format === null) return [{ name, dtype: dtype as Part['dtype'], shape, nbytes, content: 'copy' }];
  const [rows = 0, cols = 0] = shape;
  const base = name.replace(/weight$/, '');
  const groups = format.groupSize === null ? 1 : cols / format.groupSize;
  return [
    codesOf(base, rows, cols, format),
    { name: `${base}weight_scale`, dtype: 'BF16', shape: [rows, groups], nbytes: 2 * rows * groups, content: 'scales' },
    ...(format.bits === 4 ? [zerosOf(base, rows, groups)] : []),
    ...(format.layout === 'pack-quantized'
      ? [{ name: `${base}weight_shape`, dtype: 'I64', shape: [2], nbytes: 16, content: 'shape' } satisfies Part]
      : []),
  ];
}

function codesOf(base: string, rows: number, cols: number, { bits, layout }: MatrixFormat): Part {
  if (layout === 'int-quantized') {
    return { name: `${base}weight`, dtype: 'I8', shape: [rows, cols], nbytes: rows * cols, content: 'codes' };
  }
  const words = (cols * bits) / 32;
  return {
    name: `${base}weight_packed`,
    dtype: 'I32',
    shape: [rows, words],
    nbytes: 4 * rows * words,
    content: 'codes',
  };
}

/** Eight rows a word. */
function zerosOf(base: string, rows: number, groups: number): Part {
  const words = Math.ceil(rows / 8);
  const name = `${base}weight_zero_point`;
  return { name, dtype: 'I32', shape: [words, groups], nbytes: 4 * words * groups, content: 'zeros' };
}

function headerOf(items: readonly Item[]): Buffer {
  const entries: Record<string, unknown> = { __metadata__: { format: 'pt' } };
  let at = 0;
  for (const { name, dtype, shape, nbytes } of items.flatMap(({ parts }) => parts)) {
    entries[name] = { dtype, shape, data_offsets: [at, at + nbytes] };
    at += nbytes;
  }
  const json = JSON.stringify(entries);
  // Data begins at a multiple of 8.
  const padded = json.padEnd(json.length + ((8 - (Buffer.byteLength(json) % 8)) % 8));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(Buffer.byteLength(padded)));
  return Buffer.concat([length, Buffer.from(padded)]);
}

/** model.safetensors.index.json. */
export function indexOf(shards: readonly Shard[]): object {
  const parts = shards.flatMap(({ file, items }) =>
    items.flatMap((item) => item.parts.map((part) => ({ file, part }))),
  );
  return {
    metadata: { total_size: bytesOf(parts.map(({ part }) => part)) },
    weight_map: Object.fromEntries(parts.map(({ file, part }) => [part.name, file])),
  };
}
