/** Every cap on a request: what is at it is taken, what is one over it is refused before any work is done for it. */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { log } from '../../../src/log.js';
import type { Tokenizer } from '../../../src/model/model.js';
import { LIMITS } from '../../../src/server/limits.js';
import { fakeTokenizer, VOCAB_SIZE } from './fake-model.js';
import { type Json, testApp } from './test-app.js';

const encoded = vi.fn();
const encode: Tokenizer['encode'] = (text, options) => {
  encoded();
  return fakeTokenizer.encode(text, options);
};
const { app, post, runtime } = testApp({
  delayMs: null,
  totalTokens: 10_000_000,
  server: { contextLength: 9_000_000, maxRunningRequests: 4096 },
  model: { tokenizer: { ...fakeTokenizer, encode } },
});

beforeAll(() => {
  vi.spyOn(log, 'warning').mockImplementation(() => {});
});
afterAll(() => vi.restoreAllMocks());

const many = <T>(count: number, make: (index: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i));
const x = (count: number) => 'x'.repeat(count);
const user = (content: unknown) => ({ role: 'user', content });
const chat = (fields: object) => ({ messages: [user('Hi')], max_tokens: 1, ...fields });
const completion = (fields: object) => ({ prompt: 'Hi', max_tokens: 1, ...fields });
const response = (fields: object) => ({ input: 'Hi', max_output_tokens: 1, ...fields });
const generate = (params: object) => ({ text: 'Hi', sampling_params: { max_new_tokens: 1, ...params } });
const call = (index: number) => ({ id: `c${index}`, function: { name: 'f', arguments: '{}' } });
const chatTool = (index: number) => ({ type: 'function', function: { name: `f${index}` } });
/** Different keys for the same few tokens. */
const bias = (count: number) =>
  Object.fromEntries(many(count, (i) => [String(i % VOCAB_SIZE).padStart(4 + Math.floor(i / VOCAB_SIZE), '0'), 0]));

const CHAT = '/v1/chat/completions';
const MESSAGES = '/v1/messages';
const RESPONSES = '/v1/responses';

