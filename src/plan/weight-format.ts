/** What matrices of weights take once they are quantised. Pure. */
import type { Settings } from '../profile/flags.js';

/** TorchAO's names: `int4wo-128` has groups of 128 weights. */
export type Quant = NonNullable<Settings['torchao-config']>;

/** Linear layers within the decoder: what TorchAO quantises as SGLang calls it. Head and embeddings are not among them. */
export function isProjection(name: string): boolean {
  return name.endsWith('_proj.weight');
}

/**
 * Bytes of a matrix (rows, columns); null: 16 bits. int4wo: 4 bits, and a 16-bit scale and zero for each group of a row.
 * int8: a 16-bit scale for each row. fp8: one of 32 bits.
 */
export function matrixBytes(shape: readonly number[], quant: Quant | null): number {
  const elements = shape.reduce((product, dim) => product * dim, 1);
  const rows = shape[0] ?? 0;
  if (quant === null) return 2 * elements;
  const group = groupSizeOf(quant);
  if (group !== null) return elements / 2 + rows * Math.ceil(elements / rows / group) * 4;
  return elements + rows * (quant.startsWith('fp8') ? 4 : 2);
}

/** Weights that share a scale; null: not a format of groups. */
export function groupSizeOf(quant: Quant): number | null {
  const group = /^int4wo-(\d+)$/.exec(quant)?.[1];
  return group === undefined ? null : Number(group);
}

/** Class of a format that measured efficiencies are kept by. */
export type FormatClass = '16bit' | '8bit' | '4bit';

export function formatClassOf(quant: Quant | null): FormatClass {
  if (quant === null) return '16bit';
  return groupSizeOf(quant) === null ? '8bit' : '4bit';
}
