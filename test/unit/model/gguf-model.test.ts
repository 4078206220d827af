import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openGgufModel } from '../../../src/model/gguf-model.js';
import { buildGguf, type KeyValue } from './gguf-builder.js';
import { refusal, temporaryDirectory, writeFile } from './temporary.js';
import { TINY, type TinyGguf, tinyGguf } from './tiny-models.js';

const directory = temporaryDirectory();
const path = join(directory, 'model.gguf');

function open(options: TinyGguf = {}) {
  return openGgufModel(writeFile(path, tinyGguf(options))).weights;
}

const u32 = (key: string, value: number): KeyValue => ({ key, type: 'u32', value });
const f32 = (key: string, value: number): KeyValue => ({ key, type: 'f32', value });
const text = (key: string, value: string): KeyValue => ({ key, type: 'string', value });

describe('configuration', () => {
  test('of llama', () => {
    expect(open().config).toEqual({
      architecture: 'llama',
      numLayers: 2,
      hiddenSize: 8,
      intermediateSize: 16,
      numHeads: 2,
      numKvHeads: 1,
      headDim: 4,
      vocabSize: 264,
      rmsNormEps: Math.fround(1e-5),
      ropeTheta: 10000,
      ropeScaling: null,
      ropeInterleaved: true,
      slidingWindow: null,
      tiedEmbeddings: true,
      qkvBias: false,
      qkNorm: false,
      maxContextLength: 128,
    });
  });

  test('of qwen2 and qwen3: halves rotate, biases and norms are found', () => {
    expect(open({ architecture: 'qwen2', tied: false }).config).toMatchObject({
      architecture: 'qwen2',
      ropeInterleaved: false,
      qkvBias: true,
      qkNorm: false,
      tiedEmbeddings: false,
    });
    expect(open({ architecture: 'qwen3' }).config).toMatchObject({
      ropeInterleaved: false,
      qkvBias: false,
      qkNorm: true,
    });
  });

  test('rope: base, linear scaling by either key, none', () => {
    const rope = (...keys: KeyValue[]) => {
      const { ropeTheta, ropeScaling } = open({ with: keys }).config;
      return [ropeTheta, ropeScaling];
    };
    const type = (value: string) => text('llama.rope.scaling.type', value);
    const factor = f32('llama.rope.scaling.factor', 4);
    expect(rope(f32('llama.rope.freq_base', 500000))).toEqual([500000, null]);
    expect(rope(type('linear'), factor)).toEqual([10000, { type: 'linear', factor: 4 }]);
    expect(rope(f32('llama.rope.scale_linear', 2))).toEqual([10000, { type: 'linear', factor: 2 }]);
    expect(rope(type('none'), factor)).toEqual([10000, null]);
  });

  test('head counts written once a layer', () => {
    const perLayer: KeyValue = {
      key: 'llama.attention.head_count_kv',
      type: 'array',
      elementType: 'i32',
      value: [1, 1],
    };
    expect(open({ with: [perLayer] }).config.numKvHeads).toBe(1);
  });

  test('a sliding window', () => {
    expect(open({ with: [u32('llama.attention.sliding_window', 64)] }).config.slidingWindow).toBe(64);
  });
});

describe('tensor table', () => {
  test('has Hugging Face names and row-major shapes, in the order of the decoder', () => {
    const { tensors, files } = open({ architecture: 'qwen2', tied: false });
    expect(files).toEqual([path]);
    const shapes = Object.fromEntries(tensors.map(({ name, shape }) => [name, shape]));
    expect(shapes).toMatchObject({
      'model.embed_tokens.weight': [264, 8],
      'model.layers.1.self_attn.k_proj.weight': [4, 8],
      'model.layers.1.self_attn.k_proj.bias': [4],
      'model.layers.0.mlp.down_proj.weight': [8, 16],
      'model.norm.weight': [8],
      'lm_head.weight': [264, 8],
    });
    expect(tensors).toHaveLength(3 + TINY.layers * 12);
    expect(tensors.every(({ file, offset }) => file === 0 && offset > 0)).toBe(true);
  });

  test('keeps the divisors of Llama 3', () => {
    const { tensors } = open({ withTensors: [{ name: 'rope_freqs.weight', dims: [2] }] });
    expect(tensors.at(-1)).toMatchObject({ name: 'rope_freqs.weight', dtype: 'F32', shape: [2], nbytes: 8 });
  });

  test('leaves out biases that are all zero, and names others', () => {
    const bias = (data: Uint8Array) => ({ withTensors: [{ name: 'blk.1.attn_output.bias', dims: [8], data }] });
    const negativeZeros = new Uint8Array(new Float32Array(8).fill(-0).buffer);
    expect(open(bias(negativeZeros)).tensors.some(({ name }) => name.endsWith('o_proj.bias'))).toBe(false);
    const error = refusal(() => open(bias(new Uint8Array(new Float32Array(8).fill(1e-30).buffer))));
    expect(error).toMatchObject({
      code: 'E_MODEL_UNSUPPORTED',
      message: expect.stringContaining('blk.1.attn_output.bias'),
    });
  });

  test('spans the splits of a model', () => {
    const split = (count: number): KeyValue[] => [{ key: 'split.count', type: 'u16', value: count }];
    const names = [1, 2].map((i) => join(directory, `tiny-0000${i}-of-00002.gguf`)) as [string, string];
    const whole = open();
    const inSecond = ['output_norm.weight', 'blk.1.ffn_up.weight'];
    writeFile(names[0], tinyGguf({ with: split(2), withoutTensors: inSecond }));
    const second = [
      { name: 'output_norm.weight', dims: [8] },
      { name: 'blk.1.ffn_up.weight', dims: [8, 16] },
    ];
    writeFile(names[1], buildGguf({ keys: split(2), tensors: second }));
    const { tensors, files } = openGgufModel(names[0]).weights;
    expect(files).toEqual(names);
    expect(tensors.map(({ name }) => name)).toEqual(whole.tensors.map(({ name }) => name));
    expect(tensors.filter(({ file }) => file === 1).map(({ name }) => name)).toEqual([
      'model.layers.1.mlp.up_proj.weight',
      'model.norm.weight',
    ]);
    expect(refusal(() => openGgufModel(names[1])).hint).toContain('tiny-00001-of-00002.gguf');
  });
});

