/**
 * The typed contract of the native addon: everything that crosses between JavaScript and C++ is declared here, and
 * `native/addon/` implements exactly this. Loading the `.node` file lives here and nowhere else.
 */
import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { JsgError } from '../errors.js';
import { packageRoot, version } from '../version.js';
import { explainLoadFailure } from './load-failure.js';
import { probeAddon } from './probe.js';

/**
 * Which contract this is; raise it, here and in native/addon/addon.cpp, whenever a type of this file changes. Addon and
 * JavaScript of two contracts would talk past each other without a word: a build is refused that has another number.
 */
export const CONTRACT = 12;

/** Storage types of weights. The quantised ones are GGUF's block formats. */
export const DTYPES = ['F32', 'F16', 'BF16', 'Q4_0', 'Q4_1', 'Q5_0', 'Q5_1', 'Q8_0', 'Q4_K', 'Q5_K', 'Q6_K'] as const;
export type DType = (typeof DTYPES)[number];

/**
 * One tensor of a model, validated in TypeScript: `nbytes` agrees with shape x dtype, the span lies inside the file.
 * Names are Hugging Face names whatever the source (`model.layers.0.self_attn.q_proj.weight`, `lm_head.weight`), plus
 * `rope_freqs.weight` (head_dim / 2, F32: divisors of the rotary frequencies) where a GGUF has it.
 */
export interface TensorInfo {
  name: string;
  dtype: DType;
  /** Row-major, outermost first: a linear layer is (out_features, in_features). */
  shape: number[];
  /** Index into `RuntimeSpec.files`; ignored when `loadFormat` is `dummy`. */
  file: number;
  /** Bytes from the start of the file. */
  offset: number;
  nbytes: number;
  /**
   * What a matrix becomes while it is loaded; without it, it stays as it is stored. 4: asymmetric int4 in groups, 8:
   * symmetric int8, both by TorchAO's rules; 16: bf16. `groupSize`, columns that share a scale, divides the row and is a
   * multiple of 32, or the whole row; 16 bits have none.
   */
  quantize?: { bits: 4 | 8 | 16; groupSize: number } | null;
  /** Products with it quantise each row of activations to int8. */
  int8Activations?: boolean;
  /** A matrix that others quantised: `file`, `offset` and `nbytes` are of its codes, `dtype` is that of its scales. */
  packing?: Packing;
}

export type FilePart = Pick<TensorInfo, 'file' | 'offset' | 'nbytes'>;

/** How a matrix (rows, cols) that others quantised is stored; `Packing` of native/model/config.h gives the layouts. */
export interface Packing {
  /** compressed-tensors, AutoAWQ's gemm, GPTQ. */
  layout: 'rows' | 'awq' | 'gptq';
  bits: 4 | 8;
  /** Columns that share a scale; a multiple of 32 that divides the row. */
  groupSize: number;
  /** 8 bits in two's complement, otherwise with 128 added; of `rows`. */
  signedCodes: boolean;
  /** Zeros are (rows, groups) int8 rather than packed; of `rows`. */
  bytesAsZeros: boolean;
  scaleType: 'F32' | 'F16' | 'BF16';
  scales: FilePart;
  zeros: FilePart | null;
  /** GPTQ with act-order: the group of each column. Such a matrix becomes 16 bits. */
  groupIndex: FilePart | null;
}

export type RopeScaling =
  | { type: 'linear'; factor: number }
  | { type: 'llama3'; factor: number; lowFreqFactor: number; highFreqFactor: number; originalContextLength: number };

/** A decoder-only transformer of the Llama family, described by flags. */
export interface ModelConfig {
  architecture: 'llama' | 'mistral' | 'qwen2' | 'qwen3';
  numLayers: number;
  hiddenSize: number;
  intermediateSize: number;
  numHeads: number;
  numKvHeads: number;
  headDim: number;
  vocabSize: number;
  rmsNormEps: number;
  ropeTheta: number;
  ropeScaling: RopeScaling | null;
  /** True: pairs (2i, 2i+1) rotate together, as in GGUF files of llama. False: pairs (i, i + head_dim/2), as in Hugging Face. */
  ropeInterleaved: boolean;
  /** Tokens a query sees, itself included; null: all. */
  slidingWindow: number | null;
  tiedEmbeddings: boolean;
  qkvBias: boolean;
  /** RMSNorm on each head of q and k before the rotation (Qwen3). */
  qkNorm: boolean;
  /** Positions the model was trained for. */
  maxContextLength: number;
}

