/** config.json of a Hugging Face model as a ModelConfig. Absent fields get the defaults of transformers' classes. */
import type { ModelConfig, RopeScaling } from '../addon/binding.js';
import { JsonFields, type JsonObject } from './json-file.js';
import { modelInvalid, modelUnsupported, quote } from './model-error.js';
import { type Quantization, readQuantization } from './quantization.js';
import { checkConfig } from './tensor-plan.js';

type Architecture = ModelConfig['architecture'];

interface Defaults {
  /** Of `architectures` in config.json. */
  className: string;
  numKvHeads: number | null; // null: as many as heads
  headDim: number | null; // null: hidden_size / num_attention_heads
  maxContextLength: number;
  slidingWindow: number | null;
}

const ARCHITECTURES: Record<Architecture, Defaults> = {
  llama: {
    className: 'LlamaForCausalLM',
    numKvHeads: null,
    headDim: null,
    maxContextLength: 2048,
    slidingWindow: null,
  },
  mistral: {
    className: 'MistralForCausalLM',
    numKvHeads: 8,
    headDim: null,
    maxContextLength: 131072,
    slidingWindow: 4096,
  },
  qwen2: { className: 'Qwen2ForCausalLM', numKvHeads: 32, headDim: null, maxContextLength: 32768, slidingWindow: 4096 },
  qwen3: { className: 'Qwen3ForCausalLM', numKvHeads: 32, headDim: 128, maxContextLength: 32768, slidingWindow: 4096 },
};

export interface HfConfig {
  model: ModelConfig;
  /** `float32`, `float16` or `bfloat16`: what the checkpoint says it was saved as. */
  torchDtype: string | null;
  /** Null: its weights are plain. */
  quantization: Quantization | null;
}

/** Throws E_MODEL_INVALID or E_MODEL_UNSUPPORTED. */
export function parseHfConfig(object: JsonObject, path: string): HfConfig {
  const config = new JsonFields(object, path);
  const architecture = readArchitecture(config);
  refuseVariants(config);
  const defaults = ARCHITECTURES[architecture];
  const size = (name: string) => config.required(name, config.number(name));

  const hiddenSize = size('hidden_size');
  const numHeads = size('num_attention_heads');
  const numLayers = size('num_hidden_layers');
  const model: ModelConfig = {
    architecture,
    numLayers,
    hiddenSize,
    intermediateSize: size('intermediate_size'),
    numHeads,
    numKvHeads: config.number('num_key_value_heads') ?? defaults.numKvHeads ?? numHeads,
    headDim: config.number('head_dim') ?? defaults.headDim ?? Math.floor(hiddenSize / numHeads),
    vocabSize: size('vocab_size'),
    rmsNormEps: config.number('rms_norm_eps') ?? 1e-6,
    ...readRope(config),
    ropeInterleaved: false,
    slidingWindow: readSlidingWindow(config, architecture, numLayers),
    tiedEmbeddings: config.bool('tie_word_embeddings') ?? false,
    qkvBias: architecture === 'qwen2' || (config.bool('attention_bias') ?? false),
    qkNorm: architecture === 'qwen3',
    maxContextLength: config.number('max_position_embeddings') ?? defaults.maxContextLength,
  };
  checkConfig(model, path);
  const torchDtype = config.string('torch_dtype') ?? config.string('dtype') ?? null;
  return { model, torchDtype, quantization: readQuantization(config) };
}

function readArchitecture(config: JsonFields): Architecture {
  const modelType = config.string('model_type');
  const [className] = config.strings('architectures') ?? [];
  const names = Object.keys(ARCHITECTURES) as Architecture[];
  const known = names.find((name) =>
    className === undefined ? name === modelType : ARCHITECTURES[name].className === className,
  );
  if (known !== undefined && (modelType === undefined || modelType === known)) return known;
  const got = className ?? modelType;
  if (got === undefined) throw modelInvalid(config.path, "neither 'architectures' nor 'model_type' is given");
  const supported = names.map((name) => ARCHITECTURES[name].className).join(', ');
  throw modelUnsupported(config.path, `architecture ${quote(got)} is not supported; supported: ${supported}`);
}

/** What a config can ask for that the decoder has no code for. */
function refuseVariants(config: JsonFields): void {
  const { path } = config;
  const activation = config.string('hidden_act') ?? 'silu';
  if (activation !== 'silu') throw modelUnsupported(path, `hidden_act ${quote(activation)}; supported: silu`);
  const partial = config.number('partial_rotary_factor') ?? 1;
  if (partial !== 1) throw modelUnsupported(path, `partial_rotary_factor ${partial}; supported: 1`);
}

/** `rope_theta` and `rope_scaling`, or `rope_parameters` that hold both (transformers 5). */
function readRope(config: JsonFields): Pick<ModelConfig, 'ropeTheta' | 'ropeScaling'> {
  const parameters = config.fields('rope_parameters');
  const scaling = parameters ?? config.fields('rope_scaling');
  const ropeTheta = parameters?.number('rope_theta') ?? config.number('rope_theta') ?? 10000;
  return { ropeTheta, ropeScaling: scaling ? readRopeScaling(scaling, config) : null };
}

function readRopeScaling(scaling: JsonFields, config: JsonFields): RopeScaling | null {
  const type = scaling.string('rope_type') ?? scaling.string('type') ?? 'default';
  const number = (name: string) => scaling.required(name, scaling.number(name));
  switch (type) {
    case 'default':
      return null;
    case 'linear':
      return { type: 'linear', factor: number('factor') };
    case 'llama3':
      return {
        type: 'llama3',
        factor: number('factor'),
        lowFreqFactor: number('low_freq_factor'),
        highFreqFactor: number('high_freq_factor'),
        originalContextLength: number('original_max_position_embeddings'),
      };
    default:
      throw modelUnsupported(config.path, `rope scaling ${quote(type)} is not supported; supported: linear, llama3`);
  }
}

/** One window for all layers, or none; a mixture is refused. */
function readSlidingWindow(config: JsonFields, architecture: Architecture, numLayers: number): number | null {
  if (architecture === 'llama') return null;
  const isQwen = architecture !== 'mistral';
  if (isQwen && config.bool('use_sliding_window') !== true) return null;
  const explicit = config.get('sliding_window');
  const window =
    explicit === null ? null : (config.number('sliding_window') ?? ARCHITECTURES[architecture].slidingWindow);
  if (window === null) return null;

  const types = config.strings('layer_types') ?? defaultLayerTypes(config, isQwen, numLayers);
  const slides = types.filter((type) => type === 'sliding_attention').length;
  if (slides === 0) return null;
  if (slides === numLayers) return window;
  throw modelUnsupported(config.path, `a sliding window on ${slides} of ${numLayers} layers is not supported`);
}

/** Qwen's first `max_window_layers` layers see everything; Mistral's all slide. */
function defaultLayerTypes(config: JsonFields, isQwen: boolean, numLayers: number): string[] {
  const full = isQwen ? (config.number('max_window_layers') ?? 28) : 0;
  return Array.from({ length: numLayers }, (_, i) => (i < full ? 'full_attention' : 'sliding_attention'));
}
