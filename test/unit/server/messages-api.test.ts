/** /v1/messages over the fakes: Anthropic's blocks in, blocks and events out, errors in its shape. */
import { describe, expect, it } from 'vitest';
import { bytesOf, rendered } from './fake-model.js';
import { type Json, says, testApp, typedEvents } from './test-app.js';

const PATH = '/v1/messages';
const HI = { max_tokens: 100, messages: [{ role: 'user', content: 'Hi' }] };
const WEATHER = { name: 'weather', input_schema: { type: 'object', properties: {} } };
const CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "Paris"}}\n</tool_call>';

describe('a message', () => {
  it('is answered with blocks and usage', async () => {
    const { post } = testApp(says('Hello, world!'));
    expect(await (await post(PATH, HI)).json()).toEqual({
      id: expect.stringMatching(/^msg_/),
      type: 'message',
      role: 'assistant',
      model: 'fake-model',
      content: [{ type: 'text', text: 'Hello, world!' }],
      stop_reason: 'end_turn',
      stop_sequence: null,
      usage: {
        input_tokens: expect.any(Number),
        cache_creation_input_tokens: 0,
        cache_read_input_tokens: 0,
        output_tokens: 14,
      },
    });
  });

  it('is streamed as the blocks that it is made of', async () => {
    const { post } = testApp(says('Hello, world!'));
    const found = await typedEvents(await post(PATH, { ...HI, stream: true }));
    const types = found.map(({ type }) => type);
    expect(types.filter((type, index) => type !== types[index - 1])).toEqual([
      'message_start',
      'ping',
      'content_block_start',
      'content_block_delta',
      'content_block_stop',
      'message_delta',
      'message_stop',
    ]);
    const deltas = found.filter(({ type }) => type === 'content_block_delta');
    expect(deltas.map(({ delta }) => delta.text).join('')).toBe('Hello, world!');
    expect(found[0].message).toMatchObject({ content: [], stop_reason: null, usage: { output_tokens: 1 } });
    expect(found.at(-2)).toMatchObject({ delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 14 } });
  });

  it.each([
    [{ max_tokens: 3 }, 'max_tokens', null, 'Hel'],
    [{ stop_sequences: [', w'] }, 'stop_sequence', ', w', 'Hello'],
  ])('says why it ended: %j', async (asked, reason, sequence, text) => {
    const { post } = testApp(says('Hello, world!'));
    const body: Json = await (await post(PATH, { ...HI, ...asked })).json();
    expect(body).toMatchObject({ stop_reason: reason, stop_sequence: sequence, content: [{ text }] });
    const found = await typedEvents(await post(PATH, { ...HI, ...asked, stream: true }));
    expect(found.at(-2).delta).toEqual({ stop_reason: reason, stop_sequence: sequence });
  });

  it('goes on from what the assistant’s last message begins', async () => {
    const { post, runtime } = testApp(says(' world'));
    const messages = [...HI.messages, { role: 'assistant', content: 'Hello,' }];
    const body: Json = await (await post(PATH, { ...HI, messages })).json();
    expect(body.content).toEqual([{ type: 'text', text: ' world' }]);
    const prompt = Array.from(runtime.submitted[0]?.promptIds ?? []);
    expect(prompt.slice(-6)).toEqual(bytesOf('Hello,'));
    expect(rendered.at(-1)?.messages).toHaveLength(1);
  });
});

it('tells thoughts, text and calls apart', async () => {
  const options = { server: { reasoningParser: 'qwen3' as const, toolCallParser: 'qwen25' as const } };
  const { post } = testApp({ ...says(`<think>Look it up.</think>\n\nOne moment.\n${CALL}`), ...options });
  const body: Json = await (await post(PATH, { ...HI, max_tokens: 300, tools: [WEATHER] })).json();
  expect(body).toMatchObject({
    content: [
      { type: 'thinking', thinking: 'Look it up.', signature: '' },
      { type: 'text', text: 'One moment.' },
      { type: 'tool_use', id: expect.stringMatching(/^toolu_/), name: 'weather', input: { city: 'Paris' } },
    ],
    stop_reason: 'tool_use',
  });
  const found = await typedEvents(await post(PATH, { ...HI, max_tokens: 300, tools: [WEATHER], stream: true }));
  const deltas = (index: number) =>
    found.filter(({ type, index: at }) => type === 'content_block_delta' && at === index).map(({ delta }) => delta);
  expect(deltas(0).at(-1)).toEqual({ type: 'signature_delta', signature: '' });
  expect(
    deltas(0)
      .map(({ thinking = '' }) => thinking)
      .join(''),
  ).toBe('Look it up.');
  expect(
    deltas(1)
      .map(({ text }) => text)
      .join(''),
  ).toBe('One moment.');
  expect(
    JSON.parse(
      deltas(2)
        .map(({ partial_json: json }) => json)
        .join(''),
    ),
  ).toEqual({ city: 'Paris' });
});

