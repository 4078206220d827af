/**
 * What a model takes in memory, told before anything is allocated. The formulas mirror what the backends reserve
 * (native/backend/cpu/cpu_backend.cpp, native/backend/cuda/cuda_backend.cu). Pure.
 */
import type { DType, ModelConfig, RuntimeSpec } from '../addon/binding.js';
import type { Settings } from '../profile/flags.js';
import { groupedBytes, type StoredTensor } from './weight-format.js';

/** Where and how a model is to run. */
export type Placement = Pick<RuntimeSpec, 'backend' | 'referenceAttention' | 'useGraphs' | 'kvCacheDtype'> & {
  /** The GPU shares the system's memory (Jetson), so what the host holds counts, too. */
  integrated: boolean;
};

/** Bytes of everything but the KV cache. */
export interface Footprint {
  /** In the types they will have. */
  weights: number;
  /** Of them, what one step reads, however many sequences decode: all but the table of embeddings, unless it is the head. */
  weightsRead: number;
  /** Of a step with as many rows as one can have, its logits included. */
  activations: number;
  /** Recorded decode steps. */
  graphs: number;
  /** What CUDA and cuBLAS take for themselves. */
  context: number;
  /** What weights pass through on their way to the device. */
  staging: number;
}

type Sizes = Pick<Settings, 'chunked-prefill-size' | 'max-running-requests'>;

/** `contextLength`: tokens of the longest sequence. */
export function footprintOf(
  config: ModelConfig,
  tensors: readonly StoredTensor[],
  sizes: Sizes,
  contextLength: number,
  placement: Placement,
): Footprint {
  if (placement.backend === 'cpu') {
    const activations = cpuActivations(config, sizes);
    return { ...cpuWeights(config, tensors), activations, graphs: 0, context: 0, staging: 0 };
  }
  return {
    ...cudaWeights(config, tensors),
    activations: cudaActivations(config, sizes, contextLength, placement),
    graphs: placement.useGraphs && !placement.referenceAttention ? GRAPHS : 0,
    context: placement.integrated ? INTEGRATED_CONTEXT : DISCRETE_CONTEXT,
    staging: placement.integrated ? INTEGRATED_STAGING : 0,
  };
}

const MIB = 2 ** 20;
const ceilTo = (multiple: number, n: number) => Math.ceil(n / multiple) * multiple;
const sum = (terms: readonly number[]) => terms.reduce((total, term) => total + term, 0);

// --- KV cache ---

interface KvFormat {
  /** Of one value. */
  bytes: number;
  /** Heads are padded to a multiple of so many values. */
  multiple: number;
  /** Scales of one head's K and V of a token. */
  scaleBytes: number;
}

const KV_FORMATS: Record<RuntimeSpec['kvCacheDtype'], KvFormat> = {
  f32: { bytes: 4, multiple: 16, scaleBytes: 0 },
  f16: { bytes: 2, multiple: 16, scaleBytes: 0 },
  fp8_e4m3: { bytes: 1, multiple: 32, scaleBytes: 0 },
  fp8_e5m2: { bytes: 1, multiple: 32, scaleBytes: 0 },
  int8: { bytes: 1, multiple: 32, scaleBytes: 4 },
};

export function kvBytesPerToken(config: ModelConfig, kvCacheDtype: RuntimeSpec['kvCacheDtype']): number {
  const { bytes, multiple, scaleBytes } = KV_FORMATS[kvCacheDtype];
  return config.numLayers * config.numKvHeads * (2 * ceilTo(multiple, config.headDim) * bytes + scaleBytes);
}

// --- A step ---

/** Most rows of a step whose logits score a prompt: kMaxScoredRows of native/runtime/scheduler.h. */
const MAX_SCORED_ROWS = 64;

/** Of the largest step: a chunk of prompts beside every sequence that decodes; and those rows that need logits. */
function largestStep(sizes: Sizes): { rows: number; logitRows: number } {
  const running = sizes['max-running-requests'];
  const rows = sizes['chunked-prefill-size'] + running;
  return { rows, logitRows: Math.min(rows, running + MAX_SCORED_ROWS) };
}

/** Values in a row of each activation. */
function widthsOf(config: ModelConfig) {
  const q = config.numHeads * config.headDim;
  const qkv = q + 2 * config.numKvHeads * config.headDim;
  return { hidden: config.hiddenSize, intermediate: config.intermediateSize, q, qkv };
}

// --- CPU ---

/** Bytes of 32 weights as native/backend/cpu/pack.cpp packs them: codes of 4 or 8 bits, scales, mins. */
const PACKED_GROUP: Partial<Record<DType, number>> = {
  Q4_0: 18,
  Q4_1: 20,
  Q5_0: 34,
  Q5_1: 36,
  Q8_0: 34,
  Q4_K: 24,
  Q5_K: 40,
  Q6_K: 40,
};

