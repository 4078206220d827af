import { describe, expect, test } from 'vitest';
import { parseHfConfig } from '../../../src/model/hf-config.js';
import { refusal } from './temporary.js';
import { tinyConfig } from './tiny-models.js';

function parse(overrides: Record<string, unknown> = {}) {
  return parseHfConfig(tinyConfig(overrides), 'config.json').model;
}

const MISTRAL = { architectures: ['MistralForCausalLM'], model_type: 'mistral' };
const QWEN2 = { architectures: ['Qwen2ForCausalLM'], model_type: 'qwen2' };
const QWEN3 = { architectures: ['Qwen3ForCausalLM'], model_type: 'qwen3', head_dim: 16 };
const LLAMA3_ROPE = { factor: 32, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 8192 };
const LLAMA3_SCALING = { type: 'llama3', factor: 32, lowFreqFactor: 1, highFreqFactor: 4, originalContextLength: 8192 };

describe('architectures', () => {
  test('llama', () => {
    expect(parse()).toEqual({
      architecture: 'llama',
      numLayers: 2,
      hiddenSize: 8,
      intermediateSize: 16,
      numHeads: 2,
      numKvHeads: 1,
      headDim: 4,
      vocabSize: 264,
      rmsNormEps: 1e-5,
      ropeTheta: 10000,
      ropeScaling: null,
      ropeInterleaved: false,
      slidingWindow: null,
      tiedEmbeddings: true,
      qkvBias: false,
      qkNorm: false,
      maxContextLength: 128,
    });
  });

  test('qwen2 has biases, qwen3 norms on heads of their own size', () => {
    expect(parse(QWEN2)).toMatchObject({ architecture: 'qwen2', qkvBias: true, qkNorm: false });
    expect(parse(QWEN3)).toMatchObject({ architecture: 'qwen3', qkvBias: false, qkNorm: true, headDim: 16 });
  });

  test('absent fields get the defaults of transformers', () => {
    const absent = { num_key_value_heads: undefined, rms_norm_eps: undefined, max_position_embeddings: undefined };
    expect(parse({ ...absent, tie_word_embeddings: undefined })).toMatchObject({
      numKvHeads: 2,
      rmsNormEps: 1e-6,
      maxContextLength: 2048,
      tiedEmbeddings: false,
    });
    expect(parse({ ...QWEN3, ...absent, num_attention_heads: 32, head_dim: null })).toMatchObject({
      headDim: 128,
      numKvHeads: 32,
      maxContextLength: 32768,
    });
    expect(parse({ architectures: undefined }).architecture).toBe('llama');
  });

  test('attention_bias gives q, k and v biases', () => {
    expect(parse({ attention_bias: true }).qkvBias).toBe(true);
  });
});

describe('rope', () => {
  test.each([
    [{ rope_theta: 500000, rope_scaling: null }, 500000, null],
    [{ rope_scaling: { type: 'linear', factor: 2 } }, 10000, { type: 'linear', factor: 2 }],
    [{ rope_scaling: { rope_type: 'llama3', ...LLAMA3_ROPE } }, 10000, LLAMA3_SCALING],
    [{ rope_scaling: { rope_type: 'default' } }, 10000, null],
    [{ rope_parameters: { rope_theta: 5e5, rope_type: 'llama3', ...LLAMA3_ROPE } }, 5e5, LLAMA3_SCALING],
    [{ rope_parameters: { rope_theta: 1e6, rope_type: 'default' } }, 1e6, null],
  ])('%j', (overrides, ropeTheta, ropeScaling) => {
    expect(parse(overrides)).toMatchObject({ ropeTheta, ropeScaling });
  });

  test.each(['yarn', 'dynamic', 'longrope', 'su'])('%s is refused by name', (type) => {
    const error = refusal(() => parse({ rope_scaling: { rope_type: type, factor: 4 } }));
    expect(error).toMatchObject({ code: 'E_MODEL_UNSUPPORTED', message: expect.stringContaining(`'${type}'`) });
  });
});

