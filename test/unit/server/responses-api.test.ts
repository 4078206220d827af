/** /v1/responses over the fakes: items in, items and events out, what is kept and for whom. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { ResponseStore } from '../../../src/server/responses-api/store.js';
import { bytesOf, rendered } from './fake-model.js';
import { type Json, says, type TestApp, testApp, typedEvents } from './test-app.js';

const PATH = '/v1/responses';
const WEATHER = { type: 'function', name: 'weather', parameters: { type: 'object', properties: {} } };
const CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "Paris"}}\n</tool_call>';

describe('a text', () => {
  it('is answered with a message and its usage', async () => {
    const { post } = testApp(says('Hello, world!'));
    const body: Json = await (await post(PATH, { input: 'Hi', metadata: { a: 'b' }, temperature: 0.5 })).json();
    expect(body).toMatchObject({
      id: expect.stringMatching(/^resp_[0-9a-f]{32}$/),
      object: 'response',
      status: 'completed',
      incomplete_details: null,
      error: null,
      model: 'fake-model',
      temperature: 0.5,
      metadata: { a: 'b' },
      output: [
        {
          id: expect.stringMatching(/^msg_/),
          type: 'message',
          status: 'completed',
          role: 'assistant',
          content: [{ type: 'output_text', text: 'Hello, world!', annotations: [], logprobs: [] }],
        },
      ],
      usage: { output_tokens: 14, input_tokens_details: { cached_tokens: 0 } },
    });
    expect(body.usage.total_tokens).toBe(body.usage.input_tokens + 14);
  });

  it('names its tools as they are used', async () => {
    const { post } = testApp(says('x'));
    const body: Json = await (await post(PATH, { input: 'Hi', tools: [{ type: 'function', name: 'f' }] })).json();
    expect(body.tools).toEqual([
      { type: 'function', name: 'f', description: null, parameters: { type: 'object', properties: {} }, strict: true },
    ]);
  });

  it('is streamed in numbered events that add up to the last one', async () => {
    const { post } = testApp(says('Hello, world!'));
    const found = await typedEvents(await post(PATH, { input: 'Hi', stream: true }));
    expect(found.map(({ sequence_number: number }) => number)).toEqual(found.map((_, index) => index));
    const types = found.map(({ type }) => type);
    expect(types.filter((type, index) => type !== types[index - 1])).toEqual([
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.content_part.added',
      'response.output_text.delta',
      'response.output_text.done',
      'response.content_part.done',
      'response.output_item.done',
      'response.completed',
    ]);
    const text = found
      .filter(({ type }) => type === 'response.output_text.delta')
      .map(({ delta }) => delta)
      .join('');
    expect(text).toBe('Hello, world!');
    expect(found[0].response).toMatchObject({ status: 'in_progress', output: [], usage: null });
    const last = found.at(-1).response;
    expect(last.output[0].content[0].text).toBe(text);
    expect(found.at(-2).item).toEqual(last.output[0]);
    expect(found[0].response.id).toBe(last.id);
  });

  it('that is cut off is incomplete', async () => {
    const { post } = testApp(says('Hello, world!'));
    const body: Json = await (await post(PATH, { input: 'Hi', max_output_tokens: 3 })).json();
    expect(body).toMatchObject({
      status: 'incomplete',
      incomplete_details: { reason: 'max_output_tokens' },
      output: [{ status: 'incomplete', content: [{ text: 'Hel' }] }],
    });
    const found = await typedEvents(await post(PATH, { input: 'Hi', max_output_tokens: 3, stream: true }));
    expect(found.at(-1).type).toBe('response.incomplete');
    expect(found.at(-2).item.status).toBe('incomplete');
  });

  it('comes with log-probabilities where they are asked for', async () => {
    const { post } = testApp(says('abc'));
    const asked = { input: 'Hi', top_logprobs: 2, include: ['message.output_text.logprobs'] };
    const body: Json = await (await post(PATH, asked)).json();
    const scored = body.output[0].content[0].logprobs;
    expect(scored.map(({ token }: Json) => token)).toEqual(['a', 'b', 'c']);
    expect(scored[0].top_logprobs).toHaveLength(2);
    const found = await typedEvents(await post(PATH, { ...asked, stream: true }));
    const deltas = found.filter(({ type }) => type === 'response.output_text.delta');
    expect(deltas.flatMap(({ logprobs }) => logprobs)).toEqual(scored);
  });

  it('fails with a status before its first event, and with an event after it', async () => {
    const broken = (afterTokens: number) => testApp({ ...says('Hello'), fail: { index: 0, afterTokens } });
    expect((await broken(0).post(PATH, { input: 'Hi', stream: true })).status).toBe(500);
    const found = await typedEvents(await broken(2).post(PATH, { input: 'Hi', stream: true }));
    expect(found.at(-1)).toMatchObject({
      type: 'response.failed',
      response: { status: 'failed', error: { code: 'server_error' } },
    });
  });
});

describe('items', () => {
  const last = () => rendered.at(-1) as { messages: Json[]; options: Json };

  it('become messages, with what belongs together in one', async () => {
    const { post } = testApp(says('ok'));
    const input = [
      { role: 'developer', content: 'Be brief.' },
      {
        type: 'message',
        role: 'user',
        content: [
          { type: 'input_text', text: 'What' },
          { type: 'input_text', text: 'now?' },
        ],
      },
      { type: 'reasoning', summary: [], content: [{ type: 'reasoning_text', text: 'Hm.' }] },
      { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'I look.', annotations: [] }] },
      { type: 'function_call', call_id: 'c1', name: 'weather', arguments: '{"city":"Paris"}' },
      { type: 'function_call', call_id: 'c2', name: 'weather', arguments: '{}' },
      { type: 'function_call_output', call_id: 'c1', output: '21' },
      { type: 'function_call_output', call_id: 'c2', output: [{ type: 'input_text', text: '22' }] },
    ];
    expect((await post(PATH, { input, instructions: 'Speak French.', tools: [WEATHER] })).status).toBe(200);
    expect(last().messages).toEqual([
      { role: 'system', content: 'Speak French.\n\nBe brief.' },
      { role: 'user', content: 'What now?' },
      {
        role: 'assistant',
        content: 'I look.',
        reasoning_content: 'Hm.',
        tool_calls: [
          { id: 'c1', type: 'function', function: { name: 'weather', arguments: { city: 'Paris' } } },
          { id: 'c2', type: 'function', function: { name: 'weather', arguments: {} } },
        ],
      },
      { role: 'tool', tool_call_id: 'c1', content: '21' },
      { role: 'tool', tool_call_id: 'c2', content: '22' },
    ]);
    expect(last().options.tools).toEqual([
      { type: 'function', function: { name: 'weather', parameters: WEATHER.parameters } },
    ]);
  });

  it('forget thoughts that led to nothing', async () => {
    const { post } = testApp(says('ok'));
    const input = [
      { type: 'reasoning', summary: [{ type: 'summary_text', text: 'Cut off' }] },
      { role: 'user', content: 'Hi' },
      { role: 'assistant', content: 'Hello' },
    ];
    expect((await post(PATH, { input })).status).toBe(200);
    expect(last().messages).toEqual([
      { role: 'user', content: 'Hi' },
      { role: 'assistant', content: 'Hello' },
    ]);
  });

  it.each<[string, object, string]>([
    ['no input', {}, 'input'],
    ['an empty list', { input: [] }, 'input'],
    ['a number', { input: 5 }, 'input'],
    ['too many items', { input: Array(2049).fill({ role: 'user', content: 'x' }) }, 'input'],
    ['a text among items', { input: ['x'] }, 'input.0'],
    ['an unknown item', { input: [{ type: 'web_search_call' }] }, 'input.0.type'],
    ['a reference', { input: [{ type: 'item_reference', id: 'x' }] }, 'input.0.type'],
    ['a wrong role', { input: [{ role: 'tool', content: 'x' }] }, 'input.0.role'],
    ['no content', { input: [{ role: 'user' }] }, 'input.0.content'],
    ['an image', { input: [{ role: 'user', content: [{ type: 'input_image' }] }] }, 'input.0.content.0.type'],
    ['a file', { input: [{ role: 'user', content: [{ type: 'input_file' }] }] }, 'input.0.content.0.type'],
    [
      'an output without its call',
      { input: [{ type: 'function_call_output', call_id: 'x', output: '' }] },
      'input.0.call_id',
    ],
    [
      'arguments as an object',
      { input: [{ type: 'function_call', call_id: 'x', name: 'f', arguments: {} }] },
      'input.0.arguments',
    ],
    ['a summary as a number', { input: [{ type: 'reasoning', content: [], summary: 5 }] }, 'input.0.summary'],
    [
      'a summary as a number beside thoughts',
      { input: [{ type: 'reasoning', content: [{ type: 'reasoning_text', text: 'Hm.' }], summary: 5 }] },
      'input.0.summary',
    ],
    ['a word as strict', { input: 'x', tools: [{ ...WEATHER, strict: 'yes' }] }, 'tools.0.strict'],
    [
      'a number as the name of a format',
      { input: 'x', text: { format: { type: 'json_schema', name: 5, schema: {} } } },
      'text.format.name',
    ],
    ['a hosted tool', { input: 'x', tools: [{ type: 'web_search' }] }, 'tools.0.type'],
    [
      'a tool of chat completions',
      { input: 'x', tools: [{ type: 'function', function: { name: 'f' } }] },
      'tools.0.name',
    ],
    [
      'a choice of no tool',
      { input: 'x', tools: [WEATHER], tool_choice: { type: 'function', name: 'g' } },
      'tool_choice.name',
    ],
    ['a choice without tools', { input: 'x', tool_choice: 'required' }, 'tool_choice'],
    ['work in the background', { input: 'x', background: true }, 'background'],
    ['a conversation', { input: 'x', conversation: 'c' }, 'conversation'],
    ['a prompt template', { input: 'x', prompt: { id: 'p' } }, 'prompt'],
    ['a wrong format', { input: 'x', text: { format: { type: 'xml' } } }, 'text.format.type'],
    [
      'a format without schema',
      { input: 'x', text: { format: { type: 'json_schema', name: 'x' } } },
      'text.format.schema',
    ],
    ['chat’s format', { input: 'x', response_format: { type: 'json_object' } }, 'response_format'],
    ['chat’s messages', { messages: [{ role: 'user', content: 'x' }] }, 'messages'],
    [
      'too many pairs',
      { input: 'x', metadata: Object.fromEntries(Array.from({ length: 17 }, (_, i) => [i, ''])) },
      'metadata',
    ],
    ['a number as metadata', { input: 'x', metadata: { a: 1 } }, 'metadata.a'],
    ['a wrong effort', { input: 'x', reasoning: { effort: 5 } }, 'reasoning.effort'],
    ['a wrong truncation', { input: 'x', truncation: 'some' }, 'truncation'],
    ['an unknown response', { input: 'x', previous_response_id: 'resp_x' }, 'previous_response_id'],
    ['two answers', { input: 'x', n: 2 }, 'n'],
  ])('refuses %s', async (_, body, param) => {
    const { post } = testApp();
    const response = await post(PATH, body);
    const { error } = (await response.json()) as Json;
    expect([response.status, error.param], error.message).toEqual([400, param]);
  });
});

describe('calls and thoughts', () => {
  it('are items of their own, streamed and not', async () => {
    const options = { server: { reasoningParser: 'qwen3' as const, toolCallParser: 'qwen25' as const } };
    const { post } = testApp({ ...says(`<think>Look it up.</think>\n\nOne moment.\n${CALL}`), ...options });
    const body: Json = await (await post(PATH, { input: 'Hi', tools: [WEATHER] })).json();
    expect(body.output).toMatchObject([
      { type: 'reasoning', summary: [], content: [{ type: 'reasoning_text', text: 'Look it up.' }] },
      { type: 'message', content: [{ text: 'One moment.' }] },
      {
        type: 'function_call',
        name: 'weather',
        arguments: '{"city": "Paris"}',
        call_id: expect.stringMatching(/^call_/),
      },
    ]);
    expect(body.usage.output_tokens_details.reasoning_tokens).toBeGreaterThan(10);
    expect(body.usage.output_tokens_details.reasoning_tokens).toBeLessThan(body.usage.output_tokens);

    const found = await typedEvents(await post(PATH, { input: 'Hi', tools: [WEATHER], stream: true }));
    const ofItem = (index: number) => found.filter(({ output_index: at }) => at === index).map(({ type }) => type);
    expect([...new Set(ofItem(0))]).toEqual([
      'response.output_item.added',
      'response.content_part.added',
      'response.reasoning_text.delta',
      'response.reasoning_text.done',
      'response.content_part.done',
      'response.output_item.done',
    ]);
    expect([...new Set(ofItem(2))]).toEqual([
      'response.output_item.added',
      'response.function_call_arguments.delta',
      'response.function_call_arguments.done',
      'response.output_item.done',
    ]);
    const strip = ({ id: _, call_id: __, ...item }: Json) => item;
    expect(found.at(-1).response.output.map(strip)).toEqual(body.output.map(strip));
  });
});

describe('stored responses', () => {
  afterEach(() => vi.useRealTimers());

  it('are found, gone on from and deleted', async () => {
    const { app, post } = testApp(says('Paris.'));
    const first: Json = await (await post(PATH, { input: 'Capital?', instructions: 'Be brief.' })).json();
    expect(await (await app.request(`${PATH}/${first.id}`)).json()).toEqual(first);
    const second: Json = await (await post(PATH, { input: 'Sure?', previous_response_id: first.id })).json();
    // Instructions are of one response alone.
    expect(rendered.at(-1)?.messages).toEqual([
      { role: 'user', content: 'Capital?' },
      { role: 'assistant', content: 'Paris.' },
      { role: 'user', content: 'Sure?' },
    ]);
    expect(second.previous_response_id).toBe(first.id);

    const gone = await app.request(`${PATH}/${first.id}`, { method: 'DELETE' });
    expect(await gone.json()).toEqual({ id: first.id, object: 'response', deleted: true });
    expect((await app.request(`${PATH}/${first.id}`)).status).toBe(404);
    expect((await app.request(`${PATH}/${first.id}`, { method: 'DELETE' })).status).toBe(404);
    // What went on from it has the whole conversation.
    expect((await post(PATH, { input: 'And?', previous_response_id: second.id })).status).toBe(200);
    expect(rendered.at(-1)?.messages).toHaveLength(5);
  });

  it('are not kept where nobody wants them', async () => {
    const { app, post } = testApp(says('x'));
    for (const stream of [false, true]) {
      const response = await post(PATH, { input: 'Hi', store: false, stream });
      const id = /resp_[0-9a-f]{32}/.exec(await response.text())?.[0];
      expect((await app.request(`${PATH}/${id}`)).status).toBe(404);
    }
  });

  it('are not kept where the client left', async () => {
    const add = vi.spyOn(ResponseStore.prototype, 'add');
    const endless = function* () {
      for (;;) yield* bytesOf('a');
    };
    const { app, post, runtime } = testApp({ script: endless, delayMs: 1 });
    const client = new AbortController();
    const pending = Promise.resolve(post(PATH, { input: 'Hi' }, { signal: client.signal })).catch(() => null);
    await vi.waitFor(() => expect(runtime.numLive).toBe(1));
    client.abort();
    await pending;
    await app.lifecycle.idle();
    expect(runtime).toMatchObject({ numLive: 0, numCancelled: 1 });
    expect(add).not.toHaveBeenCalled();
    add.mockRestore();
  });

  it('are of the caller’s key alone', async () => {
    const { app, post } = testApp({ ...says('x'), server: { apiKeys: ['one', 'two'] } });
    const as = (key: string) => ({ headers: { authorization: `Bearer ${key}` } });
    const { id }: Json = await (await post(PATH, { input: 'Hi' }, as('one'))).json();
    expect((await app.request(`${PATH}/${id}`, as('one'))).status).toBe(200);
    expect((await app.request(`${PATH}/${id}`, as('two'))).status).toBe(404);
    expect((await app.request(`${PATH}/${id}`, { method: 'DELETE', ...as('two') })).status).toBe(404);
    expect((await post(PATH, { input: 'Hi', previous_response_id: id }, as('two'))).status).toBe(400);
  });

  it('stay within bytes: the oldest of the greediest go, those in use stay', () => {
    const store = new ResponseStore({ maxBytes: 4000, maxAgeMs: 1000 });
    const text = 'x'.repeat(400);
    const [one, two] = [{ namespace: 1 }, { namespace: 2 }];
    store.add(two, 'other', { text }, []);
    for (const id of ['a', 'b', 'c']) store.add(one, id, { text }, []);
    expect(store.response(one, 'a')).not.toBeNull();
    store.add(one, 'd', { text }, []);
    expect(store.response(one, 'b')).toBeNull();
    expect(store.response(one, 'a')).not.toBeNull();
    for (let i = 0; i < 100; i++) store.add(one, `e${i}`, { text }, []);
    expect(store.response(two, 'other')).not.toBeNull();
    expect(store.bytes).toBeLessThanOrEqual(4000);
    store.add(one, 'huge', { text: 'x'.repeat(5000) }, []);
    expect(store.response(one, 'huge')).toBeNull();
    expect(store.response(two, 'other')).not.toBeNull();
  });

  it('are forgotten in time', () => {
    vi.useFakeTimers();
    const store = new ResponseStore({ maxBytes: 4000, maxAgeMs: 1000 });
    const caller = { namespace: 0 };
    store.add(caller, 'a', { x: 1 }, [{ role: 'user' }]);
    vi.advanceTimersByTime(999);
    expect(store.items(caller, 'a')).toEqual([{ role: 'user' }]);
    vi.advanceTimersByTime(1);
    expect(store.items(caller, 'a')).toBeNull();
    expect(store.bytes).toBe(0);
  });
});

describe('/v1/responses/input_tokens', () => {
  const count = async ({ post }: TestApp, body: object) =>
    ((await (await post(`${PATH}/input_tokens`, body)).json()) as Json).input_tokens;

  it('counts what a response is made of', async () => {
    const served = testApp(says('ok'));
    const prompt = { input: 'Hi', instructions: 'Be brief.', tools: [WEATHER] };
    const first: Json = await (await served.post(PATH, prompt)).json();
    expect(await count(served, prompt)).toBe(first.usage.input_tokens);
    const next = { input: 'And?', previous_response_id: first.id };
    const second: Json = await (await served.post(PATH, next)).json();
    expect(await count(served, next)).toBe(second.usage.input_tokens);
    expect(second.usage.input_tokens).toBeGreaterThan(await count(served, { input: 'And?' }));
    expect(served.runtime.submitted).toHaveLength(2);
  });

  it.each<[object, string]>([
    [{}, 'input'],
    [{ input: 'x', previous_response_id: 'resp_x' }, 'previous_response_id'],
    [{ input: 'x', text: { format: { type: 'xml' } } }, 'text.format.type'],
    [{ input: 'x', tools: [{ type: 'web_search' }] }, 'tools.0.type'],
  ])('refuses %j', async (body, param) => {
    const response = await testApp().post(`${PATH}/input_tokens`, body);
    expect([response.status, ((await response.json()) as Json).error.param]).toEqual([400, param]);
  });
});