// biome-ignore format: a table
const REFUSED: [what: string, options: TinyGguf, code: string, message: RegExp][] = [
  ['an unknown architecture', { with: [text('general.architecture', 'mamba')] }, 'UNSUPPORTED', /'mamba' is not supported; supported: llama, qwen2, qwen3/],
  ['no architecture', { without: ['general.architecture'] }, 'INVALID', /'general.architecture' is missing/],
  ['a missing key', { without: ['llama.block_count'] }, 'INVALID', /'llama.block_count' is missing/],
  ['a key of the wrong type', { with: [text('llama.block_count', '2')] }, 'INVALID', /'llama.block_count' isn't a non-negative integer/],
  ['0 layers', { with: [u32('llama.block_count', 0)] }, 'INVALID', /layer count is 0/],
  ['absurdly many layers', { with: [u32('llama.block_count', 4294967295)] }, 'INVALID', /layer count is 4294967295/],
  ['0 heads', { with: [u32('llama.attention.head_count', 0)] }, 'INVALID', /head/],
  ['heads that share unevenly', { with: [u32('llama.attention.head_count_kv', 3)] }, 'INVALID', /can't share/],
  ['an epsilon that is not a number', { with: [f32('llama.attention.layer_norm_rms_epsilon', Number.NaN)] }, 'INVALID', /rms_norm_eps is NaN/],
  ['layers of different widths', { with: [{ key: 'llama.feed_forward_length', type: 'array', elementType: 'u32', value: [16, 32] }] }, 'INVALID', /differs between layers/],
  ['yarn', { with: [text('llama.rope.scaling.type', 'yarn')] }, 'UNSUPPORTED', /rope scaling 'yarn'/],
  ['half-rotated heads', { with: [u32('llama.rope.dimension_count', 2)] }, 'UNSUPPORTED', /only 2 of 4 dimensions/],
  ['experts', { with: [u32('llama.expert_count', 8)] }, 'UNSUPPORTED', /mixture of experts/],
  ['a missing tensor', { withoutTensors: ['blk.1.ffn_up.weight'] }, 'INVALID', /'blk.1.ffn_up.weight' is missing \(expected shape \[16, 8\]\)/],
  ['no embeddings', { withoutTensors: ['token_embd.weight'] }, 'INVALID', /'token_embd.weight' is missing/],
  ['a wrong shape', { withTensors: [{ name: 'blk.0.attn_k.weight', dims: [8, 8] }] }, 'INVALID', /'blk.0.attn_k.weight' has shape \[8, 8\], expected \[4, 8\]/],
  ['a transposed shape', { withTensors: [{ name: 'blk.0.ffn_down.weight', dims: [8, 16] }] }, 'INVALID', /has shape \[16, 8\], expected \[8, 16\]/],
  ['a tensor of no known place', { withTensors: [{ name: 'blk.0.ffn_gate_inp.weight', dims: [8] }] }, 'UNSUPPORTED', /'blk.0.ffn_gate_inp.weight' has no place/],
  ['a layer too many', { withTensors: [{ name: 'blk.2.attn_norm.weight', dims: [8] }] }, 'UNSUPPORTED', /'blk.2.attn_norm.weight' has no place/],
  ['q bias without k bias', { withTensors: [{ name: 'blk.0.attn_q.bias', dims: [8] }] }, 'INVALID', /'blk.0.attn_k.bias' is missing/],
  ['rope_freqs of a wrong size', { withTensors: [{ name: 'rope_freqs.weight', dims: [3] }] }, 'INVALID', /expected F32 \[2\]/],
];

describe('refused, naming what is wrong:', () => {
  test.each(REFUSED)('%s', (_what, options, code, message) => {
    const error = refusal(() => open(options));
    expect(error.message).toMatch(message);
    expect(error.code).toBe(`E_MODEL_${code}`);
  });
});