describe('sliding window', () => {
  const qwen = (overrides: object) => parse({ ...QWEN2, sliding_window: 64, ...overrides }).slidingWindow;

  test('of Mistral: the given one, null for none, 4096 where absent', () => {
    expect(parse({ ...MISTRAL, sliding_window: 64 }).slidingWindow).toBe(64);
    expect(parse({ ...MISTRAL, sliding_window: null }).slidingWindow).toBe(null);
    expect(parse(MISTRAL).slidingWindow).toBe(4096);
  });

  test('of Qwen2: only when asked for, and on the layers after max_window_layers', () => {
    expect(qwen({})).toBe(null);
    expect(qwen({ use_sliding_window: false, max_window_layers: 0 })).toBe(null);
    expect(qwen({ use_sliding_window: true, max_window_layers: 2 })).toBe(null);
    expect(qwen({ use_sliding_window: true, max_window_layers: 0 })).toBe(64);
    expect(qwen({ use_sliding_window: true, layer_types: ['full_attention', 'full_attention'] })).toBe(null);
  });

  test('a mixture of layers is refused', () => {
    const error = refusal(() => qwen({ use_sliding_window: true, max_window_layers: 1 }));
    expect(error).toMatchObject({ code: 'E_MODEL_UNSUPPORTED', message: expect.stringContaining('1 of 2 layers') });
  });
});

// biome-ignore format: a table
const REFUSED: [overrides: Record<string, unknown>, code: string, message: RegExp][] = [
  [{ architectures: ['GemmaForCausalLM'], model_type: 'gemma' }, 'UNSUPPORTED', /'GemmaForCausalLM' is not supported; supported: LlamaForCausalLM, Mistral/],
  [{ architectures: ['LlamaForSequenceClassification'] }, 'UNSUPPORTED', /'LlamaForSequenceClassification'/],
  [{ architectures: undefined, model_type: undefined }, 'INVALID', /neither 'architectures' nor 'model_type'/],
  [{ model_type: 'qwen2' }, 'UNSUPPORTED', /'LlamaForCausalLM' is not supported/],
  [{ architectures: 'LlamaForCausalLM' }, 'INVALID', /'architectures' is 'LlamaForCausalLM', expected a list/],
  [{ hidden_size: undefined }, 'INVALID', /'hidden_size' is missing/],
  [{ hidden_size: '8' }, 'INVALID', /'hidden_size' is '8', expected a number/],
  [{ hidden_size: -8 }, 'INVALID', /hidden size is -8/],
  [{ hidden_size: 1e300 }, 'INVALID', /hidden size is 1e\+300/],
  [{ num_hidden_layers: 2.5 }, 'INVALID', /layer count is 2.5/],
  [{ num_attention_heads: 0 }, 'INVALID', /head/],
  [{ num_key_value_heads: 3 }, 'INVALID', /2 heads can't share 3/],
  [{ head_dim: 5 }, 'INVALID', /head dimension 5 is odd/],
  [{ rms_norm_eps: 0 }, 'INVALID', /rms_norm_eps is 0/],
  [{ tie_word_embeddings: 'yes' }, 'INVALID', /'tie_word_embeddings' is 'yes'/],
  [{ hidden_act: 'gelu' }, 'UNSUPPORTED', /hidden_act 'gelu'/],
  [{ partial_rotary_factor: 0.5 }, 'UNSUPPORTED', /partial_rotary_factor 0.5/],
  [{ quantization_config: { quant_method: 'hqq' } }, 'UNSUPPORTED', /quantised by 'hqq'/],
  [{ rope_scaling: { type: 'linear' } }, 'INVALID', /'rope_scaling.factor' is missing/],
  [{ rope_scaling: { type: 'linear', factor: -1 } }, 'INVALID', /rope scaling factor is -1/],
  [{ rope_scaling: { rope_type: 'llama3', ...LLAMA3_ROPE, high_freq_factor: 1 } }, 'INVALID', /high_freq_factor 1 isn't above/],
  [{ rope_scaling: 'linear' }, 'INVALID', /'rope_scaling' is 'linear', expected an object/],
];

test.each(REFUSED)('refused: %j', (overrides, code, message) => {
  const error = refusal(() => parse(overrides));
  expect(error.message).toMatch(message);
  expect(error.code).toBe(`E_MODEL_${code}`);
});
