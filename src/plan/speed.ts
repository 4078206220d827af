/**
 * The byte model: a decode step reads every weight once and the KV cache of every sequence, prefill is bound by the tensor
 * cores. Pure. Rates are tokens a second over all streams; null: something that it takes is not known.
 */
import type { ModelConfig } from '../addon/binding.js';
import type { ClockBounds, Rates } from './board.js';
import {
  decodeEfficiency,
  type Efficiency,
  INT8_PREFILL,
  PREFILL,
  PROVEN_BYTES_PER_SM_CLOCK,
  QUANTISED_BATCH,
} from './efficiency.js';
import { type Footprint, kvBytesPerToken, type Placement } from './footprint.js';
import type { Model } from './memory.js';
import { type FormatClass, formatClassOf, hasCodes, isProjection } from './weight-format.js';

/** What is to be predicted for. */
export interface Workload {
  config: ModelConfig;
  /** Weights of the linear layers, and of the head. */
  projections: number;
  head: number;
  /** Bytes of weights that a step reads. */
  weightsRead: number;
  /** Of the linear layers. */
  format: FormatClass;
  /** Prompts multiply them with activations in int8. */
  int8Activations: boolean;
  placement: Placement;
}

export function workloadOf({ config, tensors }: Model, footprint: Footprint, placement: Placement): Workload {
  const projections = tensors.filter(({ name }) => isProjection(name));
  return {
    config,
    ...parametersOf({ config, tensors }),
    weightsRead: footprint.weightsRead,
    format: formatClassOf(tensors),
    int8Activations: placement.int8Prompts === true && projections.some(hasCodes),
    placement,
  };
}

export interface DecodeRate {
  streams: number;
  /** Tokens in the cache of each stream. */
  context: number;
  /** Read in a step. */
  bytes: number;
  tokensPerSecond: number | null;
  /** Where the mode's GPU clock may be too low for the memory: what is proven all the same. Null: no such doubt. */
  atLeast: number | null;
  /** At the whole budget of the power mode, so at least. */
  tokensPerJoule: number | null;
}

export function efficiencyOf({ placement, format }: Workload, rates: Rates): Efficiency {
  return decodeEfficiency(format, placement.referenceAttention, placement.backend, rates.bandwidthIs);
}

export function decodeRate(
  workload: Workload,
  rates: Rates,
  clocks: ClockBounds | null,
  { streams, context }: { streams: number; context: number },
): DecodeRate {
  const { config, placement, weightsRead } = workload;
  const seen = Math.min(context, config.slidingWindow ?? context);
  const bytes = weightsRead + streams * seen * kvBytesPerToken(config, placement.kvCacheDtype);
  const seconds = stepSeconds(workload, rates, streams, bytes, readGBs(workload, rates));
  const tokensPerSecond = seconds === null ? null : streams / seconds;
  const proven = provenGBs(workload, rates, clocks);
  const slowest = proven === null ? null : stepSeconds(workload, rates, streams, bytes, proven);
  return {
    streams,
    context,
    bytes,
    tokensPerSecond,
    atLeast: slowest === null ? null : streams / slowest,
    tokensPerJoule: tokensPerSecond === null || rates.watts === null ? null : tokensPerSecond / rates.watts,
  };
}

/** What decoding reads in a second. A CPU's share is known only of what it was measured to read. */
function readGBs(workload: Workload, rates: Rates): number | null {
  if (rates.bandwidthGBs === null) return null;
  if (workload.placement.backend === 'cpu' && rates.bandwidthIs === 'nominal') return null;
  return rates.bandwidthGBs * efficiencyOf(workload, rates).share;
}

function stepSeconds(
  { projections, head, format, placement }: Workload,
  rates: Rates,
  streams: number,
  bytes: number,
  gigabytesPerSecond: number | null,
): number | null {
  if (gigabytesPerSecond === null) return null;
  const reading = bytes / (gigabytesPerSecond * 1e9);
  const flops = 2 * (projections + head);
  if (placement.backend === 'cpu') return streams === 1 ? reading : null;
  if (rates.fp16Tflops === null) return streams === 1 ? reading : null;
  if (format === '16bit') return Math.max(reading, (streams * flops) / (rates.fp16Tflops * 1e12 * PREFILL.share));
  const perStream = flops / (rates.fp16Tflops * 1e12 * QUANTISED_BATCH.share);
  return Math.max(reading, perStream) + (streams - 1) * perStream;
}

/** Null where the SMs are not asked for clearly more than a run has shown. */
function provenGBs(workload: Workload, rates: Rates, clocks: ClockBounds | null): number | null {
  const wanted = readGBs(workload, rates);
  if (wanted === null || !clocks?.gpuMhz || !clocks.numSms || workload.placement.backend === 'cpu') return null;
  const proven = (PROVEN_BYTES_PER_SM_CLOCK * clocks.gpuMhz * clocks.numSms) / 1e3;
  return wanted > 1.1 * proven ? proven : null;
}

/** Operations of one prompt of so many tokens; a fused multiply-add counts as two. */
export function prefillFlops(
  { config, projections, head }: Pick<Workload, 'config' | 'projections' | 'head'>,
  tokens: number,
): number {
  // Scores and their sums over values: each token sees half of the prompt on average.
  const attention = 4 * config.numLayers * config.numHeads * config.headDim * (tokens / 2);
  return tokens * (2 * projections + attention) + 2 * head;
}

/** Prompt tokens a second if the tensor cores did nothing but multiply in fp16; null: their rate is not known. */
export function prefillPeak(
  { config, tensors }: Model,
  rates: Pick<Rates, 'fp16Tflops'>,
  tokens: number,
): number | null {
  if (rates.fp16Tflops === null) return null;
  const flops = prefillFlops({ config, ...parametersOf({ config, tensors }) }, tokens);
  return (tokens * rates.fp16Tflops * 1e12) / flops;
}

/** Of the linear layers, and of the head. */
function parametersOf({ config, tensors }: Model): Pick<Workload, 'projections' | 'head'> {
  const projections = tensors.filter(({ name }) => isProjection(name));
  return {
    projections: projections.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0),
    head: config.vocabSize * config.hiddenSize,
  };
}

/** Of one prompt of so many tokens. */
export function prefillRate(workload: Workload, rates: Rates, tokens: number): number | null {
  const { placement, weightsRead, int8Activations } = workload;
  if (rates.fp16Tflops === null || placement.backend === 'cpu') return null;
  const flops = prefillFlops(workload, tokens);
  const speedup = int8Activations ? INT8_PREFILL.speedup : 1;
  const computing = flops / (rates.fp16Tflops * 1e12 * PREFILL.share * speedup);
  const read = readGBs(workload, rates);
  return tokens / Math.max(computing, read === null ? 0 : weightsRead / (read * 1e9));
}