export interface RuntimeSpec {
  backend: 'cpu' | 'cuda';
  /** What the CUDA backend keeps weights and activations in; the CPU computes in fp32 over weights as stored. */
  dtype: 'f16' | 'bf16';
  /** The plain attention kernels (unfused, full softmax) instead of the fast ones; CUDA. */
  referenceAttention: boolean;
  /** Decode steps are recorded and replayed; on the CPU there is nothing to record. */
  useGraphs: boolean;
  /** Prompts multiply weights of 4 or 8 bits with activations in int8; CUDA. */
  int8Prompts?: boolean;
  config: ModelConfig;
  /** Absolute paths; memory-mapped read-only. */
  files: string[];
  tensors: TensorInfo[];
  /** `dummy`: ignore files, fill every tensor with seeded random numbers. */
  loadFormat: 'mmap' | 'dummy';
  /** `f16`: 16 bits, which on CUDA are of `dtype`. The CPU has the first two, CUDA all but the first. */
  kvCacheDtype: 'f32' | 'f16' | 'fp8_e4m3' | 'fp8_e5m2' | 'int8';
  /** Longest prompt + answer of one sequence, tokens. */
  contextLength: number;
  /** Size of the KV pool, tokens; rounded up to whole blocks of 16. */
  maxTotalTokens: number;
  maxRunningRequests: number;
  /** Submissions beyond this many waiting are refused with E_QUEUE_FULL. */
  maxQueuedRequests: number;
  /** Of prompts that wait; beyond them submissions are refused with E_QUEUE_FULL. A single one may be longer. */
  maxQueuedTokens: number;
  /** Most prompt tokens one step takes. */
  chunkedPrefillSize: number;
  /** KV of what was computed is kept and found again by requests that begin with it. */
  sharesPrefixes: boolean;
  /**
   * Drafts from where an answer's last tokens have come before, checked in one step: `maxDraftTokens` (0: none) of a
   * sequence in a step, found by comparing at most `maxMatchTokens`.
   */
  speculation: { maxDraftTokens: number; maxMatchTokens: number };
  /** 0: one thread a core of this process's affinity mask and cgroup quota. */
  numThreads: number;
}

/** Sampling of one sequence; every field validated by the caller, bounds re-checked in C++. */
export interface NativeSampling {
  /** 0: greedy. */
  temperature: number;
  /** 0: off. */
  topK: number;
  topP: number;
  minP: number;
  /** Unsigned 53-bit; equal seeds give equal tokens whatever else is in the batch. */
  seed: number;
  repetitionPenalty: number;
  frequencyPenalty: number;
  presencePenalty: number;
  logitBias: { ids: Int32Array; values: Float32Array } | null;
  /** -1: none; 0: the chosen token's log-probability; n: and the n likeliest tokens beside it (<= 20). */
  topLogprobs: number;
}

/** The likeliest token, always, and nothing told of the others. */
export const GREEDY: Readonly<NativeSampling> = {
  temperature: 0,
  topK: 0,
  topP: 1,
  minP: 0,
  seed: 0,
  repetitionPenalty: 1,
  frequencyPenalty: 0,
  presencePenalty: 0,
  logitBias: null,
  topLogprobs: -1,
};

export interface NativeRequest {
  /** Chosen by the caller, unique among live requests, unsigned 32-bit. */
  id: number;
  promptIds: Int32Array;
  /** >= 0. 0 with `promptLogprobs` scores the prompt alone. */
  maxNewTokens: number;
  minNewTokens: number;
  stopTokenIds: Int32Array;
  sampling: NativeSampling;
  /** Report the log-probability of every prompt token (the first has none: NaN), for `echo` with `logprobs`. */
  promptLogprobs: boolean;
  /** What the answer must follow. It ends with `stop` where that is complete. */
  grammar: NativeGrammar | null;
  /** 32 bits, signed. The higher goes first, and one that is 10 above a running one may take its place. */
  priority: number;
  /** Only requests of the same number share KV, or can tell by the time that they would. Unsigned, 53 bits. */
  cacheSalt: number;
}

