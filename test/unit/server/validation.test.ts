/** Requests that are wrong, or look it: every one gets a 4xx that names the field, or a 200; nothing gets a 5xx. */
import { describe, expect, it, vi } from 'vitest';
import { log } from '../../../src/log.js';
import type { Tokenizer } from '../../../src/model/model.js';
import { fakeTokenizer, VOCAB_SIZE } from './fake-model.js';
import { CHAT, type Json, testApp } from './test-app.js';

const { post, runtime } = testApp({ delayMs: null });
const user = (content: unknown) => ({ messages: [{ role: 'user', content }] });

async function check(path: string, body: unknown, status: number, param: string | null): Promise<Json> {
  const response = await post(path, body);
  const text = await response.text();
  expect(response.status, text).toBe(status);
  if (status === 200) return;
  const { error } = JSON.parse(text);
  expect(error).toMatchObject({ type: expect.any(String), message: expect.any(String), code: expect.any(String) });
  expect(error.param, error.message).toBe(param);
  return error;
}

const many = <T>(count: number, value: T): T[] => Array(count).fill(value);

/** Fields of all OpenAI routes: value, and whether it is fine. */
const COMMON: [string, unknown, boolean][] = [
  ['temperature', 0, true],
  ['temperature', 2, true],
  ['temperature', null, true],
  ['temperature', 2.1, false],
  ['temperature', -0.1, false],
  ['temperature', '0.7', false],
  ['temperature', 'NaN', false],
  ['temperature', [1], false],
  ['temperature', {}, false],
  ['temperature', true, false],
  ['top_p', 0, true],
  ['top_p', 1, true],
  ['top_p', 1.01, false],
  ['top_k', -1, true],
  ['top_k', 0, true],
  ['top_k', 2 ** 31 - 1, true],
  ['top_k', 2 ** 31, false],
  ['top_k', -2, false],
  ['top_k', 1.5, false],
  ['min_p', 0.05, true],
  ['min_p', -1, false],
  ['seed', 0, true],
  ['seed', -5, true],
  ['seed', 2 ** 63, true],
  ['seed', 1e30, false],
  ['seed', 0.5, false],
  ['seed', '1', false],
  ['frequency_penalty', -2, true],
  ['frequency_penalty', 2.5, false],
  ['presence_penalty', 2, true],
  ['presence_penalty', -3, false],
  ['repetition_penalty', 1.3, true],
  ['repetition_penalty', 0, false],
  ['repetition_penalty', -1, false],
  ['n', 8, true],
  ['n', 9, false],
  ['n', 0, false],
  ['n', 1.5, false],
  ['n', 1e9, false],
  ['max_tokens', 1, true],
  ['max_tokens', 16, true],
  ['max_tokens', -1, false],
  ['max_tokens', 1.5, false],
  ['max_tokens', 100_000, false],
  ['max_tokens', 1e18, false],
  ['max_tokens', '16', false],
  ['min_tokens', 0, true],
  ['min_tokens', 5, true],
  ['min_tokens', 600, false],
  ['min_tokens', -1, false],
  ['stop', 'x', true],
  ['stop', ['x', 'y'], true],
  ['stop', [], true],
  ['stop', null, true],
  ['stop', many(16, 'x'), true],
  ['stop', many(17, 'x'), false],
  ['stop', 5, false],
  ['stop', {}, false],
  ['stop', '', false],
  ['stop', 'x'.repeat(256), true],
  ['stop', 'x'.repeat(257), false],
  ['stop', '€'.repeat(86), false],
  ['stop', '\ud83d', false],
  ['stop_token_ids', [1, 2], true],
  ['stop_token_ids', 5, false],
  ['stop_token_ids', [VOCAB_SIZE], false],
  ['stop_token_ids', many(129, 1), false],
  ['logit_bias', {}, true],
  ['logit_bias', { '5': 100 }, true],
  ['logit_bias', [], false],
  ['logit_bias', 'x', false],
  ['logit_bias', { '99999': 1 }, false],
  ['logit_bias', Object.fromEntries(many(1025, 0).map((_, i) => [i, 0])), false],
  ['stream', false, true],
  ['stream', 'true', false],
  ['stream', 1, false],
  ['stream_options', { include_usage: true }, false],
  ['stream_options', 'x', false],
  ['ignore_eos', 'yes', false],
  ['skip_special_tokens', 0, false],
  ['model', 5, false],
  ['model', null, true],
  ['user', 'someone', true],
  ['store', true, true],
  ['metadata', { a: 'b' }, true],
  ['service_tier', 'auto', true],
  ['rid', 'mine', true],
  ['rid', 5, false],
  ['rid', 'x'.repeat(129), false],
  ['response_format', { type: 'text' }, true],
  ['response_format', null, true],
  ['response_format', { type: 'json_object' }, false],
  ['response_format', { type: 'json_schema', json_schema: {} }, false],
  ['response_format', 'text', false],
  ['response_format', '', false],
  ['response_format', { type: 'json_schema', json_schema: { name: 5, schema: {} } }, false],
  ['response_format', { type: 'json_schema', json_schema: { name: 'x', schema: {}, strict: '' } }, false],
  ['response_format', {}, false],
  ['regex', 'a+', false],
  ['ebnf', 'root ::= "a"', false],
  ['json_schema', '{}', false],
  ['regex', null, true],
  ['regex', '', true],
  ['lora_path', 'x', false],
  ['no_stop_trim', true, false],
  ['include_stop_str_in_output', false, true],
];