it('turns blocks into messages', async () => {
  const { post } = testApp(says('ok'));
  const messages = [
    {
      role: 'user',
      content: [
        { type: 'text', text: 'a' },
        { type: 'text', text: 'b', cache_control: {} },
      ],
    },
    {
      role: 'assistant',
      content: [
        { type: 'thinking', thinking: 'Hm.', signature: 'x' },
        { type: 'redacted_thinking', data: 'x' },
        { type: 'text', text: 'I look.' },
        { type: 'tool_use', id: 't1', name: 'weather', input: { city: 'Paris' } },
        { type: 'tool_use', id: 't2', name: 'weather', input: {} },
      ],
    },
    {
      role: 'user',
      content: [
        { type: 'tool_result', tool_use_id: 't1', content: '21' },
        { type: 'tool_result', tool_use_id: 't2', is_error: true, content: [{ type: 'text', text: 'none' }] },
        { type: 'text', text: 'Well?' },
      ],
    },
    { role: 'user', content: 'Say.' },
  ];
  const asked = { max_tokens: 5, system: [{ type: 'text', text: 'Be brief.' }], messages, tools: [WEATHER] };
  expect((await post(PATH, { ...asked, thinking: { type: 'enabled', budget_tokens: 1024 } })).status).toBe(200);
  const { messages: got, options } = rendered.at(-1) as { messages: Json; options: Json };
  expect(got).toEqual([
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: 'a\nb' },
    {
      role: 'assistant',
      content: 'I look.',
      reasoning_content: 'Hm.',
      tool_calls: [
        { id: 't1', type: 'function', function: { name: 'weather', arguments: { city: 'Paris' } } },
        { id: 't2', type: 'function', function: { name: 'weather', arguments: {} } },
      ],
    },
    { role: 'tool', tool_call_id: 't1', content: '21' },
    { role: 'tool', tool_call_id: 't2', content: 'none' },
    { role: 'user', content: 'Well?\nSay.' },
  ]);
  expect(options.kwargs).toEqual({ enable_thinking: true });
  expect(options.tools[0].function.parameters).toEqual(WEATHER.input_schema);
});

