/** Shares of what memory and tensor cores could do that runs have reached, each with its source. Data and one choice. */
import type { Rates } from './board.js';
import type { FormatClass } from './weight-format.js';

export interface Efficiency {
  /** Of the read bandwidth. */
  share: number;
  source: string;
}

const SEED = 'SGLang, Llama 8B on an AGX Orin in MAXN';

/** Decoding on a Jetson, of the nominal bandwidth. */
const NOMINAL: Record<FormatClass, Efficiency> = {
  '16bit': { share: 0.83, source: `${SEED}: 11.19 and 11.34 token/s in fp16` },
  '4bit': { share: 0.72, source: `${SEED}: 30.84 token/s with int4wo-128` },
  '8bit': { share: 0.72, source: `no figure for 8 bits; as int4wo-128 (${SEED})` },
};
const REFERENCE_ATTENTION: Efficiency = { share: 0.59, source: `${SEED}: 8.04 token/s with torch_native` };

/** Decoding here, of the bandwidth that was read in the same process. */
const MEASURED: Record<'cpu' | 'cuda', Efficiency> = {
  cuda: { share: 0.89, source: 'jsg, Llama 8B in fp16 on an H100' },
  cpu: { share: 0.81, source: 'jsg, SmolLM2 on two cores of an AMD EPYC' },
};

export function decodeEfficiency(
  format: FormatClass,
  referenceAttention: boolean,
  backend: 'cpu' | 'cuda',
  basis: Rates['bandwidthIs'],
): Efficiency {
  if (basis === 'measured') return MEASURED[backend];
  const ofFormat = NOMINAL[format];
  return referenceAttention && REFERENCE_ATTENTION.share < ofFormat.share ? REFERENCE_ATTENTION : ofFormat;
}

/** Prefill, of the dense fp16 rate. There is no figure of a Jetson. */
export const PREFILL: Efficiency = { share: 0.56, source: 'jsg, 8 x 256 tokens of Llama 8B in fp16 on an H100' };

/** int8 weights and activations against fp16, the whole prefill. */
export const INT8_PREFILL = { speedup: 1.87, source: 'W8A8 in a kernel study of AGX Orin' };

/**
 * What one more sequence costs a decode step over quantised weights, of the dense fp16 rate: dequantised weights are
 * multiplied far below it. From TensorRT Edge-LLM's Qwen3-8B in INT4 on an AGX Orin: 31.4 token/s alone, 139 in a batch of 8.
 */
export const QUANTISED_BATCH: Efficiency = {
  share: 0.1,
  source: 'TensorRT Edge-LLM on AGX Orin: 8 streams 139 token/s',
};

/**
 * Bytes that one SM reads in a clock of the GPU, the most that a documented run shows: 14.0 token/s of Llama 3.1 8B in
 * 4 bits (3.99 GB) on an Orin Nano, 8 SMs at 625 MHz. What a mode asks beyond it may not be had.
 */
export const PROVEN_BYTES_PER_SM_CLOCK = 11.2;