/** A compiled grammar: opaque, shared by any number of requests, freed with its last one. */
export type NativeGrammar = object & { readonly __nativeGrammar: never };

/** The tokens of a model as bytes, and how its tokenizer merges them. */
export interface TokenVocabulary {
  /** The bytes of all tokens, one after the other, and where each ends. Empty: never part of a constrained text. */
  bytes: Uint8Array;
  ends: Int32Array;
  /** Of the model; at least the number of tokens. */
  vocabSize: number;
  /** End an answer whose grammar is complete. */
  stopTokenIds: Int32Array;
  /** (n, 3): left, right, merged; in the order in which they apply. */
  merges: Int32Array;
  /** (256): the token of one byte; -1: none. */
  byteIds: Int32Array;
  /** Texts are merged up from characters (those without a token: from bytes) rather than from bytes. */
  startsWithCharacters: boolean;
}

export interface GrammarSource {
  kind: 'json_schema' | 'regex' | 'ebnf' | 'structural_tag';
  text: string;
  /** Of json_schema: objects and lists have nothing that the schema does not name. */
  strict: boolean;
  /** Of json_schema: properties come in any order, not only in that of the schema. */
  anyOrder: boolean;
}

export interface NativeGrammarCompiler {
  /**
   * On a thread of its own; what was compiled is kept, up to a number of bytes. `compileMs` is 0 for what was found there.
   * Rejects with E_GRAMMAR_INVALID, E_GRAMMAR_LIMIT (more time, memory or stack than it may take), E_UNAVAILABLE (stopped);
   * throws E_QUEUE_FULL.
   */
  compile(source: GrammarSource): Promise<{ grammar: NativeGrammar; compileMs: number; bytes: number }>;
  /**
   * Follows a grammar without a model: how many of the tokens it allows, one after the other, and the microseconds that
   * each mask took. `isDone`: the last one ended the answer.
   */
  follow(grammar: NativeGrammar, tokens: Int32Array): { numAccepted: number; isDone: boolean; fillUs: Float64Array };
  cachedBytes(): number;
  /** Waits for what is being compiled; the rest is rejected. Idempotent. */
  stop(): void;
}

/** `grammar`: the request's grammar could not be followed any further, within limits or at all. */
export const FINISH_REASONS = ['none', 'stop', 'length', 'abort', 'error', 'grammar'] as const;

/**
 * What one step did, as flat arrays of token events plus figures of the step. The object and its arrays are written again
 * for the next step: what is to be kept must be copied during the call. Arrays have room for more events than there are.
 */
export interface StepEvents {
  /** Request id of each event. */
  ids: Uint32Array;
  /**
   * Token of each event; -1 where a request ends without a further token (abort, error, and `length` where
   * `maxNewTokens` is 0).
   */
  tokens: Int32Array;
  /** Index into FINISH_REASONS. A token that stopped the sequence (stop id) is delivered with `stop`. */
  finish: Uint8Array;
  /** 1: a prompt token's log-probability (`promptLogprobs`), in prompt order, before any generated token. */
  isPrompt: Uint8Array;
  /** NaN where not asked for. */
  logprobs: Float32Array;
  /** Alternatives of each event; `topIds` and `topLogprobs` hold them one event after the other. */
  topCounts: Uint8Array;
  /**
   * Of the first token that a step which goes on with an answer has for it: 1 and the drafts that the step checked.
   * Otherwise 0.
   */
  checkedCounts: Uint8Array;
  topIds: Int32Array;
  topLogprobs: Float32Array;
  /** Requests that have started, and how many tokens of their prompts came from the prefix cache. */
  startIds: Uint32Array;
  startCached: Int32Array;
  /** StepStats, in the order of STEP_STATS. */
  stats: Float64Array;
  /** Set on the last call, when the runtime failed: every live request has ended with `error`. */
  error: { code: string; message: string } | null;
}

export const STEP_STATS = [
  'prefillSeqs',
  'prefillTokens',
  'cachedTokens',
  'decodeSeqs',
  'draftTokens',
  'acceptedTokens',
  'numRunning',
  'numQueued',
  'usedTokens',
  'totalTokens',
  'numRetracted',
  'elapsedUs',
  'cudaGraph',
] as const satisfies readonly (keyof StepStats)[];

