/** What `jsg quantize` makes: schemes by name, and what of a model each of them quantises. Pure. */
import type { TensorInfo } from '../addon/binding.js';
import { JsgError } from '../errors.js';
import { nearest } from '../nearest.js';

export const SCHEMES = ['int4wo-128', 'int4wo-32', 'int4wo-64', 'int4wo-256', 'int8wo', 'w8a8'] as const;
export type SchemeName = (typeof SCHEMES)[number];
export const METHODS = ['rtn', 'hqq'] as const;
export type Method = (typeof METHODS)[number];
export const HEADS = ['auto', 'int8', 'int4'] as const;
export type HeadFormat = (typeof HEADS)[number];

/** How one matrix is quantised. */
export interface MatrixFormat {
  bits: 4 | 8;
  /** Columns that share a scale; null: the whole row. */
  groupSize: number | null;
  /** compressed-tensors' layouts: words of packed codes, or one signed byte a code. */
  layout: 'pack-quantized' | 'int-quantized';
  /** Activations are quantised to int8, row by row. */
  int8Activations: boolean;
}

export interface QuantizeOptions {
  scheme: SchemeName;
  method: Method;
  head: HeadFormat;
}

const HEAD = 'lm_head.weight';
const EMBEDDINGS = 'model.embed_tokens.weight';

export function formatOf(scheme: SchemeName): MatrixFormat {
  if (scheme === 'w8a8') return { bits: 8, groupSize: null, layout: 'int-quantized', int8Activations: true };
  if (scheme === 'int8wo') return { bits: 8, groupSize: null, layout: 'pack-quantized', int8Activations: false };
  const groupSize = Number(scheme.slice('int4wo-'.length));
  return { bits: 4, groupSize, layout: 'pack-quantized', int8Activations: false };
}

/** Of a head in int4 the largest group that its rows hold. */
export function headFormatOf(head: HeadFormat, cols: number): MatrixFormat | null {
  if (head === 'auto') return null;
  if (head === 'int8') return { bits: 8, groupSize: null, layout: 'pack-quantized', int8Activations: false };
  const groupSize = [128, 64, 32].find((size) => cols % size === 0);
  return groupSize === undefined ? null : { bits: 4, groupSize, layout: 'pack-quantized', int8Activations: false };
}

/** A tensor of the model, and what becomes of it; null: it is copied. */
export interface Target {
  tensor: TensorInfo;
  /** Name in the new checkpoint. */
  name: string;
  format: MatrixFormat | null;
}

/** Every tensor in its order; a tied head that is quantised follows as a tensor of its own. */
export function targetsOf(tensors: readonly TensorInfo[], tied: boolean, options: QuantizeOptions): Target[] {
  const targets = tensors.map((tensor): Target => {
    const { name, shape } = tensor;
    const cols = shape[1] ?? 0;
    const isHead = name === HEAD;
    const isProjection = name.includes('proj') && shape.length === 2;
    const format = isHead ? headFormatOf(options.head, cols) : isProjection ? formatOf(options.scheme) : null;
    return { tensor, name, format: format !== null && fits(format, cols) ? format : null };
  });
  const table = tensors.find(({ name }) => name === EMBEDDINGS);
  const tiedFormat = tied && table !== undefined ? headFormatOf(options.head, table.shape[1] ?? 0) : null;
  if (table !== undefined && tiedFormat !== null) targets.push({ tensor: table, name: HEAD, format: tiedFormat });
  return targets;
}

/** Columns are packed by 32, and groups divide the row. */
function fits({ groupSize }: MatrixFormat, cols: number): boolean {
  return cols % (groupSize ?? 32) === 0;
}

/** One of the names, or E_USAGE with all of them. */
export function choose<T extends string>(flag: string, value: unknown, names: readonly T[]): T {
  const found = names.find((name) => name === value);
  if (found !== undefined) return found;
  const group = flag === '--scheme' ? /^int4wo-(\w+)$/.exec(String(value))?.[1] : undefined;
  const why = group === undefined ? '' : `; int4wo groupsize needs to be one of [32, 64, 128, 256] but got ${group}`;
  const near = nearest(String(value), names);
  throw new JsgError('E_USAGE', `${flag}: '${value}' is not one of ${names.join(', ')}${why}`, {
    ...(near === null ? {} : { hint: `Did you mean ${flag} ${near}?` }),
  });
}