const CHAT_ONLY: [string, unknown, boolean][] = [
  ['max_tokens', 0, false],
  ['max_completion_tokens', 0, false],
  ['max_completion_tokens', 5, true],
  ['logprobs', true, true],
  ['logprobs', 1, false],
  ['top_logprobs', 5, false],
  ['tools', [], true],
  ['tools', [{ type: 'function' }], false],
  ['tools', [{ type: 'function', function: { name: 'f', strict: null } }], true],
  ['tools', [{ type: 'function', function: { name: 'f', strict: 'yes' } }], false],
  ['tool_choice', 'none', true],
  ['tool_choice', 'auto', true],
  ['tool_choice', 'required', false],
  ['tool_choice', { type: 'function', function: { name: 'f' } }, false],
  ['functions', [{}], false],
  ['modalities', ['text'], true],
  ['modalities', ['text', 'audio'], false],
  ['modalities', 'audio', false],
  ['audio', { voice: 'x' }, false],
  ['chat_template', 'x', false],
  ['chat_template_kwargs', { enable_thinking: true }, true],
  ['chat_template_kwargs', { evil: 1 }, false],
  ['chat_template_kwargs', 'x', false],
  ['continue_final_message', true, false],
  ['parallel_tool_calls', false, true],
  ['reasoning_effort', 'low', true],
  ['web_search_options', {}, false],
  ['moderation', { model: 'x' }, false],
  ['moderation', null, true],
  ['prompt_cache_options', { mode: 'explicit' }, true],
];

const COMPLETIONS_ONLY: [string, unknown, boolean][] = [
  ['max_tokens', 0, false],
  ['logprobs', 0, true],
  ['logprobs', 20, true],
  ['logprobs', 21, false],
  ['logprobs', true, false],
  ['logprobs', -1, false],
  ['suffix', 'x', false],
  ['suffix', '', true],
  ['best_of', 1, true],
  ['best_of', 3, false],
  ['best_of', 100, false],
  ['echo', 'x', false],
];

const title = (value: unknown) => JSON.stringify(value)?.slice(0, 40);
/** Where the fault is inside a field, `param` goes on after it. */
const inField = (field: string) => new RegExp(`^${field}(\\.|$)`);

