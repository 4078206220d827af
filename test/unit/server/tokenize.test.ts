import { describe, expect, it } from 'vitest';
import { BOS, bytesOf, EOS, TURN, VOCAB_SIZE } from './fake-model.js';
import { type Json, testApp } from './test-app.js';

const { post } = testApp();
const ask = async (path: string, body: object): Promise<Json> => {
  const response = await post(path, body);
  const text = await response.text();
  expect(response.status, text).toBe(200);
  return JSON.parse(text);
};

describe('/tokenize', () => {
  it('takes a text', async () => {
    const ids = [BOS, ...bytesOf('Hi€')];
    expect(await ask('/tokenize', { prompt: 'Hi€' })).toEqual({ tokens: ids, count: 6, max_model_len: 512 });
    expect((await ask('/v1/tokenize', { prompt: 'Hi€', add_special_tokens: false })).tokens).toEqual(ids.slice(1));
    expect((await ask('/tokenize', { prompt: '', add_special_tokens: false })).tokens).toEqual([]);
  });

  it('takes texts, and gives lists', async () => {
    const asked = { prompt: ['a', 'bc'], add_special_tokens: false, return_token_strs: true };
    expect(await ask('/tokenize', asked)).toEqual({
      tokens: [bytesOf('a'), bytesOf('bc')],
      count: [1, 2],
      max_model_len: 512,
      token_strs: [['a'], ['b', 'c']],
    });
    expect(await ask('/tokenize', { prompt: [] })).toMatchObject({ tokens: [], count: [] });
  });

  it('takes messages, as a chat would have them', async () => {
    const messages = [{ role: 'user', content: 'Hi' }];
    const { tokens } = await ask('/tokenize', { messages });
    expect(tokens).toEqual([BOS, TURN, ...bytesOf('user:Hi'), TURN, ...bytesOf('assistant:')]);
    const closed = await ask('/tokenize', { messages, add_generation_prompt: false });
    expect(closed.tokens).toEqual(tokens.slice(0, 9));
    const { usage } = await ask('/v1/chat/completions', { messages });
    expect(usage.prompt_tokens).toBe(tokens.length);
  });

  it.each<[object, string]>([
    [{}, 'prompt'],
    [{ prompt: 'a', messages: [{ role: 'user', content: 'a' }] }, 'prompt'],
    [{ prompt: 5 }, 'prompt'],
    [{ prompt: ['a', 5] }, 'prompt.1'],
    [{ prompt: Array(257).fill('a') }, 'prompt'],
    [{ prompt: 'a'.repeat(256 * 1024 + 1) }, 'prompt'],
    [{ messages: [] }, 'messages'],
    [{ messages: [{ role: 'user', content: 'a' }], chat_template: 'x' }, 'chat_template'],
    [{ prompt: 'a', add_special_tokens: 'yes' }, 'add_special_tokens'],
    [{ prompt: 'a', tools: 'all' }, 'tools'],
  ])('refuses what is wrong: %#', async (body, param) => {
    const response = await post('/tokenize', body);
    expect(response.status).toBe(400);
    expect(((await response.json()) as Json).error.param).toBe(param);
  });
});

describe('/detokenize', () => {
  it('takes ids or lists of them', async () => {
    const tokens = [BOS, ...bytesOf('Hi€'), EOS];
    expect(await ask('/detokenize', { tokens })).toEqual({ text: 'Hi€', prompt: 'Hi€' });
    expect((await ask('/v1/detokenize', { tokens, skip_special_tokens: false })).text).toBe('<s>Hi€</s>');
    expect((await ask('/detokenize', { tokens: [tokens, []] })).text).toEqual(['Hi€', '']);
    expect((await ask('/detokenize', { tokens: [] })).text).toBe('');
    expect((await ask('/detokenize', { tokens: [0xc3] })).text).toBe('\ufffd');
  });

  it.each<[object, string]>([
    [{}, 'tokens'],
    [{ tokens: 'a' }, 'tokens'],
    [{ tokens: [1, 'a'] }, 'tokens.1'],
    [{ tokens: [1, -1] }, 'tokens.1'],
    [{ tokens: [VOCAB_SIZE] }, 'tokens.0'],
    [{ tokens: [[1], 2] }, 'tokens.1'],
    [{ tokens: [[1], [VOCAB_SIZE]] }, 'tokens.1.0'],
    [{ tokens: Array(257).fill([]) }, 'tokens'],
    [{ tokens: Array(256 * 1024 + 1).fill(1) }, 'tokens'],
  ])('refuses what is wrong: %#', async (body, param) => {
    const response = await post('/detokenize', body);
    expect(response.status).toBe(400);
    expect(((await response.json()) as Json).error.param).toBe(param);
  });
});

it('what a text becomes, becomes the text again', async () => {
  for (const text of ['a\0b', 'é👍\n', '<|turn|>']) {
    const { tokens } = await ask('/tokenize', { prompt: text });
    expect((await ask('/detokenize', { tokens, skip_special_tokens: false })).text).toBe(`<s>${text}`);
  }
});

it('/v1/embeddings says what to do', async () => {
  const response = await post('/v1/embeddings', { model: 'any', input: 'Hi' });
  expect(response.status).toBe(400);
  const { error }: Json = await response.json();
  expect(error).toMatchObject({ type: 'invalid_request_error', param: 'model', code: 'model_not_supported' });
  expect(error.message).toContain('--is-embedding');
});
