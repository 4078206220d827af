/** Makes the shards of a quantised checkpoint in a folder beside its place; what a killed run finished is kept. */
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import type { NativeBinding, QuantizedMatrix } from '../addon/binding.js';
import { writeAtomically } from '../files.js';
import type { MatrixError } from './describe.js';
import type { Item, Part, Shard } from './layout.js';
import type { Method } from './scheme.js';

const COPY_BYTES = 8 << 20;
/** What is being written. */
const UNFINISHED = '.unfinished';

export interface Work {
  /** Where shards are made. */
  folder: string;
  shards: readonly Shard[];
  /** Of the model. */
  files: readonly string[];
  method: Method;
  numThreads: number;
  quantizeMatrix: NativeBinding['quantizeMatrix'];
  /** Bytes of the new checkpoint that are there, and the tensor at work. */
  onProgress: (doneBytes: number, name: string) => void;
  signal?: AbortSignal;
}

/** Errors of all matrices, in order. Throws what writing throws; finished shards stay, the one at work does not. */
export async function writeShards(work: Work): Promise<MatrixError[]> {
  const { folder, shards, onProgress } = work;
  for (const name of readdirSync(folder)) if (name.endsWith(UNFINISHED)) rmSync(join(folder, name));
  const errors: MatrixError[] = [];
  let doneBytes = 0;
  for (const shard of shards) {
    const errorsOfShard = finishedShard(folder, shard) ?? (await writeShard(work, shard, doneBytes));
    errors.push(...errorsOfShard);
    doneBytes += shard.nbytes;
    onProgress(doneBytes, shard.file);
  }
  return errors;
}

/** What a shard's matrices lost is kept beside it until all are there. */
export const errorsFile = (folder: string, { file }: Shard) => join(folder, `${file}.errors.json`);

function finishedShard(folder: string, shard: Shard): MatrixError[] | null {
  const path = join(folder, shard.file);
  const notes = errorsFile(folder, shard);
  if (!existsSync(notes) || statSync(path, { throwIfNoEntry: false })?.size !== shard.nbytes) return null;
  return JSON.parse(readFileSync(notes, 'utf8')) as MatrixError[];
}

async function writeShard(work: Work, shard: Shard, doneBefore: number): Promise<MatrixError[]> {
  const path = join(work.folder, shard.file);
  const temporary = `${path}${UNFINISHED}`;
  const errors: MatrixError[] = [];
  const file = openSync(temporary, 'wx');
  try {
    try {
      let done = doneBefore + writeAll(file, shard.header);
      for (const item of shard.items) {
        work.signal?.throwIfAborted();
        work.onProgress(done, item.target.name);
        done += await writeItem(file, work, item, errors);
      }
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    writeAtomically(errorsFile(work.folder, shard), JSON.stringify(errors));
    renameSync(temporary, path);
    return errors;
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

async function writeItem(file: number, work: Work, item: Item, errors: MatrixError[]): Promise<number> {
  const { tensor, name, format } = item.target;
  const source = work.files[tensor.file] ?? '';
  if (format === null) return copyBytes(source, tensor.offset, tensor.nbytes, file);
  const [rows = 0, cols = 0] = tensor.shape;
  const matrix = await work.quantizeMatrix({
    path: source,
    dtype: tensor.dtype as 'F32' | 'F16' | 'BF16',
    offset: tensor.offset,
    rows,
    cols,
    scheme: {
      bits: format.bits,
      groupSize: format.groupSize ?? cols,
      method: work.method,
      biased: format.layout === 'pack-quantized',
    },
    numThreads: work.numThreads,
  });
  errors.push({ name, squaredError: matrix.squaredError, squaredNorm: matrix.squaredNorm });
  return item.parts.reduce((sum, part) => sum + writeAll(file, contentOf(part, matrix, [rows, cols])), 0);
}

function contentOf({ content }: Part, matrix: QuantizedMatrix, shape: readonly [number, number]): Uint8Array {
  switch (content) {
    case 'codes':
      return matrix.codes;
    case 'scales':
      return matrix.scales;
    case 'zeros':
      return matrix.zeros ?? new Uint8Array();
    default:
      return new Uint8Array(BigInt64Array.from(shape.map(BigInt)).buffer);
  }
}

/** A write may take less than it is given, on a disk that fills up above all. */
function writeAll(file: number, bytes: Uint8Array): number {
  for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at, bytes.length - at);
  return bytes.length;
}

function copyBytes(source: string, offset: number, nbytes: number, to: number): number {
  const from = openSync(source, 'r');
  try {
    const piece = Buffer.alloc(Math.min(COPY_BYTES, nbytes));
    for (let at = 0; at < nbytes; ) {
      const n = readSync(from, piece, 0, Math.min(piece.length, nbytes - at), offset + at);
      if (n === 0) throw new Error(`${source} became shorter while it was read`);
      at += writeAll(to, piece.subarray(0, n));
    }
    return nbytes;
  } finally {
    closeSync(from);
  }
}