describe.each([
  ['/v1/chat/completions', CHAT as object, [...COMMON, ...CHAT_ONLY]],
  ['/v1/completions', { prompt: 'Hi' }, [...COMMON, ...COMPLETIONS_ONLY]],
])('%s', (path, base, cases) => {
  it.each(cases.map(([field, value, isFine]) => [field, title(value), isFine ? 200 : 400, value] as const))(
    '%s = %s: %i',
    async (field, _, status, value) => {
      const response = await post(path, { ...base, [field]: value });
      const text = await response.text();
      expect(response.status, text).toBe(status);
      if (status === 400) expect(JSON.parse(text).error.param).toMatch(inField(field));
    },
  );
});

describe('messages', () => {
  it.each<[string, unknown, string]>([
    ['missing', {}, 'messages'],
    ['null', { messages: null }, 'messages'],
    ['empty', { messages: [] }, 'messages'],
    ['no list', { messages: 'hello' }, 'messages'],
    ['an object', { messages: { 0: {} } }, 'messages'],
    ['too many', { messages: many(2049, { role: 'user', content: 'x' }) }, 'messages'],
    ['a string inside', { messages: ['x'] }, 'messages.0'],
    ['null inside', { messages: [null] }, 'messages.0'],
    ['no role', { messages: [{ content: 'x' }] }, 'messages.0.role'],
    ['a wrong role', { messages: [{ role: 'wizard', content: 'x' }] }, 'messages.0.role'],
    ['a role that objects have', { messages: [{ role: 'constructor', content: 'x' }] }, 'messages.0.role'],
    ['no content', { messages: [{ role: 'user' }] }, 'messages.0.content'],
    ['null content of a user', user(null), 'messages.0.content'],
    ['a number', user(5), 'messages.0.content'],
    ['an object as content', user({ type: 'text', text: 'x' }), 'messages.0.content'],
    ['a string as part', user(['x']), 'messages.0.content.0'],
    ['a part without text', user([{ type: 'text' }]), 'messages.0.content.0.text'],
    [
      'an image',
      user([
        { type: 'text', text: 'x' },
        { type: 'image_url', image_url: { url: 'x' } },
      ]),
      'messages.0.content.1.type',
    ],
    ['sound', user([{ type: 'input_audio', input_audio: {} }]), 'messages.0.content.0.type'],
    ['too many parts', user(many(2049, { type: 'text', text: 'x' })), 'messages.0.content'],
    ['a wrong name', { messages: [{ role: 'user', content: 'x', name: 5 }] }, 'messages.0.name'],
    ['tool calls of a user', { messages: [{ role: 'user', content: 'x', tool_calls: [] }] }, 'messages.0.tool_calls'],
    ['tool calls no list', { messages: [{ role: 'assistant', tool_calls: {} }] }, 'messages.0.tool_calls'],
    ['an empty tool call', { messages: [{ role: 'assistant', tool_calls: [{}] }] }, 'messages.0.tool_calls.0'],
    [
      'a tool call of another type',
      { messages: [{ role: 'assistant', tool_calls: [{ type: 'custom', function: { name: 'f' } }] }] },
      'messages.0.tool_calls.0.type',
    ],
    [
      'a number as the id of a tool call',
      { messages: [{ role: 'assistant', tool_calls: [{ id: 5, function: { name: 'f' } }] }] },
      'messages.0.tool_calls.0.id',
    ],
    ['too many tool calls', { messages: [{ role: 'assistant', tool_calls: many(129, {}) }] }, 'messages.0.tool_calls'],
  ])('%s', async (_, body, param) => {
    await check('/v1/chat/completions', body, 400, param);
  });

  it.each<[string, unknown[]]>([
    ['empty text', [{ role: 'user', content: '' }]],
    ['no parts', [{ role: 'user', content: [] }]],
    ['an assistant without content', [{ role: 'assistant' }]],
    ['arguments that are no JSON', [{ role: 'assistant', tool_calls: [{ function: { name: 'f', arguments: '{' } }] }]],
    ['deep arguments', [{ role: 'assistant', tool_calls: [{ function: { name: 'f', arguments: '['.repeat(300) } }] }]],
    ['half a surrogate pair', [{ role: 'user', content: 'a\ud83db' }]],
    ['a null byte', [{ role: 'user', content: 'a\0b' }]],
  ])('are fine with %s', async (_, messages) => {
    await check('/v1/chat/completions', { messages, max_tokens: 2 }, 200, null);
  });

  it.each([
    [{ role: 'assistant' }, ''],
    [{ role: 'assistant', content: null, reasoning_content: 'Hm.' }, ''],
    [{ role: 'assistant', content: null, tool_calls: [] }, ''],
    [{ role: 'assistant', content: null, tool_calls: [{ function: { name: 'f' } }] }, expect.stringContaining('"f"')],
  ])('have text wherever nothing is called, since templates take it for granted: %j', async (message, content) => {
    const template = { text: '', render: vi.fn(() => 'x') };
    const served = testApp({ delayMs: null, model: { chatTemplate: template } });
    expect((await served.post('/v1/chat/completions', { messages: [message] })).status).toBe(200);
    const [messages] = template.render.mock.calls[0] as unknown as [Json[]];
    expect(messages[0]).toMatchObject({ content });
    expect(messages[0]).not.toHaveProperty('tool_calls');
  });

  it('get the template’s own refusal', async () => {
    await check('/v1/chat/completions', { messages: [{ role: 'tool', content: 'x' }] }, 400, 'messages');
  });
});

