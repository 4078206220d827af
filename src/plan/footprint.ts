/**
 * What a model takes in memory, told before anything is allocated. The formulas mirror what the backends reserve
 * (native/backend/cpu/cpu_backend.cpp, native/backend/cuda/cuda_backend.cu). Pure.
 */
import type { DType, ModelConfig, RuntimeSpec } from '../addon/binding.js';
import type { Settings } from '../profile/flags.js';
import { groupedBytes, isProjection, type StoredTensor } from './weight-format.js';

/** Where and how a model is to run. */
export type Placement = Pick<
  RuntimeSpec,
  'backend' | 'referenceAttention' | 'useGraphs' | 'int8Prompts' | 'kvCacheDtype'
> & {
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
  const stacks = stacksOf(tensors);
  return {
    ...cudaWeights(config, tensors, stacks),
    activations: cudaActivations(config, sizes, contextLength, placement) + expandedBytes(stacks, placement),
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

/** Bytes of 32 weights of the GGUF types that stay codes on a GPU: native/backend/cuda/code_tiles.h. */
const GGUF_CODES: Partial<Record<DType, number>> = { Q4_0: 20, Q4_1: 20, Q4_K: 20, Q8_0: 34 };
/** Rows of a tile of codes: kTileRows there. */
const TILE_ROWS = 16;

const elementsOf = ({ shape }: StoredTensor) => shape.reduce((product, dim) => product * dim, 1);

/** As codes; null where the matrix cannot be kept as such: 8 bits with zeros, columns in another order. */
function codesBytes(tensor: StoredTensor): number | null {
  const { dtype, quantize, packing } = tensor;
  const elements = elementsOf(tensor);
  const format = quantize ?? packing;
  if (format === undefined) {
    const group = GGUF_CODES[dtype];
    return group === undefined ? null : (elements / 32) * group;
  }
  const { bits, groupSize } = format;
  if (bits === 16 || (packing && (packing.groupIndex !== null || (bits === 8 && packing.zeros !== null)))) return null;
  return (elements / groupSize) * (bits === 4 ? groupSize / 2 + 4 : groupSize + 2);
}

/** Matrices that are one on a GPU. It is codes only as a whole: of one type, each in whole tiles. */
interface Stack {
  first: StoredTensor;
  elements: number;
  /** As codes; null: 16 bits. */
  codes: number | null;
}

const stackBytes = ({ elements, codes }: Stack) => codes ?? 2 * elements;

/** `layers.0.self_attn.qkv` for q, k and v, `layers.0.mlp.gate_up` for gate and up, other names as they are. */
function stackName(name: string): string {
  const end = name.indexOf('_proj.');
  const begin = name.lastIndexOf('.', end) + 1;
  const part = end < 0 ? '' : name.slice(begin, end);
  if (part === 'q' || part === 'k' || part === 'v') return `${name.slice(0, begin)}qkv`;
  return part === 'gate' || part === 'up' ? `${name.slice(0, begin)}gate_up` : name;
}

/** Of all matrices but the table of embeddings. */
function stacksOf(tensors: readonly StoredTensor[]): Stack[] {
  const stacks = new Map<string, Stack>();
  for (const tensor of tensors) {
    if (tensor.shape.length === 1 || tensor.name === EMBEDDINGS) continue;
    const name = stackName(tensor.name);
    const stack = stacks.get(name);
    const codes = codesBytes(tensor);
    if (stack === undefined) {
      stacks.set(name, { first: tensor, elements: elementsOf(tensor), codes });
      continue;
    }
    stack.elements += elementsOf(tensor);
    stack.codes = isStackable(tensor, stack.first) ? sumOrNull(stack.codes, codes) : null;
  }
  return [...stacks.values()];
}

const sumOrNull = (a: number | null, b: number | null) => (a === null || b === null ? null : a + b);

function isStackable(tensor: StoredTensor, first: StoredTensor): boolean {
  const isOne = Boolean(tensor.quantize ?? tensor.packing) || tensor.dtype === first.dtype;
  return isOne && (tensor.shape[0] ?? 0) % TILE_ROWS === 0 && (first.shape[0] ?? 0) % TILE_ROWS === 0;
}

/**
 * Norms are there as fp32 beside 16 bits, biases as fp32; matrices as codes or in 16 bits. The table of embeddings has 16
 * bits, tied once, unless the head is codes.
 */
function cudaWeights(config: ModelConfig, tensors: readonly StoredTensor[], stacks: readonly Stack[]): WeightBytes {
  const vectors = 6 * sum(tensors.filter(({ shape }) => shape.length === 1).map(elementsOf));
  const others = vectors + sum(stacks.map(stackBytes));
  const table = tensors.find(({ name }) => name === EMBEDDINGS);
  if (table === undefined) return { weights: others, weightsRead: others };
  const plain = 2 * elementsOf(table);
  const head = config.tiedEmbeddings ? codesBytes(table) : 0;
  return { weights: others + plain + (head ?? 0), weightsRead: others + (head ?? plain) };
}

/**
 * Prompts multiply with 16 bits, to which a stack of codes (a head never) is expanded: as a whole where tensor cores of
 * sm_90 take it, otherwise in parts of kExpandedElems of native/backend/cuda/cuda_backend.cu.
 */
function expandedBytes(stacks: readonly Stack[], { integrated }: Placement): number {
  const expanded = stacks.filter(({ first, codes }) => codes !== null && isProjection(first.name));
  const largest = Math.max(0, ...expanded.map(({ elements }) => 2 * elements));
  return integrated ? Math.min(largest, 64 * MIB) : largest;
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
