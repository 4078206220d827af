import { describe, expect, it } from 'vitest';
import { BOS, bytesOf, EOS, VOCAB_SIZE, wordId } from './fake-model.js';
import { type Json, readEvents, testApp } from './test-app.js';

const answer = async (options: Parameters<typeof testApp>[0], fields: object): Promise<Json> => {
  const response = await testApp(options).post('/generate', fields);
  expect(response.status, await response.clone().text()).toBe(200);
  return response.json();
};

describe('/generate', () => {
  it('answers a text', async () => {
    const body = await answer({}, { text: 'Hi', rid: 'mine' });
    expect(body).toEqual({
      text: 'Hello, world!',
      output_ids: [...bytesOf('Hello, world!'), EOS],
      meta_info: {
        id: 'mine',
        finish_reason: { type: 'stop', matched: EOS },
        prompt_tokens: 3,
        completion_tokens: 14,
        cached_tokens: 0,
        e2e_latency: expect.any(Number),
      },
    });
  });

  it('passes sampling_params on', async () => {
    const { post, runtime } = testApp();
    const sampling_params = {
      max_new_tokens: 5,
      min_new_tokens: 2,
      temperature: 0,
      top_k: 3,
      sampling_seed: 9,
      stop_token_ids: [7],
      ignore_eos: true,
    };
    const body: Json = await (await post('/generate', { input_ids: [1, 2], sampling_params })).json();
    expect(body.meta_info.finish_reason).toEqual({ type: 'length', length: 5 });
    expect(runtime.submitted[0]).toMatchObject({
      maxNewTokens: 5,
      minNewTokens: 2,
      sampling: { temperature: 0, topK: 3, seed: 9 },
    });
    expect(Array.from(runtime.submitted[0]?.promptIds ?? [])).toEqual([1, 2]);
    expect(Array.from(runtime.submitted[0]?.stopTokenIds ?? [])).toEqual([7]);
    await post('/generate', { text: 'a' });
    expect(runtime.submitted[1]?.maxNewTokens).toBe(128);
  });

  it('answers batches with lists', async () => {
    const script = (request: { promptIds: Int32Array }) => [...request.promptIds.slice(1), EOS];
    const texts = await answer({ script }, { text: ['ab', 'cd'], rid: ['r1', 'r2'] });
    expect(texts.map((each: Json) => [each.text, each.meta_info.id])).toEqual([
      ['ab', 'r1'],
      ['cd', 'r2'],
    ]);
    expect(await answer({ script }, { text: ['ab'] })).toHaveLength(1);
    expect(
      await answer(
        { script },
        {
          input_ids: [
            [1, 97],
            [1, 98],
          ],
        },
      ),
    ).toMatchObject([{ text: 'a' }, { text: 'b' }]);
    expect(await answer({ script }, { text: 'ab', sampling_params: { n: 2 } })).toHaveLength(2);
    const perPrompt = await answer(
      {},
      {
        text: ['a', 'b'],
        sampling_params: [{ max_new_tokens: 1 }, { max_new_tokens: 2 }],
      },
    );
    expect(perPrompt.map((each: Json) => each.text)).toEqual(['H', 'He']);
  });

  it('streams the text so far', async () => {
    const { post } = testApp({ script: () => [...bytesOf('a€'), EOS] });
    const events = await readEvents(await post('/generate', { text: 'x', stream: true }));
    expect(events.map((event) => event.text)).toEqual(['a', 'a', 'a', 'a€', 'a€']);
    expect(events.map((event) => event.meta_info.completion_tokens)).toEqual([1, 2, 3, 4, 5]);
    expect(events.slice(0, -1).every((event) => event.meta_info.finish_reason === null)).toBe(true);
    expect(events.at(-1).meta_info.finish_reason).toEqual({ type: 'stop', matched: EOS });
    const whole: Json = await (await post('/generate', { text: 'x' })).json();
    expect(events.at(-1)).toMatchObject({ text: whole.text, output_ids: whole.output_ids });
  });

  it('streams a batch with the place of each', async () => {
    const script = (request: { promptIds: Int32Array }) => [...request.promptIds.slice(1), EOS];
    const { post } = testApp({ script });
    const events = await readEvents(await post('/generate', { text: ['ab', 'c'], stream: true }));
    const last = (index: number) => events.filter((event) => event.index === index).at(-1);
    expect([last(0).text, last(1).text]).toEqual(['ab', 'c']);
  });

  it('stops at a stop string and says which', async () => {
    const script = () => [...bytesOf('a'), wordId('ST'), wordId('OP'), EOS];
    const body = await answer({ script }, { text: 'x', sampling_params: { stop: ['STOP'] } });
    expect(body).toMatchObject({ text: 'a', meta_info: { finish_reason: { type: 'stop', matched: 'STOP' } } });
  });

  it('gives log-probabilities as SGLang does', async () => {
    const fields = { text: 'ab', return_logprob: true, logprob_start_len: 0, top_logprobs_num: 1 };
    const { meta_info } = await answer({ script: () => [99, EOS] }, { ...fields, return_text_in_logprobs: true });
    expect(meta_info.input_token_logprobs).toEqual([
      [null, BOS, '<s>'],
      [-0.097, 97, 'a'],
      [-0.098, 98, 'b'],
    ]);
    expect(meta_info.output_token_logprobs).toEqual([
      [-0.099, 99, 'c'],
      [-0.257, EOS, '</s>'],
    ]);
    expect(meta_info.input_top_logprobs).toEqual([null, [[-0.5, 97, 'a']], [[-0.5, 98, 'b']]]);
    expect(meta_info.output_top_logprobs[0]).toEqual([[-0.5, 99, 'c']]);
    const outputOnly = await answer({ script: () => [99, EOS] }, { text: 'ab', return_logprob: true });
    expect(outputOnly.meta_info.input_token_logprobs).toEqual([]);
    expect(outputOnly.meta_info.output_token_logprobs[0]).toEqual([-0.099, 99, null]);
  });

  it('scores a prompt with max_new_tokens 0', async () => {
    const fields = { text: 'ab', return_logprob: true, logprob_start_len: 1, sampling_params: { max_new_tokens: 0 } };
    const body = await answer({}, fields);
    expect(body).toMatchObject({ text: '', output_ids: [] });
    expect(body.meta_info.input_token_logprobs.map((each: Json) => each[1])).toEqual([97, 98]);
  });

  it('takes ids and gives ids without a tokenizer', async () => {
    const options = { model: { tokenizer: null, chatTemplate: null } };
    const body = await answer(options, { input_ids: [1, 2], sampling_params: { max_new_tokens: 3 } });
    expect(body.output_ids).toEqual(bytesOf('Hel'));
    expect(body).not.toHaveProperty('text');
    const response = await testApp(options).post('/generate', { input_ids: [1], stream: true });
    const events = await readEvents(response);
    expect(events[2].output_ids).toEqual(bytesOf('Hel'));
  });

  it.each<[string, object, string]>([
    ['nothing', {}, 'text'],
    ['both', { text: 'a', input_ids: [1] }, 'text'],
    ['ids as text', { text: [1, 2] }, 'text'],
    ['text as ids', { input_ids: 'ab' }, 'input_ids'],
    ['an empty text', { text: '' }, 'text'],
    ['an id beyond the vocabulary', { input_ids: [VOCAB_SIZE] }, 'input_ids.0'],
    ['a wrong temperature', { text: 'a', sampling_params: { temperature: -1 } }, 'sampling_params.temperature'],
    ['half a token', { text: 'a', sampling_params: { max_new_tokens: 1.5 } }, 'sampling_params.max_new_tokens'],
    ['too many tokens', { text: 'a', sampling_params: { max_new_tokens: 9999 } }, 'sampling_params.max_new_tokens'],
    [
      'more tokens at least than at most',
      { text: 'a', sampling_params: { min_new_tokens: 5, max_new_tokens: 4 } },
      'sampling_params.min_new_tokens',
    ],
    ['params that are text', { text: 'a', sampling_params: 'x' }, 'sampling_params'],
    ['params for another batch', { text: ['a'], sampling_params: [{}, {}] }, 'sampling_params'],
    ['a list of params for one', { text: 'a', sampling_params: [{}] }, 'sampling_params'],
    ['a wrong one of several params', { text: ['a', 'b'], sampling_params: [{}, { n: 0 }] }, 'sampling_params.1.n'],
    [
      'a stop id beyond the vocabulary',
      { text: 'a', sampling_params: { stop_token_ids: [99999] } },
      'sampling_params.stop_token_ids',
    ],
    ['a regex', { text: 'a', sampling_params: { regex: 'a' } }, 'sampling_params.regex'],
    ['a JSON schema', { text: 'a', sampling_params: { json_schema: '{}' } }, 'sampling_params.json_schema'],
    ['a wrong rid', { text: 'a', rid: 5 }, 'rid'],
    ['rids for another batch', { text: ['a', 'b'], rid: ['x'] }, 'rid'],
    ['an image', { text: 'a', image_data: 'x' }, 'image_data'],
    ['too many alternatives', { text: 'a', return_logprob: true, top_logprobs_num: 21 }, 'top_logprobs_num'],
  ])('refuses %s', async (_, body, param) => {
    const response = await testApp().post('/generate', body);
    expect(response.status).toBe(400);
    expect(((await response.json()) as Json).error.param).toBe(param);
  });
});