describe('forms name the place at fault', () => {
  const tag = (schema: unknown) => ({ structures: [{ begin: '<a>', schema, end: '</a>' }], triggers: ['<a>'] });
  const named = (json_schema: unknown) => ({ type: 'json_schema', json_schema });

  it.each<[string, unknown, string]>([
    ['response_format', named({ schema: { type: 5 } }), 'response_format.json_schema.schema'],
    ['response_format', named({ schema: {}, name: [] }), 'response_format.json_schema.name'],
    ['response_format', { type: 'structural_tag', ...tag({ type: 5 }) }, 'response_format.structures.0.schema'],
    ['structural_tag', tag(5), 'structural_tag.structures.0.schema'],
    ['structural_tag', tag({ type: 'string', pattern: 5 }), 'structural_tag.structures.0.schema'],
    ['structural_tag', { ...tag({}), triggers: [] }, 'structural_tag.triggers'],
    ['structural_tag', { format: { type: 'json_schema', json_schema: 5 } }, 'structural_tag.format.json_schema'],
    ['structural_tag', { format: { type: 'regex', pattern: '('.repeat(200) } }, 'structural_tag.format.pattern'],
  ])('%s = %j', async (field, value, param) => {
    await check('/v1/chat/completions', { ...CHAT, [field]: value }, 400, param);
  });
});

describe('prompts', () => {
  it.each<[string, unknown, string]>([
    ['missing', {}, 'prompt'],
    ['null', { prompt: null }, 'prompt'],
    ['empty text', { prompt: '' }, 'prompt'],
    ['an empty list', { prompt: [] }, 'prompt'],
    ['an empty text in a list', { prompt: ['a', ''] }, 'prompt.1'],
    ['an empty list in a list', { prompt: [[1], []] }, 'prompt.1'],
    ['a number', { prompt: 5 }, 'prompt'],
    ['an object', { prompt: {} }, 'prompt'],
    ['mixed', { prompt: ['a', [1]] }, 'prompt.1'],
    ['mixed with a number', { prompt: ['a', 1] }, 'prompt.1'],
    ['ids and text', { prompt: [1, 'a'] }, 'prompt.1'],
    ['a negative id', { prompt: [1, -1] }, 'prompt.1'],
    ['half an id', { prompt: [1.5] }, 'prompt.0'],
    ['an id beyond the vocabulary', { prompt: [1, VOCAB_SIZE] }, 'prompt.1'],
    ['a huge id', { prompt: [[1e300]] }, 'prompt.0.0'],
    ['too many', { prompt: many(257, 'a') }, 'prompt'],
    ['a prompt as long as the context', { prompt: many(512, 1) }, 'prompt'],
    ['too long', { prompt: 'x'.repeat(600) }, 'prompt'],
    ['much too long', { prompt: 'x'.repeat(1_000_000) }, 'prompt'],
    ['one too long of several', { prompt: ['x', 'x'.repeat(600)] }, 'prompt.1'],
  ])('%s', async (_, body, param) => {
    await check('/v1/completions', body, 400, param);
  });

  it('too long: the error says how long, and carries OpenAI’s code', async () => {
    const error = await check('/v1/completions', { prompt: 'x'.repeat(600) }, 400, 'prompt');
    expect(error.code).toBe('context_length_exceeded');
    expect(error.message).toMatch(/512 tokens.*601 tokens/);
    const asked = await check('/v1/completions', { prompt: 'x'.repeat(99), max_tokens: 500 }, 400, 'max_tokens');
    expect(asked.code).toBe('context_length_exceeded');
    expect(asked.message).toMatch(/512 tokens.*600.*100 in the prompt, 500 in the answer.*at most 412/);
    const chat = await check('/v1/chat/completions', user('x'.repeat(600)), 400, 'messages');
    expect(chat.code).toBe('context_length_exceeded');
  });
});

