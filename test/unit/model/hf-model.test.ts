import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { dummyModel } from '../../../src/model/dummy.js';
import { openHfModel } from '../../../src/model/hf-model.js';
import { refusal, temporaryDirectory } from './temporary.js';
import { buildSafetensors, type SafeTensor, tinyConfig, tinyWeights, writeDirectory } from './tiny-models.js';

const root = temporaryDirectory();
let numDirectories = 0;

function directory(files: Record<string, Uint8Array | string | object>): string {
  return writeDirectory(join(root, String(numDirectories++)), files);
}

const INDEX = 'model.safetensors.index.json';

/** The tiny llama with some weights replaced, added or (undefined) removed. */
function llama(changes: Record<string, SafeTensor | undefined> = {}, config: object = {}): string {
  const weights = Object.entries({ ...tinyWeights(), ...changes }).filter(([, tensor]) => tensor !== undefined);
  return directory({
    'config.json': tinyConfig({ ...config }),
    'model.safetensors': buildSafetensors(Object.fromEntries(weights) as Record<string, SafeTensor>),
  });
}

const bf16 = (shape: number[], fill = 0): SafeTensor => {
  const count = shape.reduce((product, dim) => product * dim, 1);
  return { dtype: 'BF16', shape, data: new Uint8Array(count * 2).fill(fill) };
};

test('a directory with one file', () => {
  const path = llama();
  const { config, files, tensors } = openHfModel(path);
  expect(config.architecture).toBe('llama');
  expect(files).toEqual([join(path, 'model.safetensors')]);
  expect(tensors.map(({ name }) => name)).toEqual(Object.keys(tinyWeights()));
  expect(tensors[0]).toMatchObject({ dtype: 'BF16', shape: [264, 8], file: 0, nbytes: 264 * 8 * 2 });
});

describe('shards', () => {
  const entries = Object.entries(tinyWeights());
  const halves = [entries.slice(0, 9), entries.slice(9)].map((half) => buildSafetensors(Object.fromEntries(half)));
  const [first, second] = halves as [Buffer, Buffer];
  const map = Object.fromEntries(entries.map(([name], i) => [name, i < 9 ? 'a.safetensors' : 'b.safetensors']));
  const files = { 'config.json': tinyConfig(), 'a.safetensors': first, 'b.safetensors': second };

  test('are read together', () => {
    const { tensors, files: paths } = openHfModel(directory({ ...files, [INDEX]: { weight_map: map } }));
    expect(paths).toHaveLength(2);
    expect(tensors.map(({ file }) => file)).toEqual(entries.map((_, i) => (i < 9 ? 0 : 1)));
  });

  test('may be links, as in the cache', () => {
    const blobs = directory({ first, second });
    const path = directory({ 'config.json': tinyConfig(), [INDEX]: { weight_map: map } });
    symlinkSync(join(blobs, 'first'), join(path, 'a.safetensors'));
    symlinkSync(join(blobs, 'second'), join(path, 'b.safetensors'));
    expect(openHfModel(path).tensors).toHaveLength(entries.length);
  });

  test.each([
    ['../a.safetensors'],
    ['/etc/passwd'],
    ['sub/a.safetensors'],
    ['..\\a.safetensors'],
    ['C:a.safetensors'],
    ['..'],
    ['a.bin'],
    [7],
  ])('named %j are refused', (name) => {
    const path = directory({ ...files, [INDEX]: { weight_map: { ...map, 'model.norm.weight': name } } });
    expect(refusal(() => openHfModel(path))).toMatchObject({
      code: 'E_MODEL_INVALID',
      message: expect.stringContaining('is not a plain .safetensors file name'),
    });
  });

  test('that are missing, or hold a tensor twice, are named', () => {
    const missing = directory({ 'config.json': tinyConfig(), 'a.safetensors': first, [INDEX]: { weight_map: map } });
    expect(refusal(() => openHfModel(missing)).message).toMatch(/shard 'b.safetensors' .* is missing/);
    const twice = directory({ ...files, 'b.safetensors': first, [INDEX]: { weight_map: map } });
    expect(refusal(() => openHfModel(twice)).message).toMatch(/is also in .*a\.safetensors/);
    const none = directory({ ...files, [INDEX]: {} });
    expect(refusal(() => openHfModel(none)).message).toMatch(/'weight_map' is missing/);
  });
});

