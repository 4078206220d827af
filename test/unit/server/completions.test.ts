import { describe, expect, it } from 'vitest';
import { BOS, bytesOf, EOS, wordId } from './fake-model.js';
import { type Json, readEvents, testApp } from './test-app.js';

const PATH = '/v1/completions';
const answer = async (options: Parameters<typeof testApp>[0], fields: object): Promise<Json> => {
  const response = await testApp(options).post(PATH, { model: 'any', ...fields });
  expect(response.status, await response.clone().text()).toBe(200);
  return response.json();
};
const textOf = (events: Json[], index = 0) =>
  events
    .flatMap((event) => event.choices)
    .filter((choice) => choice.index === index)
    .map((choice) => choice.text)
    .join('');

describe('completions', () => {
  it('answers whole, with the special tokens the model asks for', async () => {
    const { post, runtime } = testApp();
    const body: Json = await (await post(PATH, { prompt: 'Hi' })).json();
    expect(body).toMatchObject({
      object: 'text_completion',
      choices: [{ index: 0, text: 'Hello, world!', logprobs: null, finish_reason: 'stop', matched_stop: EOS }],
      usage: { prompt_tokens: 3, completion_tokens: 14, total_tokens: 17, prompt_tokens_details: { cached_tokens: 0 } },
    });
    expect(body.id).toMatch(/^cmpl-/);
    expect(Array.from(runtime.submitted[0]?.promptIds ?? [])).toEqual([BOS, ...bytesOf('Hi')]);
  });

  it.each([
    ['OpenAI’s default', { prompt: 'Hi' }, 16],
    ['none set, by null', { prompt: 'Hi', max_tokens: null }, 16],
    ['what the context has left, where that is less', { prompt: 'x'.repeat(505) }, 6],
    ['as many as asked for', { prompt: 'Hi', max_tokens: 99 }, 99],
  ])('generates as many tokens as it should: %s', async (_, body, count) => {
    const { post, runtime } = testApp();
    expect((await post(PATH, body)).status).toBe(200);
    expect(runtime.submitted[0]?.maxNewTokens).toBe(count);
  });

  it.each([
    [
      'texts',
      ['a', 'bc'],
      [
        [BOS, 97],
        [BOS, 98, 99],
      ],
    ],
    ['token ids', [97, 98], [[97, 98]]],
    ['lists of token ids', [[97], [98, 99]], [[97], [98, 99]]],
    ['one text in a list', ['a'], [[BOS, 97]]],
  ])('takes %s', async (_, prompt, expected) => {
    const { post, runtime } = testApp({ script: (request) => [...request.promptIds, EOS] });
    const body: Json = await (await post(PATH, { prompt })).json();
    expect(runtime.submitted.map(({ promptIds }) => Array.from(promptIds))).toEqual(expected);
    expect(body.choices.map((choice: Json) => choice.index)).toEqual(expected.map((__, index) => index));
    expect(body.usage.prompt_tokens).toBe(expected.flat().length);
  });

  it('numbers the choices of a batch prompt by prompt', async () => {
    const script = (request: { promptIds: Int32Array }, index: number) => [request.promptIds[1] ?? 0, 48 + index, EOS];
    const body = await answer({ script }, { prompt: ['a', 'b'], n: 2 });
    expect(body.choices.map((choice: Json) => choice.text)).toEqual(['a0', 'a1', 'b2', 'b3']);
    expect(body.usage).toEqual({
      prompt_tokens: 4,
      completion_tokens: 12,
      total_tokens: 16,
      prompt_tokens_details: { cached_tokens: 0 },
    });
  });

  it('streams a batch', async () => {
    const script = (request: { promptIds: Int32Array }) => [...request.promptIds.slice(1), EOS];
    const { post } = testApp({ script });
    const fields = { prompt: ['ab', 'cd'], stream: true, stream_options: { include_usage: true } };
    const events = await readEvents(await post(PATH, fields));
    expect([textOf(events, 0), textOf(events, 1)]).toEqual(['ab', 'cd']);
    expect(events.at(-1)).toMatchObject({ choices: [], usage: { prompt_tokens: 6, completion_tokens: 6 } });
  });

  it('accepts best_of where it chooses nothing', async () => {
    expect((await answer({}, { prompt: 'a', n: 2, best_of: 2 })).choices).toHaveLength(2);
  });

  describe('echo', () => {
    it('puts the prompt before the answer', async () => {
      expect((await answer({}, { prompt: 'Say: ', echo: true })).choices[0].text).toBe('Say: Hello, world!');
      const ids = [...bytesOf('é'), wordId(' the')];
      expect((await answer({}, { prompt: ids, echo: true })).choices[0].text).toBe('é theHello, world!');
    });

    it('streams the prompt as the first chunk', async () => {
      const { post } = testApp();
      const events = await readEvents(await post(PATH, { prompt: 'Say: ', echo: true, stream: true }));
      expect(events[0].choices[0].text).toBe('Say: ');
      expect(textOf(events)).toBe('Say: Hello, world!');
    });

    it('scores the prompt and the answer', async () => {
      const script = () => [...bytesOf('cd'), EOS];
      const body = await answer({ script }, { prompt: 'ab', echo: true, logprobs: 1 });
      const { logprobs, text } = body.choices[0];
      expect(text).toBe('abcd');
      expect(logprobs.tokens).toEqual(['<s>', 'a', 'b', 'c', 'd']);
      expect(logprobs.token_logprobs).toEqual([null, -0.097, -0.098, -0.099, -0.1]);
      expect(logprobs.text_offset).toEqual([0, 0, 1, 2, 3]);
      expect(logprobs.top_logprobs).toEqual([null, { a: -0.097 }, { b: -0.098 }, { c: -0.099 }, { d: -0.1 }]);
    });

    it('scores the prompt alone with max_tokens 0', async () => {
      const { post, runtime } = testApp();
      const fields = { prompt: 'ab', echo: true, logprobs: 0, max_tokens: 0 };
      const body: Json = await (await post(PATH, fields)).json();
      expect(runtime.submitted[0]).toMatchObject({ maxNewTokens: 0, promptLogprobs: true });
      expect(body.choices[0]).toMatchObject({ text: 'ab', finish_reason: 'length' });
      expect(body.choices[0].logprobs.tokens).toEqual(['<s>', 'a', 'b']);
      expect(body.usage).toEqual({
        prompt_tokens: 3,
        completion_tokens: 0,
        total_tokens: 3,
        prompt_tokens_details: { cached_tokens: 0 },
      });
      const events = await readEvents(await post(PATH, { ...fields, stream: true }));
      expect(events[0].choices[0]).toMatchObject({ text: 'ab', logprobs: body.choices[0].logprobs });
    });

    it('repeats a prompt without scoring it', async () => {
      const body = await answer({}, { prompt: 'ab', echo: true, max_tokens: 0 });
      expect(body.choices[0]).toMatchObject({ text: 'ab', finish_reason: 'length', logprobs: null });
    });
  });

  describe('log-probabilities', () => {
    it('hold the chosen token and the alternatives beside it', async () => {
      const body = await answer({ script: () => [97, EOS] }, { prompt: 'x', logprobs: 3 });
      expect(body.choices[0].logprobs.top_logprobs).toEqual([{ a: -0.097, b: -1.5, c: -2.5 }]);
    });

    it('count offsets in characters and name parts of characters', async () => {
      const script = () => [...bytesOf('👍'), ...bytesOf('a'), wordId('é'), ...bytesOf('b'), EOS];
      const { logprobs } = (await answer({ script }, { prompt: '€', echo: false, logprobs: 0 })).choices[0];
      expect(logprobs.tokens).toEqual(['bytes:\\xf0', 'bytes:\\x9f', 'bytes:\\x91', 'bytes:\\x8d', 'a', 'é', 'b']);
      expect(logprobs.text_offset).toEqual([0, 0, 0, 0, 1, 2, 3]);
    });

    it('are in a stream the same as in a whole answer', async () => {
      const { post } = testApp({ script: () => [...bytesOf('a€b'), wordId('ST'), EOS] });
      for (const echo of [false, true]) {
        const fields = { prompt: 'pq', logprobs: 2, echo, stop: 'STOP' };
        const whole: Json = (await (await post(PATH, fields)).json()) as Json;
        const events = await readEvents(await post(PATH, { ...fields, stream: true }));
        expect(textOf(events)).toBe(whole.choices[0].text);
        for (const field of ['tokens', 'token_logprobs', 'top_logprobs', 'text_offset']) {
          const streamed = events.flatMap((event) => event.choices[0].logprobs?.[field] ?? []);
          expect(streamed, field).toEqual(whole.choices[0].logprobs[field]);
        }
      }
    });
  });
});
