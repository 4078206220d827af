import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { findModel, foreseeDownload } from '../../../src/plan/find-model.js';

const COMMIT = '0123456789abcdef0123456789abcdef01234567';
const CONFIG = JSON.stringify({
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  torch_dtype: 'bfloat16',
  num_hidden_layers: 2,
  hidden_size: 64,
  intermediate_size: 128,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  vocab_size: 256,
});

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'jsg-plan-'));
  vi.stubEnv('HF_HUB_CACHE', join(home, 'hub'));
  vi.stubEnv('XDG_CACHE_HOME', join(home, 'cache'));
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(home, { recursive: true });
});

const settings = (model: string) => ({
  'model-path': model,
  revision: null,
  'load-format': 'auto' as const,
  dtype: 'auto' as const,
});

it('a known id needs no file', async () => {
  const found = await findModel(settings('meta-llama/meta-llama-3.1-8b-instruct'));
  expect(found).toMatchObject({ source: 'known shape', path: null });
  expect(found.config.numLayers).toBe(32);
});

it('the embedded default, not yet downloaded, is of 4 bits', async () => {
  const found = await findModel(settings('smollm2'));
  expect(found.source).toBe('known shape');
  expect(found.tensors.find(({ name }) => name.endsWith('q_proj.weight'))?.dtype).toBe('Q4_1');
});

it('a folder with a config.json alone is enough, and so is the file', async () => {
  writeFileSync(join(home, 'config.json'), CONFIG);
  for (const path of [home, join(home, 'config.json')]) {
    const found = await findModel(settings(path));
    expect(found.source).toBe('config');
    expect(found.config).toMatchObject({ numLayers: 2, vocabSize: 256 });
  }
});

it('the shape of a download that has only begun', async () => {
  const repository = join(home, 'hub', 'models--some--model');
  const snapshot = join(repository, 'snapshots', COMMIT);
  mkdirSync(join(repository, 'refs'), { recursive: true });
  mkdirSync(snapshot, { recursive: true });
  writeFileSync(join(repository, 'refs', 'main'), COMMIT);
  writeFileSync(join(snapshot, 'config.json'), CONFIG);
  expect(await findModel(settings('some/model'))).toMatchObject({ source: 'config', config: { numLayers: 2 } });
  expect(await foreseeDownload(settings('some/model'))).toMatchObject({ source: 'config' });
});

it('an unknown id is refused with what to do, and never downloaded', async () => {
  const fetched = vi.spyOn(globalThis, 'fetch');
  await expect(findModel(settings('nobody/nothing'))).rejects.toMatchObject({
    code: 'E_MODEL_NOT_FOUND',
    hint: expect.stringMatching(/config\.json.*\.gguf.*download/),
  });
  await expect(findModel(settings('./no/such.gguf'))).rejects.toMatchObject({ code: 'E_MODEL_NOT_FOUND' });
  expect(fetched).not.toHaveBeenCalled();
});

it('what is wrong with files that are there is told', async () => {
  writeFileSync(join(home, 'broken.gguf'), 'not a model');
  await expect(findModel(settings(join(home, 'broken.gguf')))).rejects.toMatchObject({ code: 'E_MODEL_INVALID' });
  writeFileSync(join(home, 'config.json'), '{"architectures": ["MambaForCausalLM"]}');
  await expect(findModel(settings(home))).rejects.toMatchObject({ code: 'E_MODEL_UNSUPPORTED' });
});

it('a launch that downloads nothing foresees nothing', async () => {
  writeFileSync(join(home, 'config.json'), CONFIG);
  expect(await foreseeDownload(settings(home))).toBeNull();
  expect(await foreseeDownload(settings('nobody/nothing'))).toBeNull();
  expect(await foreseeDownload(settings('Qwen/Qwen3-8B'))).toMatchObject({ source: 'known shape' });
});