describe('errors', () => {
  const ONE = { type: 'auto', disable_parallel_tool_use: 1 };
  const call = (result: object, thoughts = {}) => {
    const thinking = { type: 'thinking', thinking: 'Hm.', ...thoughts };
    const use = { type: 'tool_use', id: 'x', name: 'f', input: {} };
    const content = [{ type: 'tool_result', tool_use_id: 'x', ...result }];
    const turns = [...HI.messages, { role: 'assistant', content: [thinking, use] }, { role: 'user', content }];
    return { max_tokens: 5, messages: turns };
  };
  const user = (content: unknown) => ({ max_tokens: 5, messages: [{ role: 'user', content }] });

  it.each<[string, object, string]>([
    ['no max_tokens', { messages: HI.messages }, 'max_tokens'],
    ['null as max_tokens', { ...HI, max_tokens: null }, 'max_tokens'],
    ['no messages', { max_tokens: 5 }, 'messages'],
    ['a system message', { max_tokens: 5, messages: [{ role: 'system', content: 'x' }] }, 'messages.0.role'],
    ['no content', user(null), 'messages.0.content'],
    ['empty content', user([]), 'messages.0.content'],
    ['an image', user([{ type: 'image', source: {} }]), 'messages.0.content.0.type'],
    ['a document', user([{ type: 'document' }]), 'messages.0.content.0.type'],
    ['a text without text', user([{ type: 'text' }]), 'messages.0.content.0.text'],
    ['a result of nothing', user([{ type: 'tool_result', tool_use_id: 'x' }]), 'messages.0.content.0.tool_use_id'],
    ['an image as system', { ...HI, system: [{ type: 'image' }] }, 'system.0.type'],
    ['a word for whether it failed', call({ is_error: 'no' }), 'messages.2.content.0.is_error'],
    ['a signature that is none', call({}, { signature: 5 }), 'messages.1.content.0.signature'],
    [
      'a number for one call at a time',
      { ...HI, tools: [WEATHER], tool_choice: ONE },
      `tool_choice.${Object.keys(ONE)[1]}`,
    ],
    ['a word as strict', { ...HI, tools: [{ ...WEATHER, strict: 'yes' }] }, 'tools.0.strict'],
    ['a tool without schema', { ...HI, tools: [{ name: 'f' }] }, 'tools.0.input_schema'],
    ['a hosted tool', { ...HI, tools: [{ type: 'bash_20250124', name: 'bash' }] }, 'tools.0.type'],
    ['a wrong choice', { ...HI, tools: [WEATHER], tool_choice: { type: 'some' } }, 'tool_choice.type'],
    ['a choice as a word', { ...HI, tools: [WEATHER], tool_choice: 'auto' }, 'tool_choice'],
    ['a choice of no tool', { ...HI, tools: [WEATHER], tool_choice: { type: 'tool', name: 'g' } }, 'tool_choice.name'],
    ['any of no tools', { ...HI, tool_choice: { type: 'any' } }, 'tool_choice'],
    ['OpenAI’s stop', { ...HI, stop: ['x'] }, 'stop'],
    ['too many stops', { ...HI, stop_sequences: Array(17).fill('x') }, 'stop_sequences'],
    ['a container', { ...HI, container: 'x' }, 'container'],
    ['a summary of the conversation', { ...HI, compaction: { type: 'x' } }, 'compaction'],
    ['a wrong form', { ...HI, output_config: { format: { type: 'xml' } } }, 'output_config.format.type'],
    ['a wrong way to think', { ...HI, thinking: { type: 'hard' } }, 'thinking.type'],
    [
      'white space to go on from',
      { max_tokens: 5, messages: [...HI.messages, { role: 'assistant', content: 'x ' }] },
      'messages.1',
    ],
  ])('name the field: %s', async (_, body, param) => {
    const { post } = testApp();
    const response = await post(PATH, body);
    const { type, error } = (await response.json()) as Json;
    expect([response.status, type, error.type, error.param], error.message).toEqual([
      400,
      'error',
      'invalid_request_error',
      param,
    ]);
  });

  it('tell the client’s own way out: a conversation that is not kept is sent whole', async () => {
    const { post } = testApp();
    const response = await post(PATH, { ...HI, thread: { type: 'create' } });
    expect(response.status).toBe(400);
    const details = { error_code: 'thread_unsupported_request', unsupported: ['thread'] };
    expect(await response.json()).toMatchObject({ error: { type: 'invalid_request_error', param: 'thread', details } });
    const other: Json = await (await post(PATH, { ...HI, container: 'x' })).json();
    expect(other.error).not.toHaveProperty('details');
  });

  it('are of Anthropic’s shape wherever they come from', async () => {
    const { app, post, runtime } = testApp({ server: { apiKeys: ['key'] } });
    const headers = { 'x-api-key': 'key' };
    const typeOf = async (response: Response) => ((await response.json()) as Json).error.type;
    expect(await typeOf(await post(PATH, HI))).toBe('authentication_error');
    expect(await typeOf(await post(`${PATH}/batches`, HI, { headers }))).toBe('not_found_error');
    expect((await app.request(PATH, { headers })).status).toBe(405);
    expect(await typeOf(await post(PATH, '{', { headers }))).toBe('invalid_request_error');
    expect(await typeOf(await post(PATH, ' '.repeat(5_000_000), { headers }))).toBe('request_too_large');
    runtime.failure = new Error('a kernel failed');
    expect(await typeOf(await post(PATH, HI, { headers }))).toBe('overloaded_error');
  });

  it('in a stream are events', async () => {
    const { post } = testApp({ ...says('Hello'), fail: { index: 0, afterTokens: 2 } });
    const found = await typedEvents(await post(PATH, { ...HI, stream: true }));
    expect(found.at(-1)).toMatchObject({ type: 'error', error: { type: 'api_error' } });
  });
});

it('counts tokens as a message has them', async () => {
  const { post } = testApp(says('ok'));
  const prompt = { messages: HI.messages, system: 'Be brief.', tools: [WEATHER] };
  const { input_tokens: counted }: Json = await (await post(`${PATH}/count_tokens`, prompt)).json();
  const { usage }: Json = await (await post(PATH, { ...prompt, max_tokens: 5 })).json();
  expect(counted).toBe(usage.input_tokens);
  expect(counted).toBeGreaterThan(10);
});

it('counts nothing for what would be refused', async () => {
  const { post } = testApp();
  const response = await post(`${PATH}/count_tokens`, { ...HI, output_config: { format: { type: 'xml' } } });
  expect([response.status, ((await response.json()) as Json).error.param]).toEqual([400, 'output_config.format.type']);
});
