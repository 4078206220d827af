import { beforeEach, describe, expect, it } from 'vitest';
import { BOS, bytesOf, EOS, rendered, TURN, wordId } from './fake-model.js';
import { CHAT, type Json, readEvents, testApp } from './test-app.js';

const CHAT_PATH = '/v1/chat/completions';
const prompt = [BOS, TURN, ...bytesOf('user:Hi'), TURN, ...bytesOf('assistant:')];

const textOf = (events: Json[], index = 0) =>
  events
    .flatMap((event) => event.choices)
    .filter((choice) => choice.index === index)
    .map((choice) => choice.delta.content ?? '')
    .join('');

describe('chat completions', () => {
  it('goes on from the last message where it is asked to', async () => {
    const { post, runtime } = testApp({ script: () => [...bytesOf(' world'), EOS] });
    const messages = [...CHAT.messages, { role: 'assistant', content: 'Hello' }];
    const asked = { messages, continue_final_message: true };
    const body: Json = await (await post(CHAT_PATH, asked)).json();
    expect(body.choices[0].message.content).toBe(' world');
    expect(Array.from(runtime.submitted[0]?.promptIds ?? [])).toEqual([...prompt, ...bytesOf('Hello')]);
    expect(textOf(await readEvents(await post(CHAT_PATH, { ...asked, stream: true })))).toBe(' world');

    const param = async (fields: object) =>
      ((await (await post(CHAT_PATH, { ...asked, ...fields })).json()) as Json).error.param;
    expect(await param({ messages: CHAT.messages })).toBe('continue_final_message');
    const tool = { type: 'function', function: { name: 'f' } };
    expect(await param({ tools: [tool], tool_choice: 'required' })).toBe('messages');
  });

  it('answers whole', async () => {
    const { post, runtime } = testApp();
    const response = await post(CHAT_PATH, CHAT);
    expect(response.status).toBe(200);
    const body: Json = await response.json();
    expect(body).toMatchObject({
      object: 'chat.completion',
      model: 'fake-model',
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: 'Hello, world!' },
          logprobs: null,
          finish_reason: 'stop',
          matched_stop: EOS,
        },
      ],
      usage: {
        prompt_tokens: prompt.length,
        completion_tokens: 14,
        total_tokens: prompt.length + 14,
        prompt_tokens_details: { cached_tokens: 0 },
      },
    });
    expect(body.id).toMatch(/^chatcmpl-[0-9a-f]{32}$/);
    expect(Math.abs(body.created - Date.now() / 1000)).toBeLessThan(5);
    expect(Array.from(runtime.submitted[0]?.promptIds ?? [])).toEqual(prompt);
  });

  it('streams: role first, deltas, a finish reason, [DONE]', async () => {
    const { post } = testApp();
    const response = await post(CHAT_PATH, { ...CHAT, stream: true });
    expect(response.headers.get('content-type')).toMatch(/^text\/event-stream/);
    const events = await readEvents(response);
    expect(events[0].choices[0].delta).toEqual({ role: 'assistant', content: '' });
    expect(textOf(events)).toBe('Hello, world!');
    expect(events.at(-1).choices[0]).toMatchObject({ delta: {}, finish_reason: 'stop' });
    for (const event of events) {
      expect(event).toMatchObject({ id: events[0].id, object: 'chat.completion.chunk', model: 'fake-model' });
      expect(event).not.toHaveProperty('usage');
    }
    expect(events.slice(0, -1).every((event) => event.choices[0].finish_reason === null)).toBe(true);
    // One event a token, the role, and the end.
    expect(events).toHaveLength(13 + 2);
  });

  it('ends a stream with usage when asked', async () => {
    const { post } = testApp();
    const response = await post(CHAT_PATH, { ...CHAT, stream: true, stream_options: { include_usage: true } });
    const events = await readEvents(response);
    expect(events.at(-1)).toMatchObject({
      choices: [],
      usage: {
        prompt_tokens: prompt.length,
        completion_tokens: 14,
        total_tokens: prompt.length + 14,
        prompt_tokens_details: { cached_tokens: 0 },
      },
    });
    expect(events.slice(0, -1).every((event) => event.usage === null && event.choices.length === 1)).toBe(true);
  });

  const scripts: [string, number[], object][] = [
    ['characters of several tokens', [...bytesOf('a€b👍'), EOS], {}],
    ['words and quotes', [wordId('Hello'), ...bytesOf('"\\\n\u0000<'), wordId('👍'), EOS], {}],
    ['an unfinished character at the end', [...bytesOf('ab'), 0xe2, 0x82, EOS], {}],
    ['invalid bytes', [0xff, 0x61, 0xc3, 0x28, EOS], {}],
    [
      'a stop string across tokens',
      [...bytesOf('one '), wordId('ST'), wordId('OP'), ...bytesOf(' two'), EOS],
      { stop: 'STOP' },
    ],
    ['a stop string inside a token', [...bytesOf('one '), wordId('STOP'), EOS], { stop: ['TO', 'x'] }],
    ['a stop string that never completes', [...bytesOf('one '), wordId('ST'), EOS], { stop: 'STOP' }],
    [
      'a length limit in a held-back stop string',
      [...bytesOf('one '), wordId('ST'), wordId('OP')],
      { stop: 'STOP', max_tokens: 5 },
    ],
    ['nothing at all', [EOS], {}],
    ['special tokens shown', [...bytesOf('a'), TURN, ...bytesOf('b'), EOS], { skip_special_tokens: false }],
    ['special tokens hidden', [...bytesOf('a'), TURN, ...bytesOf('b'), EOS], {}],
  ];

  it.each(scripts)('streams exactly what it answers whole: %s', async (_, script, fields) => {
    const { post } = testApp({ script: () => script });
    const whole: Json = await (await post(CHAT_PATH, { ...CHAT, ...fields })).json();
    for (const logprobs of [false, true]) {
      const events = await readEvents(await post(CHAT_PATH, { ...CHAT, ...fields, logprobs, stream: true }));
      expect(textOf(events)).toBe(whole.choices[0].message.content);
      const { finish_reason, matched_stop } = whole.choices[0];
      expect(events.at(-1).choices[0]).toMatchObject({ finish_reason, matched_stop });
    }
  });

  it('leaves a stop string out, says which, and cancels the sequence', async () => {
    const script = function* () {
      yield* bytesOf('one ');
      yield wordId('ST');
      yield wordId('OP');
      for (;;) yield 0x61;
    };
    const { post, runtime } = testApp({ script });
    const body: Json = await (await post(CHAT_PATH, { ...CHAT, stop: ['nope', 'STOP'] })).json();
    expect(body.choices[0]).toMatchObject({
      message: { content: 'one ' },
      finish_reason: 'stop',
      matched_stop: 'STOP',
    });
    expect(body.usage.completion_tokens).toBe(6);
    expect(runtime).toMatchObject({ numLive: 0, numCancelled: 1 });
  });

  it('does not look for stop strings before min_tokens', async () => {
    const { post } = testApp({ script: () => [...bytesOf('a.b.c.d'), EOS] });
    const body: Json = await (await post(CHAT_PATH, { ...CHAT, stop: '.', min_tokens: 3 })).json();
    expect(body.choices[0]).toMatchObject({ message: { content: 'a.b' }, matched_stop: '.' });
  });

  it('counts what was cached of a prompt once', async () => {
    const { post } = testApp({ cached: (index) => 16 * (index + 1) });
    const body: Json = await (await post(CHAT_PATH, { ...CHAT, n: 3 })).json();
    expect(body.usage.prompt_tokens_details).toEqual({ cached_tokens: 16 });
    const events = await readEvents(
      await post(CHAT_PATH, { ...CHAT, stream: true, stream_options: { include_usage: true } }),
    );
    expect(events.at(-1).usage.prompt_tokens_details).toEqual({ cached_tokens: 64 });
  });

  it('answers n times, each with its own seed', async () => {
    const { post, runtime } = testApp({ script: (_, index) => [...bytesOf(`answer ${index}`), EOS] });
    const body: Json = await (await post(CHAT_PATH, { ...CHAT, n: 3, seed: 7 })).json();
    expect(body.choices.map((choice: Json) => [choice.index, choice.message.content])).toEqual([
      [0, 'answer 0'],
      [1, 'answer 1'],
      [2, 'answer 2'],
    ]);
    expect(body.usage).toEqual({
      prompt_tokens: prompt.length,
      completion_tokens: 27,
      total_tokens: prompt.length + 27,
      prompt_tokens_details: { cached_tokens: 0 },
    });
    expect(runtime.submitted.map(({ sampling }) => sampling.seed)).toEqual([7, 8, 9]);
  });

  it('streams n answers side by side', async () => {
    const { post } = testApp({ script: (_, index) => [...bytesOf('x'.repeat(index + 1)), EOS] });
    const events = await readEvents(await post(CHAT_PATH, { ...CHAT, n: 3, stream: true }));
    expect([0, 1, 2].map((index) => textOf(events, index))).toEqual(['x', 'xx', 'xxx']);
    const finishes = events.flatMap((event) => event.choices).filter((choice) => choice.finish_reason !== null);
    expect(finishes.map((choice) => choice.index).sort()).toEqual([0, 1, 2]);
  });

  describe('log-probabilities', () => {
    const script = () => [...bytesOf('é'), wordId(' world'), EOS];

    it('come with bytes and alternatives, the stop token left out', async () => {
      const { post, runtime } = testApp({ script });
      const body: Json = await (await post(CHAT_PATH, { ...CHAT, logprobs: true, top_logprobs: 2 })).json();
      expect(runtime.submitted[0]?.sampling.topLogprobs).toBe(2);
      const { content } = body.choices[0].logprobs;
      expect(content.map((each: Json) => [each.token, each.bytes])).toEqual([
        ['\\xc3', [0xc3]],
        ['\\xa9', [0xa9]],
        [' world', bytesOf(' world')],
      ]);
      expect(content[0].logprob).toBeCloseTo(-0.195);
      expect(content[0].top_logprobs.map((top: Json) => top.logprob)).toEqual([-0.5, -1.5]);
    });

    it('are in a stream the same as in a whole answer', async () => {
      const { post } = testApp({ script });
      const fields = { ...CHAT, logprobs: true, top_logprobs: 1 };
      const whole: Json = await (await post(CHAT_PATH, fields)).json();
      const events = await readEvents(await post(CHAT_PATH, { ...fields, stream: true }));
      const content = events.flatMap((event) => event.choices[0].logprobs?.content ?? []);
      expect(content).toEqual(whole.choices[0].logprobs.content);
    });

    it('end where a stop string begins', async () => {
      const { post } = testApp({ script: () => [...bytesOf('ab'), wordId('ST'), wordId('OP'), EOS] });
      const body: Json = await (await post(CHAT_PATH, { ...CHAT, logprobs: true, stop: 'STOP' })).json();
      expect(body.choices[0].logprobs.content.map((each: Json) => each.token)).toEqual(['a', 'b']);
    });

    it('are not asked of the runtime unless asked for', async () => {
      const { post, runtime } = testApp();
      await post(CHAT_PATH, CHAT);
      expect(runtime.submitted[0]).toMatchObject({ promptLogprobs: false, sampling: { topLogprobs: -1 } });
    });
  });

  describe('sampling', () => {
    const samplingOf = async (fields: object, model = {}) => {
      const { post, runtime } = testApp({ model });
      const response = await post(CHAT_PATH, { ...CHAT, ...fields });
      expect(response.status, await response.clone().text()).toBe(200);
      return runtime.submitted[0]?.sampling;
    };

    it('takes the request over the model over OpenAI', async () => {
      const defaults = { generationDefaults: { temperature: 0.6, topP: 0.9, topK: 40, repetitionPenalty: 1.1 } };
      expect(await samplingOf({})).toMatchObject({ temperature: 1, topP: 1, topK: 0, minP: 0, repetitionPenalty: 1 });
      expect(await samplingOf({}, defaults)).toMatchObject({
        temperature: 0.6,
        topP: 0.9,
        topK: 40,
        repetitionPenalty: 1.1,
      });
      expect(
        await samplingOf({ temperature: 0, top_p: 0.5, top_k: 5, repetition_penalty: 1.2, min_p: 0.1 }, defaults),
      ).toMatchObject({ temperature: 0, topP: 0.5, topK: 5, repetitionPenalty: 1.2, minP: 0.1 });
    });

    it('passes penalties and biases on', async () => {
      const sampling = await samplingOf({
        frequency_penalty: 0.5,
        presence_penalty: -0.5,
        logit_bias: { '65': -100, '66': 1.5 },
      });
      expect(sampling).toMatchObject({ frequencyPenalty: 0.5, presencePenalty: -0.5 });
      expect(Array.from(sampling?.logitBias?.ids ?? [])).toEqual([65, 66]);
      expect(Array.from(sampling?.logitBias?.values ?? [])).toEqual([-100, 1.5]);
    });

    it('maps extremes to what the runtime takes', async () => {
      expect(await samplingOf({ top_k: -1 })).toMatchObject({ topK: 0 });
      expect(await samplingOf({ top_k: 2 ** 31 - 1 })).toMatchObject({ topK: 0 });
      expect(await samplingOf({ top_p: 0 })).toMatchObject({ topP: 1, topK: 1 });
      expect(await samplingOf({ temperature: 1e-9 })).toMatchObject({ temperature: 0 });
      expect(await samplingOf({ seed: -1 })).toMatchObject({ seed: 2 ** 53 - 1 });
      expect(await samplingOf({ seed: 2 ** 53 - 1, n: 2 })).toMatchObject({ seed: 2 ** 53 - 1 });
    });

    it('draws a seed where none is given', async () => {
      const seeds = new Set([(await samplingOf({}))?.seed, (await samplingOf({}))?.seed]);
      expect(seeds.size).toBe(2);
      for (const seed of seeds) expect(Number.isSafeInteger(seed) && (seed as number) >= 0).toBe(true);
    });
  });

  it('generates as much as the context has left unless told otherwise', async () => {
    const { post, runtime } = testApp();
    await post(CHAT_PATH, CHAT);
    await post(CHAT_PATH, { ...CHAT, max_tokens: 5 });
    await post(CHAT_PATH, { ...CHAT, max_tokens: 5, max_completion_tokens: 6 });
    expect(runtime.submitted.map((each) => each.maxNewTokens)).toEqual([512 - prompt.length, 5, 6]);
  });

  it('stops at the model’s end and at the request’s stop tokens, unless told to ignore the end', async () => {
    const { post, runtime } = testApp();
    await post(CHAT_PATH, { ...CHAT, stop_token_ids: [10, EOS] });
    await post(CHAT_PATH, { ...CHAT, stop_token_ids: [10], ignore_eos: true, max_tokens: 10 });
    expect(runtime.submitted.map((each) => Array.from(each.stopTokenIds))).toEqual([[EOS, 10], [10]]);
  });

  describe('messages', () => {
    beforeEach(() => {
      rendered.length = 0;
    });

    it('reach the template as plain text', async () => {
      const { post } = testApp();
      const messages = [
        { role: 'developer', content: 'Be brief.', unknown: 1, __proto__: { a: 1 } },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'a' },
            { type: 'text', text: 'b' },
          ],
          name: 'Ann',
        },
        {
          role: 'assistant',
          content: null,
          tool_calls: [{ id: 't1', type: 'function', function: { name: 'f', arguments: '{"x": 1}' } }],
        },
        { role: 'tool', content: 'result', tool_call_id: 't1' },
      ];
      expect((await post(CHAT_PATH, { messages })).status).toBe(200);
      expect(rendered[0]?.messages).toEqual([
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'a b', name: 'Ann' },
        {
          role: 'assistant',
          content: null,
          tool_calls: [{ id: 't1', type: 'function', function: { name: 'f', arguments: { x: 1 } } }],
        },
        { role: 'tool', content: 'result', tool_call_id: 't1' },
      ]);
    });

    it('pass only declared switches to the template', async () => {
      const { post } = testApp();
      await post(CHAT_PATH, { ...CHAT, chat_template_kwargs: { enable_thinking: false } });
      expect(rendered[0]?.options).toEqual({ addGenerationPrompt: true, kwargs: { enable_thinking: false } });
    });
  });

  it('answers with an error where the model has no chat template', async () => {
    const { post } = testApp({ model: { chatTemplate: null } });
    const response = await post(CHAT_PATH, CHAT);
    expect(response.status).toBe(400);
    expect(((await response.json()) as Json).error.message).toContain('/v1/completions');
  });
});
