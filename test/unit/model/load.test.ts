import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { setLogLevel } from '../../../src/log.js';
import { type LoadModelOptions, loadModel } from '../../../src/model/load.js';
import { rejection, temporaryDirectory, writeFile } from './temporary.js';
import {
  buildSafetensors,
  tinyConfig,
  tinyGguf,
  tinyTokenizerJson,
  tinyWeights,
  writeDirectory,
} from './tiny-models.js';

const root = temporaryDirectory();
let place = 0;
let directory: string;
beforeEach(() => {
  directory = join(root, String(place++));
  mkdirSync(directory);
});

const HF_FILES = {
  'config.json': tinyConfig({ bos_token_id: 261, eos_token_id: [262] }),
  'model.safetensors': buildSafetensors(tinyWeights()),
  'tokenizer.json': tinyTokenizerJson(),
};
const MESSAGES = [{ role: 'user', content: 'hell' }];

function load(model: string, options: Partial<LoadModelOptions> = {}) {
  return loadModel({ model, loadFormat: 'auto', ...options });
}

function gguf(options: Parameters<typeof tinyGguf>[0] = {}): string {
  return writeFile(join(directory, 'tiny.gguf'), tinyGguf(options));
}

describe('a GGUF file', () => {
  test('is loaded whole', async () => {
    const model = await load(gguf());
    expect(model.name).toBe(join(directory, 'tiny.gguf'));
    expect(model.weights.files).toEqual([model.name]);
    expect(model.tokenizer?.encode('hell')).toEqual([258]);
    expect([model.bosTokenId, model.generationDefaults]).toEqual([261, {}]);
    // The declared one, and control tokens that end a turn by their name.
    expect(model.eosTokenIds).toEqual([262, 260]);
    // No template of its own, but the tokens of ChatML.
    expect(model.chatTemplate?.render(MESSAGES)).toBe('<|im_start|>user\nhell<|im_end|>\n<|im_start|>assistant\n');
  });

  test('may be given by its directory', async () => {
    gguf();
    expect((await load(directory)).weights.files).toEqual([join(directory, 'tiny.gguf')]);
    writeFile(join(directory, 'second.gguf'), tinyGguf());
    const error = await rejection(load(directory));
    expect(error).toMatchObject({ code: 'E_MODEL_INVALID', message: expect.stringContaining('holds 2 models') });
    expect(error.hint).toContain('second.gguf, tiny.gguf');
  });

  test('brings its template, its tokens and its sampling', async () => {
    const model = await load(
      gguf({
        with: [
          {
            key: 'tokenizer.chat_template',
            type: 'string',
            value: '{{ bos_token }}{{ messages[0].content }}{{ eos_token }}',
          },
          { key: 'general.sampling.temp', type: 'f32', value: 0.5 },
          { key: 'general.sampling.top_k', type: 'i32', value: 40 },
          { key: 'tokenizer.ggml.eot_token_id', type: 'u32', value: 263 },
        ],
      }),
    );
    expect(model.chatTemplate?.render(MESSAGES)).toBe('<|im_start|>hell<|im_end|>');
    expect(model.generationDefaults).toEqual({ temperature: 0.5, topK: 40 });
    expect(model.eosTokenIds).toEqual([262, 263, 260]);
  });

  test('with more tokens than embeddings is refused', async () => {
    const tokens = Array.from({ length: 265 }, (_, id) => `t${id}`);
    const key = { key: 'tokenizer.ggml.tokens', type: 'array', elementType: 'string', value: tokens } as const;
    const error = await rejection(
      load(gguf({ with: [key], without: ['tokenizer.ggml.token_type', 'tokenizer.ggml.merges'] })),
    );
    expect(error.code).toBe('E_MODEL_INVALID');
  });
});