export interface StepStats {
  /** Sequences that prefilled in this step, and their prompt tokens. */
  prefillSeqs: number;
  prefillTokens: number;
  /** Prompt tokens that were found in the prefix cache by sequences that start with this step. */
  cachedTokens: number;
  /** Sequences that decoded one token in this step; what was computed for one that had ended meanwhile does not count. */
  decodeSeqs: number;
  /** Drafts that the step checked beside those, and how many were right: each is one more token decoded. */
  draftTokens: number;
  acceptedTokens: number;
  /** After the step. */
  numRunning: number;
  numQueued: number;
  /** Tokens of running sequences with KV in the pool (that of the step in flight included), and its capacity. */
  usedTokens: number;
  totalTokens: number;
  /** Sequences retracted in this step because KV ran short. */
  numRetracted: number;
  /**
   * Wall time of the step, microseconds: from its launch to its tokens, or, where it was launched behind another, from the
   * tokens of that one. The times of steps never overlap.
   */
  elapsedUs: number;
  /** 1: the step was a recorded CUDA graph, replayed; otherwise 0. */
  cudaGraph: number;
}

export interface RuntimeInfo {
  /** `avx512-vnni`, `avx512`, `avx2`, `neon-dotprod`, `neon`, `scalar`; of the CUDA backend `sm_87` and the like. */
  isa: string;
  numThreads: number;
  /** Bytes of weights read for each decoded token (embedding table not counted unless tied). */
  weightBytes: number;
  /** Bytes of KV one token takes. */
  kvBytesPerToken: number;
  totalTokens: number;
  /** All that loading took, `warmUpMs` included. */
  loadMs: number;
  /** Decode steps that were recorded as CUDA graphs before the first request; more are when longer contexts come. */
  numGraphs: number;
  /** In which they were recorded, and a prompt was run. */
  warmUpMs: number;
}

export interface RuntimeStats {
  numRunning: number;
  numQueued: number;
  usedTokens: number;
  totalTokens: number;
  /** Of the prompts that wait. */
  queuedTokens: number;
  /** Tokens of the prefix cache that no sequence uses: room for others. */
  evictableTokens: number;
  /** Blocks referenced by no sequence and yet not free: 0 unless there is a bug. */
  leakedBlocks: number;
  steps: number;
}

/** A native runtime: one model, one engine thread. */
export interface NativeRuntime {
  info(): RuntimeInfo;
  /** Throws E_QUEUE_FULL, E_INVALID_REQUEST, E_RUNTIME_FAILED. */
  submit(request: NativeRequest): void;
  /** The request ends with `abort` within one step; unknown ids are ignored. */
  cancel(id: number): void;
  stats(): RuntimeStats;
  /** Drops what no sequence uses; false (nothing dropped) while requests run or wait. Throws E_RUNTIME_FAILED. */
  flushCache(): boolean;
  /**
   * Writes the prefix cache behind `header` to a new file. Resolves with the number of tokens; rejects with E_IO_FAILED; throws
   * E_UNAVAILABLE while requests run or wait, E_RUNTIME_FAILED where there is no runtime any more; so does loadCache.
   */
  saveCache(to: { path: string; header: Uint8Array }): Promise<number>;
  /**
   * Fills the empty prefix cache with what fits of such a file, whose header is `offset` bytes long and must have been
   * checked. Resolves with the number of tokens; rejects with E_IO_FAILED, E_MODEL_INVALID (it is damaged).
   */
  loadCache(from: { path: string; offset: number }): Promise<number>;
  /** Ends every request with `abort`, joins the threads, frees the model. Idempotent. */
  stop(): Promise<void>;
}

/** The GPU that the CUDA backend would use. */
export interface CudaDevice {
  name: string;
  /** 87, 90, ... */
  sm: number;
  /** Shares the system's memory (Jetson): what is free is what /proc/meminfo says is available. */
  integrated: boolean;
  totalBytes: number;
  freeBytes: number;
}