it('tokenizes no more of a hopeless prompt than it takes to see that', async () => {
  const lengths: number[] = [];
  const encode: Tokenizer['encode'] = (text, options) => {
    lengths.push(text.length);
    return fakeTokenizer.encode(text, options);
  };
  const counting = testApp({ model: { tokenizer: { ...fakeTokenizer, encode } } });
  for (const text of ['x'.repeat(3_000_000), ' '.repeat(513)]) {
    expect((await counting.post('/v1/completions', { prompt: text })).status).toBe(400);
  }
  expect(lengths).toEqual([6 * 512, 513]);
});

describe('logit_bias', () => {
  it.each([
    ['no token id', '{"x": 1}'],
    ['a negative id', '{"-1": 1}'],
    ['the key of a prototype', '{"__proto__": 1}'],
    ['a bias too large', '{"5": 101}'],
    ['an infinite bias', '{"5": 1e999}'],
    ['a bias that is text', '{"5": "1"}'],
    ['no bias', '{"5": null}'],
  ])('refuses %s', async (_, bias) => {
    const response = await post('/v1/completions', `{"prompt": "a", "logit_bias": ${bias}}`);
    expect(response.status).toBe(400);
    expect(((await response.json()) as Json).error.param).toMatch(/^logit_bias/);
  });
});