describe('a Hugging Face directory', () => {
  test('is loaded whole', async () => {
    const path = writeDirectory(directory, {
      ...HF_FILES,
      'tokenizer_config.json': { eos_token: '<|im_end|>', bos_token: { content: '<|im_start|>' }, chat_template: 'T' },
      'generation_config.json': {
        eos_token_id: [262, 260],
        temperature: 0.6,
        top_p: 0.9,
        top_k: 20,
        repetition_penalty: 1.1,
      },
    });
    const model = await load(path);
    expect(model.eosTokenIds).toEqual([262, 260]);
    expect(model.bosTokenId).toBe(261);
    expect(model.generationDefaults).toEqual({ temperature: 0.6, topP: 0.9, topK: 20, repetitionPenalty: 1.1 });
    expect(model.chatTemplate?.render(MESSAGES)).toBe('T');
    expect(model.weights.tensors).toHaveLength(20);
  });

  // biome-ignore format: a table
  test.each<[what: string, files: Record<string, string | object>, text: string]>([
    ['a list of templates', { 'tokenizer_config.json': { chat_template: [{ name: 'tool_use', template: 'U' }, { name: 'default', template: 'D' }] } }, 'D'],
    ['chat_template.json', { 'chat_template.json': { chat_template: 'J' }, 'tokenizer_config.json': { chat_template: 'C' } }, 'J'],
    ['chat_template.jinja', { 'chat_template.jinja': '{{ eos_token }}', 'tokenizer_config.json': { eos_token: 'E', chat_template: 'C' } }, 'E'],
  ])('takes its template from %s', async (_what, files, text) => {
    const model = await load(writeDirectory(directory, { ...HF_FILES, ...files }));
    expect(model.chatTemplate?.render(MESSAGES)).toBe(text);
  });

  test('sampling out of range, or none at all, gives no defaults', async () => {
    const given = (generation: object) =>
      load(writeDirectory(directory, { ...HF_FILES, 'generation_config.json': generation }));
    expect((await given({ temperature: -1, top_p: 7, top_k: 'x' })).generationDefaults).toEqual({});
    expect((await given({ do_sample: false, temperature: 0.5 })).generationDefaults).toEqual({});
  });

  test('tokens without embeddings end nothing', async () => {
    setLogLevel('error');
    const { model } = tinyTokenizerJson() as { model: object };
    const added_tokens = [{ id: 264, content: '<pad>', special: true }];
    const path = writeDirectory(directory, {
      ...HF_FILES,
      'tokenizer.json': tinyTokenizerJson({ model, added_tokens }),
      'generation_config.json': { eos_token_id: [262, 264] },
      'tokenizer_config.json': { bos_token: '<pad>' },
    });
    const loaded = await load(path);
    setLogLevel('info');
    expect([loaded.tokenizer?.vocabSize, loaded.eosTokenIds, loaded.bosTokenId]).toEqual([265, [262], null]);
  });

  test('without a tokenizer is refused with a way out', async () => {
    const path = writeDirectory(directory, {
      'config.json': HF_FILES['config.json'],
      'model.safetensors': HF_FILES['model.safetensors'],
    });
    const error = await rejection(load(path));
    expect(error).toMatchObject({ code: 'E_MODEL_NOT_FOUND', message: expect.stringContaining('tokenizer.json') });
    expect(error.hint).toContain('--skip-tokenizer-init');
    const bare = await load(path, { skipTokenizerInit: true });
    expect([bare.tokenizer, bare.chatTemplate, bare.eosTokenIds]).toEqual([null, null, [262]]);
  });
});

describe('options', () => {
  test('--tokenizer-path and --chat-template take the place of the model’s own', async () => {
    const tokenizerPath = writeDirectory(join(directory, 'other'), {
      'tokenizer.json': tinyTokenizerJson({ added_tokens: [] }),
    });
    const chatTemplatePath = writeFile(join(directory, 't.jinja'), 'X{{ eos_token }}');
    const model = await load(gguf(), { tokenizerPath, chatTemplatePath });
    expect(model.tokenizer?.isSpecial(262)).toBe(false);
    expect(model.chatTemplate?.render(MESSAGES)).toBe('X<|im_end|>');
    const missing = await rejection(load(gguf(), { chatTemplatePath: join(directory, 'none.jinja') }));
    expect(missing.message).toContain('none.jinja: no such file');
  });

  test('--load-format dummy needs only a config', async () => {
    const path = writeDirectory(directory, { 'config.json': tinyConfig() });
    const model = await load(path, { loadFormat: 'dummy', dtype: 'float16' });
    expect([model.tokenizer, model.chatTemplate, model.weights.files]).toEqual([null, null, []]);
    expect(model.weights.tensors[0]?.dtype).toBe('F16');
    writeDirectory(directory, { 'tokenizer.json': tinyTokenizerJson() });
    expect((await load(join(path, 'config.json'), { loadFormat: 'dummy' })).tokenizer?.vocabSize).toBe(264);
    expect((await rejection(load(join(path, 'config.json')))).hint).toContain('--load-format dummy');
  });

  test('--load-format picks one of two', async () => {
    gguf();
    writeDirectory(directory, HF_FILES);
    expect((await load(directory)).weights.files[0]).toMatch(/safetensors$/);
    expect((await load(directory, { loadFormat: 'gguf' })).weights.files[0]).toMatch(/gguf$/);
    expect((await rejection(load(gguf(), { loadFormat: 'safetensors' }))).code).toBe('E_MODEL_INVALID');
    expect((await rejection(load(gguf(), { loadFormat: 'dummy' }))).code).toBe('E_MODEL_UNSUPPORTED');
  });

  test('what the embedded default is not is said before anything is downloaded', async () => {
    for (const loadFormat of ['dummy', 'safetensors'] as const) {
      const error = await rejection(load('smollm2', { loadFormat }));
      expect(error).toMatchObject({ code: 'E_MODEL_UNSUPPORTED', message: expect.stringContaining(loadFormat) });
    }
    const path = writeFile(join(directory, 'model.safetensors'), HF_FILES['model.safetensors']);
    expect((await rejection(load(path))).hint).toBe('give their directory');
  });

  test('--context-length beyond the training is refused', async () => {
    expect((await load(gguf(), { contextLength: 128 })).weights.config.maxContextLength).toBe(128);
    const error = await rejection(load(gguf(), { contextLength: 129 }));
    expect(error).toMatchObject({ code: 'E_USAGE', message: expect.stringContaining('more than the 128') });
  });
});

test.each(['./none', '/none/at/all', 'none', 'a b/c', 'none.gguf', 'a/b/c', ''])('%j is no model', async (name) => {
  const error = await rejection(load(name));
  expect(error.code).toBe('E_MODEL_NOT_FOUND');
  expect(error.hint).toContain('smollm2');
});