/** A matrix to be quantised for a checkpoint: of a plain type, at a place in a file. */
export interface QuantizeRequest {
  path: string;
  dtype: 'F32' | 'F16' | 'BF16';
  offset: number;
  rows: number;
  cols: number;
  scheme: {
    /** 4: asymmetric, w = scale * (code - zero), both 0 to 15; 8: symmetric, codes -127 to 127. */
    bits: 4 | 8;
    /** Columns that share a scale; divides the row. */
    groupSize: number;
    /** Round to nearest, or, of 4 bits, scales and zeros with the least sum of |w| error^2. */
    method: 'rtn' | 'hqq';
    /** 8 bits are stored as code + 128, otherwise in two's complement. */
    biased: boolean;
  };
  /** 0: one a core. The result does not depend on it. */
  numThreads: number;
}

export interface QuantizedMatrix {
  /** (rows, cols * bits / 8): the first column in the low bits. */
  codes: Uint8Array;
  /** (rows, groups) bf16. */
  scales: Uint8Array;
  /** Of 4 bits: (ceil(rows / 8), groups) words of 32 bits with the zeros of eight rows, the first in the low bits. */
  zeros: Uint8Array | null;
  /** Sums over all weights: of (w - quantised w)^2, and of w^2. */
  squaredError: number;
  squaredNorm: number;
}

export interface NativeBinding {
  /** Matches package.json's version; a mismatch means a stale build. */
  version: string;
  /** CONTRACT of the sources it was built from; undefined in builds older than the number. */
  contract: number | undefined;
  /** Instruction sets this machine offers, best first. */
  isas(): string[];
  /** Whether this build has a CUDA backend. */
  hasCuda: boolean;
  /** Null without a CUDA backend, a driver or a device. */
  cudaDevice(): CudaDevice | null;
  /**
   * Reads `bytes` of the device's memory, best of a few passes; GB/s. `numThreads` is for the CPU, 0: as the runtime. Not on
   * the event loop. Rejects with E_OUT_OF_MEMORY, E_DEVICE_UNSUITABLE.
   */
  measureReadBandwidth(device: 'cpu' | 'cuda', bytes: number, numThreads: number): Promise<number>;
  /** Whether this build has XGrammar. */
  hasGrammars: boolean;
  /** Prepares a vocabulary, off the event loop. Rejects with E_DEVICE_UNSUITABLE where there are no grammars. */
  createGrammarCompiler(vocabulary: TokenVocabulary): Promise<NativeGrammarCompiler>;
  /** Not on the event loop. Rejects with E_IO_FAILED, E_MODEL_INVALID, E_OUT_OF_MEMORY. */
  quantizeMatrix(request: QuantizeRequest): Promise<QuantizedMatrix>;
  /**
   * Loads weights off the event loop; `onStep` gets at most one call a step, with the numbers of events and of starts in
   * it; `onProgress` gets 0..1 while loading.
   */
  createRuntime(
    spec: RuntimeSpec,
    onStep: (events: StepEvents, numEvents: number, numStarts: number) => void,
    onProgress: (fraction: number) => void,
  ): Promise<NativeRuntime>;
}

let loading: Promise<NativeBinding> | undefined;

/**
 * The addon: `$JSG_ADDON`, or `build/Release/jsg.node` of this package. The first time it is loaded in a child process,
 * so that one that crashes does not take this process with it. Throws E_ADDON_LOAD_FAILED.
 */
export function loadBinding(): Promise<NativeBinding> {
  loading ??= load(
    process.env.JSG_ADDON ? resolve(process.env.JSG_ADDON) : resolve(packageRoot, 'build/Release/jsg.node'),
  );
  loading.catch(() => {
    loading = undefined;
  });
  return loading;
}

async function load(path: string): Promise<NativeBinding> {
  await probeAddon(path);
  let binding: NativeBinding;
  try {
    binding = createRequire(import.meta.url)(path) as NativeBinding;
  } catch (error) {
    throw explainLoadFailure(path, error instanceof Error ? error.message : String(error), null);
  }
  requireFreshBuild(path, binding);
  return binding;
}

/** The version tells releases apart; between two of them the contract may change as well. */
function requireFreshBuild(path: string, { version: builtVersion, contract }: NativeBinding): void {
  if (builtVersion === version() && contract === CONTRACT) return;
  const problem =
    builtVersion === version()
      ? `${path} follows contract ${contract ?? 0} of the addon, jsg ${CONTRACT}`
      : `${path} is of version ${builtVersion}, jsg of ${version()}`;
  throw new JsgError('E_ADDON_LOAD_FAILED', problem, {
    hint: 'the native runtime is an old build; run: npm run build',
  });
}