/** Plain types are used as they are stored. */
function packedBytes(tensor: StoredTensor): number {
  const grouped = groupedBytes(tensor);
  if (grouped !== null) return grouped;
  const { dtype, shape, nbytes } = tensor;
  const group = PACKED_GROUP[dtype];
  return group === undefined ? nbytes : (shape.reduce((product, dim) => product * dim, 1) / 32) * group;
}

const EMBEDDINGS = 'model.embed_tokens.weight';

type WeightBytes = Pick<Footprint, 'weights' | 'weightsRead'>;

/** The table of embeddings is looked up as it is stored; tied and quantised, it is packed for the head beside that. */
function cpuWeights(config: ModelConfig, tensors: readonly StoredTensor[]): WeightBytes {
  const table = tensors.find(({ name }) => name === EMBEDDINGS);
  const matrices = sum(tensors.filter((tensor) => tensor !== table).map(packedBytes));
  if (table === undefined) return { weights: matrices, weightsRead: matrices };
  const isPackedToo = config.tiedEmbeddings && PACKED_GROUP[table.dtype] !== undefined;
  return {
    weights: matrices + table.nbytes + (isPackedToo ? packedBytes(table) : 0),
    weightsRead: matrices + (config.tiedEmbeddings ? packedBytes(table) : 0),
  };
}

function cpuActivations(config: ModelConfig, sizes: Sizes): number {
  const { hidden, intermediate, q, qkv } = widthsOf(config);
  const { rows, logitRows } = largestStep(sizes);
  const floats = 3 * hidden + qkv + q + 3 * intermediate;
  // A product with quantised weights has its input as integers, too: 76 bytes for 32 of them.
  const integers = (76 / 32) * Math.max(hidden, intermediate, q);
  return Math.ceil(rows * (4 * floats + integers) + logitRows * 4 * (hidden + config.vocabSize));
}

// --- CUDA ---

/**
 * Kernels, cuBLAS with its workspace of 32 MiB, and what allocations are rounded up to: 112 to 148 MiB measured on an
 * H100 with models of 8B to 135M. The context itself is there already when the free memory is read.
 */
const DISCRETE_CONTEXT = 160 * MIB;
/** Read from /proc/meminfo before there is a context: 527 MiB on an H100, an upper bound for a Jetson's fewer SMs. */
const INTEGRATED_CONTEXT = DISCRETE_CONTEXT + 528 * MIB;
/** Of 8 threads, two buffers of 4 MiB each: kMostThreadsIntegrated of native/backend/cuda/copy_lane.cpp. */
const INTEGRATED_STAGING = 64 * MIB;
/** 18 graphs of an 8B model took less than 6 MiB on an H100; longer contexts record more of them. */
const GRAPHS = 32 * MIB;
/** Rows are reserved in multiples of kMaxFusedRows of native/backend/cuda/products.h. */
const ROW_MULTIPLE = 64;

/** Norms are there as fp32 beside 16 bits, biases as fp32; a tied table once; matrices in 16 bits unless they are quantised on load. */
function cudaWeights(config: ModelConfig, tensors: readonly StoredTensor[]): WeightBytes {
  let table = 0;
  let others = 0;
  for (const tensor of tensors) {
    const { name, shape } = tensor;
    const elements = shape.reduce((product, dim) => product * dim, 1);
    if (shape.length === 1) others += 6 * elements;
    else if (name === EMBEDDINGS) table = 2 * elements;
    else others += groupedBytes(tensor) ?? 2 * elements;
  }
  return { weights: others + table, weightsRead: others + (config.tiedEmbeddings ? table : 0) };
}

function cudaActivations(config: ModelConfig, sizes: Sizes, contextLength: number, placement: Placement): number {
  const { hidden, intermediate, q, qkv } = widthsOf(config);
  const step = largestStep(sizes);
  const rows = ceilTo(ROW_MULTIPLE, step.rows);
  const logitRows = ceilTo(ROW_MULTIPLE, step.logitRows);
  const perRow = 4 * hidden + 2 * (hidden + qkv + q + 3 * intermediate);
  const perLogitRow = 2 * hidden + 4 * config.vocabSize;
  // Logits of scored prompts go to the host, two steps at a time.
  const onHost = placement.integrated ? 2 * 4 * logitRows * config.vocabSize : 0;
  const scores = placement.referenceAttention ? 4 * rows * config.numHeads * contextLength : 0;
  return rows * perRow + logitRows * perLogitRow + onHost + scores;
}
