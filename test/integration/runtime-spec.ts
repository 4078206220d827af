import { GREEDY, type ModelConfig, type RuntimeSpec, type TensorInfo } from '../../src/addon/binding.js';
import type { SubmitRequest, TokenEvent } from '../../src/addon/runtime.js';

const TINY: ModelConfig = {
  architecture: 'llama',
  numLayers: 2,
  hiddenSize: 64,
  intermediateSize: 128,
  numHeads: 4,
  numKvHeads: 2,
  headDim: 16,
  vocabSize: 512,
  rmsNormEps: 1e-5,
  ropeTheta: 10000,
  ropeScaling: null,
  ropeInterleaved: false,
  slidingWindow: null,
  tiedEmbeddings: true,
  qkvBias: false,
  qkNorm: false,
  maxContextLength: 4096,
};

/** A model of random weights that answers a token in well under a millisecond. */
export function dummySpec(overrides: Partial<RuntimeSpec> = {}, shape: Partial<ModelConfig> = {}): RuntimeSpec {
  const config = { ...TINY, ...shape };
  return {
    backend: 'cpu',
    dtype: 'f16',
    referenceAttention: false,
    useGraphs: false,
    config,
    files: [],
    tensors: dummyTensors(config),
    loadFormat: 'dummy',
    kvCacheDtype: 'f16',
    contextLength: 1024,
    maxTotalTokens: 4096,
    maxRunningRequests: 16,
    maxQueuedRequests: 512,
    chunkedPrefillSize: 128,
    sharesPrefixes: true,
    maxQueuedTokens: Number.MAX_SAFE_INTEGER,
    speculation: { maxDraftTokens: 0, maxMatchTokens: 18 },
    numThreads: 1,
    ...overrides,
  };
}

/** One that takes milliseconds a token, so that there is time to do something in the middle of an answer. */
export function slowSpec(overrides: Partial<RuntimeSpec> = {}): RuntimeSpec {
  return dummySpec(overrides, { numLayers: 5, hiddenSize: 512, intermediateSize: 2048, numHeads: 8, headDim: 64 });
}

function dummyTensors(config: ModelConfig): TensorInfo[] {
  const { hiddenSize, intermediateSize, numHeads, numKvHeads, headDim } = config;
  const tensor = (name: string, ...shape: number[]): TensorInfo => ({
    name: `${name}.weight`,
    dtype: 'F32',
    shape,
    file: 0,
    offset: 0,
    nbytes: 4 * shape.reduce((product, size) => product * size, 1),
  });
  const layers = Array.from({ length: config.numLayers }, (_, layer) => [
    tensor(`model.layers.${layer}.input_layernorm`, hiddenSize),
    tensor(`model.layers.${layer}.self_attn.q_proj`, numHeads * headDim, hiddenSize),
    tensor(`model.layers.${layer}.self_attn.k_proj`, numKvHeads * headDim, hiddenSize),
    tensor(`model.layers.${layer}.self_attn.v_proj`, numKvHeads * headDim, hiddenSize),
    tensor(`model.layers.${layer}.self_attn.o_proj`, hiddenSize, numHeads * headDim),
    tensor(`model.layers.${layer}.post_attention_layernorm`, hiddenSize),
    tensor(`model.layers.${layer}.mlp.gate_proj`, intermediateSize, hiddenSize),
    tensor(`model.layers.${layer}.mlp.up_proj`, intermediateSize, hiddenSize),
    tensor(`model.layers.${layer}.mlp.down_proj`, hiddenSize, intermediateSize),
  ]);
  return [
    tensor('model.embed_tokens', config.vocabSize, hiddenSize),
    ...layers.flat(),
    tensor('model.norm', hiddenSize),
  ];
}

export function makeRequest(overrides: Partial<SubmitRequest> = {}): SubmitRequest {
  return {
    promptIds: Int32Array.of(1, 2, 3),
    maxNewTokens: 16,
    minNewTokens: 0,
    stopTokenIds: new Int32Array(0),
    sampling: GREEDY,
    promptLogprobs: false,
    cacheSalt: 0,
    priority: 0,
    ...overrides,
  };
}

export async function collect(events: AsyncIterable<TokenEvent>): Promise<TokenEvent[]> {
  const all: TokenEvent[] = [];
  for await (const event of events) all.push(event);
  return all;
}

export const tokensOf = (events: TokenEvent[]): number[] => events.map(({ tokenId }) => tokenId);
