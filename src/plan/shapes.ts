/** Shapes of models that people name before they have them: from their published config.json. Data. */
import type { DType, ModelConfig } from '../addon/binding.js';

export interface KnownModel {
  ids: readonly string[];
  config: ModelConfig;
  /** How its matrices are stored. */
  dtype: DType;
}

const LLAMA: ModelConfig = {
  architecture: 'llama',
  numLayers: 32,
  hiddenSize: 4096,
  intermediateSize: 14336,
  numHeads: 32,
  numKvHeads: 8,
  headDim: 128,
  vocabSize: 128256,
  rmsNormEps: 1e-5,
  ropeTheta: 500000,
  ropeScaling: null,
  ropeInterleaved: false,
  slidingWindow: null,
  tiedEmbeddings: false,
  qkvBias: false,
  qkNorm: false,
  maxContextLength: 131072,
};
const QWEN2: ModelConfig = {
  ...LLAMA,
  architecture: 'qwen2',
  ropeTheta: 1e6,
  rmsNormEps: 1e-6,
  vocabSize: 151936,
  tiedEmbeddings: true,
  qkvBias: true,
  maxContextLength: 32768,
};
const QWEN3: ModelConfig = { ...QWEN2, architecture: 'qwen3', qkvBias: false, qkNorm: true, maxContextLength: 40960 };

/** Layers, hidden, intermediate, heads, KV heads, head dimension. */
type Sizes = readonly [number, number, number, number, number, number];

function known(ids: readonly string[], base: ModelConfig, sizes: Sizes, more: Partial<ModelConfig> = {}): KnownModel {
  const [numLayers, hiddenSize, intermediateSize, numHeads, numKvHeads, headDim] = sizes;
  const config = { ...base, numLayers, hiddenSize, intermediateSize, numHeads, numKvHeads, headDim, ...more };
  return { ids, config, dtype: 'BF16' };
}

const both = (id: string) => [id, `${id}-Instruct`];

const SMOLLM2 = known(both('HuggingFaceTB/SmolLM2-135M'), LLAMA, [30, 576, 1536, 9, 3, 64], {
  vocabSize: 49152,
  tiedEmbeddings: true,
  ropeTheta: 1e5,
  maxContextLength: 8192,
});

export const KNOWN_MODELS: readonly KnownModel[] = [
  // The embedded default: that model as a GGUF file.
  { ...SMOLLM2, ids: ['smollm2'], dtype: 'Q4_1' },
  SMOLLM2,
  known(
    [
      'deepseek-ai/DeepSeek-R1-Distill-Llama-8B',
      ...both('meta-llama/Meta-Llama-3.1-8B'),
      ...both('meta-llama/Llama-3.1-8B'),
    ],
    LLAMA,
    [32, 4096, 14336, 32, 8, 128],
  ),
  known(
    [
      'deepseek-ai/DeepSeek-R1-Distill-Llama-70B',
      ...both('meta-llama/Meta-Llama-3.1-70B'),
      ...both('meta-llama/Llama-3.1-70B'),
      'meta-llama/Llama-3.3-70B-Instruct',
    ],
    LLAMA,
    [80, 8192, 28672, 64, 8, 128],
  ),
  known(both('meta-llama/Meta-Llama-3-8B'), LLAMA, [32, 4096, 14336, 32, 8, 128], { maxContextLength: 8192 }),
  known(both('meta-llama/Llama-3.2-3B'), LLAMA, [28, 3072, 8192, 24, 8, 128], { tiedEmbeddings: true }),
  known(both('meta-llama/Llama-3.2-1B'), LLAMA, [16, 2048, 8192, 32, 8, 64], { tiedEmbeddings: true }),
  known(['mistralai/Mistral-7B-Instruct-v0.3'], LLAMA, [32, 4096, 14336, 32, 8, 128], {
    architecture: 'mistral',
    vocabSize: 32768,
    maxContextLength: 32768,
  }),
  known(both('Qwen/Qwen2.5-7B'), QWEN2, [28, 3584, 18944, 28, 4, 128], { vocabSize: 152064, tiedEmbeddings: false }),
  known(both('Qwen/Qwen2.5-3B'), QWEN2, [36, 2048, 11008, 16, 2, 128]),
  known(both('Qwen/Qwen2.5-1.5B'), QWEN2, [28, 1536, 8960, 12, 2, 128]),
  known(both('Qwen/Qwen2.5-0.5B'), QWEN2, [24, 896, 4864, 14, 2, 64]),
  known(['Qwen/Qwen3-8B'], QWEN3, [36, 4096, 12288, 32, 8, 128], { tiedEmbeddings: false }),
  known(['Qwen/Qwen3-4B'], QWEN3, [36, 2560, 9728, 32, 8, 128]),
  known(['Qwen/Qwen3-1.7B'], QWEN3, [28, 2048, 6144, 16, 8, 128]),
  known(['Qwen/Qwen3-0.6B'], QWEN3, [28, 1024, 3072, 16, 8, 128]),
];

/** Null: none of those known. */
export function knownModel(id: string): KnownModel | null {
  const wanted = id.toLowerCase();
  return KNOWN_MODELS.find(({ ids }) => ids.some((name) => name.toLowerCase() === wanted)) ?? null;
}