describe('tensors', () => {
  test('a tied head that is stored all the same is left out, as are old rotary buffers', () => {
    const path = llama({
      'lm_head.weight': bf16([264, 8]),
      'model.layers.0.self_attn.rotary_emb.inv_freq': bf16([2]),
    });
    expect(openHfModel(path).tensors).toHaveLength(Object.keys(tinyWeights()).length);
  });

  test('zero biases of o_proj are left out, others refused', () => {
    const name = 'model.layers.0.self_attn.o_proj.bias';
    expect(openHfModel(llama({ [name]: bf16([8]) })).tensors.some((tensor) => tensor.name === name)).toBe(false);
    expect(refusal(() => openHfModel(llama({ [name]: bf16([8], 1) })))).toMatchObject({
      code: 'E_MODEL_UNSUPPORTED',
      message: expect.stringContaining(name),
    });
  });

  // biome-ignore format: a table
  test.each<[what: string, path: () => string, code: string, message: RegExp]>([
    ['a missing one', () => llama({ 'model.norm.weight': undefined }), 'INVALID', /'model.norm.weight' is missing \(expected shape \[8\]\)/],
    ['a missing head', () => llama({}, { tie_word_embeddings: false }), 'INVALID', /'lm_head.weight' is missing/],
    ['a wrong shape', () => llama({ 'model.norm.weight': bf16([4, 2]) }), 'INVALID', /has shape \[4, 2\], expected \[8\]/],
    ['another vocabulary', () => llama({}, { vocab_size: 265 }), 'INVALID', /has shape \[264, 8\], expected \[265, 8\]/],
    ['one nobody knows', () => llama({ 'model.extra.weight': bf16([8]) }), 'UNSUPPORTED', /'model.extra.weight' has no place in a llama/],
    ['a dtype without kernels', () => llama({ 'model.norm.weight': { ...bf16([8]), dtype: 'I16' } }), 'UNSUPPORTED', /is I16; supported: F32, F16, BF16/],
    ['no weights', () => directory({ 'config.json': tinyConfig() }), 'INVALID', /no model.safetensors and no/],
    ['no config', () => directory({ 'model.safetensors': new Uint8Array(8) }), 'NOT_FOUND', /config.json: no such file/],
    ['a broken config', () => directory({ 'config.json': '{"a":' }), 'INVALID', /config.json: not valid JSON/],
  ])('%s is refused by name', (_what, path, code, message) => {
    const error = refusal(() => openHfModel(path()));
    expect(error.message).toMatch(message);
    expect(error.code).toBe(`E_MODEL_${code}`);
  });
});

describe('dummy weights', () => {
  const config = (overrides: object = {}) =>
    join(directory({ 'config.json': tinyConfig({ ...overrides }) }), 'config.json');

  test('have the tensors of the real ones', () => {
    const { tensors, files } = dummyModel(config(), 'auto');
    const real = openHfModel(llama()).tensors;
    const table = (list: typeof tensors) =>
      list.map(({ name, dtype, shape, nbytes }) => ({ name, dtype, shape, nbytes }));
    expect(table(tensors)).toEqual(table(real));
    expect(files).toEqual([]);
  });

  test.each([
    ['auto', { torch_dtype: 'float32' }, 'F32'],
    ['auto', { torch_dtype: undefined, dtype: 'float16' }, 'F16'],
    ['auto', { torch_dtype: undefined }, 'BF16'],
    ['half', {}, 'F16'],
    ['float32', {}, 'F32'],
  ] as const)('%s of %j is %s', (flag, overrides, dtype) => {
    expect(dummyModel(config(overrides), flag).tensors.every((tensor) => tensor.dtype === dtype)).toBe(true);
  });

  test('a dtype that is none of ours is refused', () => {
    const error = refusal(() => dummyModel(config({ torch_dtype: 'float8_e4m3fn' }), 'auto'));
    expect(error).toMatchObject({ code: 'E_MODEL_INVALID', message: expect.stringContaining("'float8_e4m3fn'") });
  });
});