/** Field, limit, body of so many. */
const CAPS: [path: string, param: string, limit: number, body: (count: number) => object][] = [
  [CHAT, 'messages', LIMITS.messages, (n) => chat({ messages: many(n, () => user('x')) })],
  [MESSAGES, 'messages', LIMITS.messages, (n) => chat({ messages: many(n, () => user('x')) })],
  [RESPONSES, 'input', LIMITS.messages, (n) => response({ input: many(n, () => user('x')) })],
  [
    CHAT,
    'messages.0.content',
    LIMITS.contentParts,
    (n) => chat({ messages: [user(many(n, () => ({ type: 'text', text: 'x' })))] }),
  ],
  [
    MESSAGES,
    'messages.0.content',
    LIMITS.contentParts,
    (n) => chat({ messages: [user(many(n, () => ({ type: 'text', text: 'x' })))] }),
  ],
  [MESSAGES, 'system', LIMITS.contentParts, (n) => chat({ system: many(n, () => ({ type: 'text', text: 'x' })) })],
  [
    RESPONSES,
    'input.0.content',
    LIMITS.contentParts,
    (n) => response({ input: [user(many(n, () => ({ type: 'input_text', text: 'x' })))] }),
  ],
  [
    CHAT,
    'messages.0.tool_calls',
    LIMITS.toolCalls,
    (n) => chat({ messages: [{ role: 'assistant', tool_calls: many(n, call) }] }),
  ],
  ['/v1/completions', 'prompt', LIMITS.prompts, (n) => completion({ prompt: many(n, () => 'x') })],
  ['/generate', 'text', LIMITS.prompts, (n) => ({ ...generate({}), text: many(n, () => 'x') })],
  ['/tokenize', 'prompt', LIMITS.prompts, (n) => ({ prompt: many(n, () => 'x') })],
  ['/tokenize', 'prompt', LIMITS.tokenizeChars, (n) => ({ prompt: x(n) })],
  ['/tokenize', 'prompt', LIMITS.tokenizeChars, (n) => ({ prompt: [x(n - 5), x(5)] })],
  ['/detokenize', 'tokens', LIMITS.prompts, (n) => ({ tokens: many(n, () => []) })],
  ['/detokenize', 'tokens', LIMITS.detokenizeIds, (n) => ({ tokens: many(n, () => 1) })],
  [CHAT, 'stop', LIMITS.stopStrings, (n) => chat({ stop: many(n, (i) => `stop ${i}`) })],
  [CHAT, 'stop', LIMITS.stopBytes, (n) => chat({ stop: x(n) })],
  ['/v1/completions', 'stop.1', LIMITS.stopBytes, (n) => completion({ stop: ['y', x(n)] })],
  ['/generate', 'sampling_params.stop', LIMITS.stopStrings, (n) => generate({ stop: many(n, (i) => `stop ${i}`) })],
  [MESSAGES, 'stop_sequences', LIMITS.stopStrings, (n) => chat({ stop_sequences: many(n, (i) => `stop ${i}`) })],
  [CHAT, 'stop_token_ids', LIMITS.stopTokenIds, (n) => chat({ stop_token_ids: many(n, (i) => i) })],
  [CHAT, 'logit_bias', LIMITS.logitBias, (n) => chat({ logit_bias: bias(n) })],
  ['/generate', 'sampling_params.logit_bias', LIMITS.logitBias, (n) => generate({ logit_bias: bias(n) })],
  [CHAT, 'n', LIMITS.n, (n) => chat({ n })],
  ['/v1/completions', 'n', LIMITS.n, (n) => completion({ n })],
  ['/generate', 'sampling_params.n', LIMITS.n, (n) => generate({ n })],
  ['/v1/completions', 'best_of', LIMITS.n, (n) => completion({ n: Math.min(n, LIMITS.n), best_of: n })],
  [CHAT, 'top_logprobs', LIMITS.topLogprobs, (n) => chat({ logprobs: true, top_logprobs: n })],
  ['/v1/completions', 'logprobs', LIMITS.topLogprobs, (n) => completion({ logprobs: n })],
  [RESPONSES, 'top_logprobs', LIMITS.topLogprobs, (n) => response({ top_logprobs: n })],
  [
    '/generate',
    'top_logprobs_num',
    LIMITS.topLogprobs,
    (n) => ({ ...generate({}), return_logprob: true, top_logprobs_num: n }),
  ],
  [CHAT, 'rid', LIMITS.requestIdChars, (n) => chat({ rid: x(n) })],
  [MESSAGES, 'rid', LIMITS.requestIdChars, (n) => chat({ rid: x(n) })],
  ['/generate', 'rid', LIMITS.requestIdChars, (n) => ({ ...generate({}), rid: x(n) })],
  [CHAT, 'tools', LIMITS.tools, (n) => chat({ tools: many(n, chatTool) })],
  [RESPONSES, 'tools', LIMITS.tools, (n) => response({ tools: many(n, (i) => ({ type: 'function', name: `f${i}` })) })],
  [MESSAGES, 'tools', LIMITS.tools, (n) => chat({ tools: many(n, (i) => ({ name: `f${i}`, input_schema: {} })) })],
  [CHAT, 'tools.0.function.name', 128, (n) => chat({ tools: [{ type: 'function', function: { name: x(n) } }] })],
  [RESPONSES, 'metadata', 16, (n) => response({ metadata: Object.fromEntries(many(n, (i) => [`k${i}`, ''])) })],
  [RESPONSES, 'metadata.k', 512, (n) => response({ metadata: { k: x(n) } })],
  [RESPONSES, 'include', 32, (n) => response({ include: many(n, () => 'x') })],
  [CHAT, 'model', 512, (n) => chat({ model: x(n) })],
];

describe.each(CAPS)('%s %s', (path, param, limit, body) => {
  it(`takes ${limit}`, { timeout: 30_000 }, async () => {
    const answer = await post(path, body(limit));
    expect(answer.status, (await answer.text()).slice(0, 300)).toBe(200);
  });

  it(`refuses ${limit + 1} before any work`, async () => {
    encoded.mockClear();
    const before = runtime.submitted.length;
    const answer = await post(path, body(limit + 1));
    const { error } = (await answer.json()) as Json;
    expect([answer.status, error.param], error.message).toEqual([400, param]);
    expect(encoded).not.toHaveBeenCalled();
    expect(runtime.submitted).toHaveLength(before);
  });
});

it('refuses more sequences than all places together', async () => {
  const small = testApp({ server: { maxRunningRequests: 2, maxQueuedRequests: 5 } });
  expect((await small.post('/v1/completions', completion({ n: 7 }))).status).toBe(200);
  expect((await small.post('/v1/completions', completion({ n: 8 }))).status).toBe(400);
});

it('refuses a path and a query of any length, and the wrong method, without reading a body', async () => {
  expect((await app.request(`/v1/${x(10_000)}`)).status).toBe(404);
  expect((await app.request(`/v1/models/${x(10_000)}`)).status).toBe(404);
  expect((await app.request(`/v1/responses/${x(10_000)}`)).status).toBe(404);
  expect((await app.request(`/v1/models?${x(10_000)}`)).status).toBe(200);
  expect((await app.request('/v1/messages', { method: 'PUT', body: '{' })).status).toBe(405);
});