describe('bodies', () => {
  const paths = ['/v1/chat/completions', '/v1/completions', '/generate', '/abort_request'];
  const raw = async (path: string, body: string | Uint8Array, headers = {}) => post(path, body, { headers });

  it.each(paths)('%s refuses what is no JSON object', async (path) => {
    for (const body of ['', '{', 'null', '[]', '5', '"x"', '{"a":}', "{'a': 1}", 'NaN', '{"temperature": NaN}']) {
      const response = await raw(path, body);
      expect(response.status, body).toBe(400);
      expect(((await response.json()) as Json).error.type).toBe('invalid_request_error');
    }
  });

  it.each(paths)('%s refuses another content type', async (path) => {
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/jsonp', '']) {
      expect((await raw(path, '{}', { 'content-type': type })).status, type).toBe(400);
    }
  });

  it('accepts JSON content types with parameters', async () => {
    for (const type of ['application/json; charset=utf-8', 'Application/JSON', 'application/vnd.api+json']) {
      expect((await raw('/v1/completions', '{"prompt": "a"}', { 'content-type': type })).status, type).toBe(200);
    }
  });

  it('refuses compressed bodies', async () => {
    expect((await raw('/v1/completions', '{"prompt": "a"}', { 'content-encoding': 'gzip' })).status).toBe(400);
    expect((await raw('/v1/completions', '{"prompt": "a"}', { 'content-encoding': 'Identity' })).status).toBe(200);
  });

  it('refuses invalid UTF-8', async () => {
    const body = Buffer.concat([Buffer.from('{"prompt": "'), Buffer.of(0xc3, 0x28), Buffer.from('"}')]);
    const response = await raw('/v1/completions', body);
    expect(response.status).toBe(400);
    expect(((await response.json()) as Json).error.message).toContain('UTF-8');
  });

  it('refuses deep nesting, brackets in strings aside', async () => {
    const nested = (open: string, close: string, depth: number) =>
      `{"prompt": "a", "metadata": ${open.repeat(depth)}1${close.repeat(depth)}}`;
    for (const body of [nested('[', ']', 1000), nested('{"a":', '}', 1000), nested('[', ']', 500_000)]) {
      const response = await raw('/v1/completions', body);
      expect(response.status).toBe(400);
      expect(((await response.json()) as Json).error.message).toContain('nested');
    }
    expect((await raw('/v1/completions', nested('[', ']', 100))).status).toBe(200);
    const text = '[[{{\\"'.repeat(60);
    expect((await raw('/v1/completions', `{"prompt": "${text}", "max_tokens": 1}`)).status).toBe(200);
  });

  it('refuses large bodies, declared or not', async () => {
    const body = JSON.stringify({ prompt: 'x'.repeat(5 * 1024 * 1024) });
    for (const headers of [{}, { 'content-length': String(body.length) }]) {
      const response = await raw('/v1/completions', body, headers);
      expect(response.status).toBe(413);
      expect(response.headers.get('connection')).toBe('close');
      expect(((await response.json()) as Json).error.type).toBe('invalid_request_error');
    }
  });

  it('are safe with keys of prototypes and keys given twice', async () => {
    const body =
      '{"prompt": "a", "__proto__": {"temperature": 9}, "constructor": 1, "max_tokens": "x", "max_tokens": 3}';
    const before = runtime.submitted.length;
    expect((await raw('/v1/completions', body)).status).toBe(200);
    expect(runtime.submitted[before]).toMatchObject({ maxNewTokens: 3, sampling: { temperature: 1 } });
    expect(({} as Json).temperature).toBeUndefined();
  });

  it('refuse numbers that JSON cannot hold', async () => {
    for (const number of ['1e999', '-1e999', '123456789012345678901234567890']) {
      const response = await raw('/v1/completions', `{"prompt": "a", "max_tokens": ${number}}`);
      expect(response.status, number).toBe(400);
      expect(((await response.json()) as Json).error.param).toBe('max_tokens');
    }
  });
});

it('ignores fields nobody knows, and says so once', async () => {
  const warning = vi.spyOn(log, 'warning').mockImplementation(() => {});
  for (const path of ['/v1/completions', '/v1/completions']) {
    expect((await post(path, { prompt: 'a', zany_field: 'secret', '\n evil': 1 })).status).toBe(200);
  }
  const lines = warning.mock.calls.flat();
  expect(lines).toHaveLength(2);
  expect(lines[0]).toContain('"zany_field"');
  expect(lines.join()).not.toContain('secret');
  expect(lines.join()).not.toContain('\n');
  warning.mockRestore();
});

it('is strict about model names only when told to be', async () => {
  const strict = testApp({ server: { strictModelName: true } });
  const response = await strict.post('/v1/completions', { model: 'other', prompt: 'a' });
  expect(response.status).toBe(404);
  expect(((await response.json()) as Json).error).toMatchObject({ param: 'model', code: 'model_not_found' });
  expect((await strict.post('/v1/completions', { model: 'fake-model', prompt: 'a' })).status).toBe(200);
  expect((await strict.post('/v1/completions', { prompt: 'a' })).status).toBe(200);
  expect((await strict.post('/v1/chat/completions', { ...CHAT, model: 'other' })).status).toBe(404);
});

it('has no text routes without a tokenizer', async () => {
  const bare = testApp({ model: { tokenizer: null, chatTemplate: null } });
  for (const [path, body] of [
    ['/v1/chat/completions', CHAT],
    ['/v1/completions', { prompt: 'a' }],
    ['/generate', { text: 'a' }],
  ] as const) {
    const response = await bare.post(path, body);
    expect(response.status).toBe(400);
    expect(((await response.json()) as Json).error.message).toContain('tokenizer');
  }
});
