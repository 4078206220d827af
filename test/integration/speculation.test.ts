/** Drafts change how many steps an answer takes, and nothing else: on tiny models and on SmolLM2. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import type { RuntimeSpec } from '../../src/addon/binding.js';
import { GREEDY } from '../../src/addon/binding.js';
import { NativeEngineRuntime, type Runtime, type SubmitRequest, type TokenEvent } from '../../src/addon/runtime.js';
import { loadModel } from '../../src/model/load.js';
import { GOLDEN, startRuntime } from './golden-models.js';
import { collect, dummySpec, makeRequest, tokensOf } from './runtime-spec.js';

const WITH = { speculation: { maxDraftTokens: 15, maxMatchTokens: 18 } };

let runtimes: Runtime[] = [];
afterEach(async () => {
  await Promise.all(runtimes.map((runtime) => runtime.stop()));
  runtimes = [];
});

async function both(start: (overrides: Partial<RuntimeSpec>) => Promise<Runtime>): Promise<[Runtime, Runtime]> {
  const pair: [Runtime, Runtime] = [await start({}), await start(WITH)];
  runtimes.push(...pair);
  return pair;
}

/** Tokens of drafts that turned out to be right: those that no step of their own was needed for. */
const numAccepted = (events: TokenEvent[]) => events.filter(({ checkedCount }) => checkedCount === 0).length - 1;

/** Without what tells of steps and of the prefix cache. */
const answerOf = (events: TokenEvent[]) => events.map(({ checkedCount, cachedTokens, ...event }) => event);

/** A prompt that says the same again and again. */
const loop = Int32Array.from({ length: 60 }, (_, i) => 5 + ((i * i) % 11));
const sampled = { ...GREEDY, temperature: 0.7, topP: 0.9, seed: 11 };

const KINDS: Record<string, Partial<SubmitRequest>> = {
  greedy: {},
  'with log-probabilities': { sampling: { ...GREEDY, topLogprobs: 3 } },
  'with a scored prompt': { promptLogprobs: true, sampling: { ...GREEDY, topLogprobs: 0 } },
  sampled: { sampling: sampled },
  'sampled by top_k and min_p': { sampling: { ...sampled, topP: 1, topK: 8, minP: 0.05 } },
  'with penalties': { sampling: { ...GREEDY, repetitionPenalty: 1.02, frequencyPenalty: 0.01, presencePenalty: 0.02 } },
  'with a bias': { sampling: { ...GREEDY, logitBias: { ids: Int32Array.of(9), values: Float32Array.of(0.5) } } },
};

describe('on a model of random weights', () => {
  const start = (overrides: Partial<RuntimeSpec>) => NativeEngineRuntime.start(dummySpec(overrides));

  test.each(Object.entries(KINDS))('%s: the same events, to the bit', async (_, kind) => {
    const [without, withDrafts] = await both(start);
    const request = makeRequest({ promptIds: loop, maxNewTokens: 200, ...kind });
    const expected = await collect(without.submit(request));
    const events = await collect(withDrafts.submit(request));
    expect(answerOf(events)).toEqual(answerOf(expected));
    expect(withDrafts.stats()).toMatchObject({ leakedBlocks: 0, usedTokens: 0 });
  });

  test('on several threads, which share long contexts: the same events, to the bit', async () => {
    const [without, withDrafts] = await both((overrides) =>
      start({ ...overrides, numThreads: 2, contextLength: 2048, maxTotalTokens: 8192, chunkedPrefillSize: 512 }),
    );
    // Over 1,024 tokens the spans of a context become longer.
    for (const numTokens of [60, 250, 900]) {
      const promptIds = Int32Array.from({ length: numTokens }, (_, i) => 5 + ((i * i) % 11));
      const request = makeRequest({ promptIds, maxNewTokens: 250, sampling: { ...GREEDY, topLogprobs: 1 } });
      const expected = await collect(without.submit(request));
      const events = await collect(withDrafts.submit(request));
      expect(answerOf(events)).toEqual(answerOf(expected));
      expect(numAccepted(events)).toBeGreaterThan(0);
    }
  });

  test('stop ids end an answer in the middle of a draft, but not before the least number of tokens', async () => {
    const [without, withDrafts] = await both(start);
    const whole = tokensOf(await collect(without.submit(makeRequest({ promptIds: loop, maxNewTokens: 200 }))));
    for (const minNewTokens of [0, 40]) {
      for (const stop of new Set(whole.slice(20, 60))) {
        const stopTokenIds = Int32Array.of(stop);
        const request = makeRequest({ promptIds: loop, maxNewTokens: 200, minNewTokens, stopTokenIds });
        const expected = await collect(without.submit(request));
        expect(answerOf(await collect(withDrafts.submit(request)))).toEqual(answerOf(expected));
      }
    }
  });

  test('fewer steps, many answers at once, in a pool too small for all of them', async () => {
    const [without, withDrafts] = await both((overrides) => start({ ...overrides, maxTotalTokens: 640 }));
    let numDrafts = 0;
    withDrafts.onStep((stats) => {
      numDrafts += stats.draftTokens;
    });
    const requests = Array.from({ length: 12 }, (_, i) =>
      makeRequest({
        promptIds: loop.slice(i),
        maxNewTokens: 150,
        sampling: i % 3 === 0 ? GREEDY : { ...sampled, seed: i, topLogprobs: i % 2 === 0 ? 1 : -1 },
      }),
    );
    const answers = (runtime: Runtime) => Promise.all(requests.map((request) => collect(runtime.submit(request))));
    const [expected, events] = [await answers(without), await answers(withDrafts)];
    expect(events.map(tokensOf)).toEqual(expected.map(tokensOf));
    expect(numDrafts).toBeGreaterThan(0);
    expect(events.reduce((sum, answer) => sum + numAccepted(answer), 0)).toBeGreaterThan(0);
    expect(withDrafts.stats()).toMatchObject({ leakedBlocks: 0, usedTokens: 0, numRunning: 0 });
  });

  test('an answer that is given up leaves nothing behind', async () => {
    const [, withDrafts] = await both(start);
    const controller = new AbortController();
    let count = 0;
    for await (const event of withDrafts.submit(
      makeRequest({ promptIds: loop, maxNewTokens: 800 }),
      controller.signal,
    )) {
      if (++count === 30) controller.abort();
      if (event.finishReason !== null) expect(event.finishReason).toBe('abort');
    }
    expect(withDrafts.stats()).toMatchObject({ leakedBlocks: 0, usedTokens: 0, numRunning: 0 });
  });

  test('the prefix cache knows what was accepted, and nothing of what was not', async () => {
    const [without, withDrafts] = await both(start);
    for (const runtime of [without, withDrafts]) {
      const answer = await collect(
        runtime.submit(makeRequest({ promptIds: loop, maxNewTokens: 100, sampling: sampled })),
      );
      const turn = Int32Array.of(...loop, ...tokensOf(answer), 3, 4);
      const next = await collect(runtime.submit(makeRequest({ promptIds: turn, maxNewTokens: 60, sampling: sampled })));
      expect(next[0]?.cachedTokens).toBeGreaterThanOrEqual(144);
      const anew = await collect(
        without.submit(makeRequest({ promptIds: turn, maxNewTokens: 60, sampling: sampled, cacheSalt: 1 })),
      );
      expect(tokensOf(next)).toEqual(tokensOf(anew));
    }
  });
});

describe('on SmolLM2', () => {
  interface Entry {
    prompt: number[];
    ids: number[];
  }
  const entries: Entry[] = JSON.parse(readFileSync(join(GOLDEN, 'smollm2.json'), 'utf8'));

  test('copying and telling something new: the same answers in fewer steps', async () => {
    const { weights, tokenizer } = await loadModel({ model: 'smollm2', loadFormat: 'auto' });
    if (!tokenizer) throw new Error('SmolLM2 has a tokenizer');
    const [without, withDrafts] = await both((overrides) =>
      startRuntime(weights, { ...overrides, kvCacheDtype: 'f16' }),
    );
    const text = 'Wash the beans and leave them in cold water over night. Cut two onions and three carrots. Add salt.';
    const copy = `<|im_start|>user\nRepeat this text: ${text}<|im_end|>\n<|im_start|>assistant\n${text.slice(0, 30)}`;
    const requests = [
      makeRequest({ promptIds: Int32Array.from(tokenizer.encode(copy)), maxNewTokens: 40 }),
      ...entries.slice(0, 2).map(({ prompt }, i) =>
        makeRequest({
          promptIds: Int32Array.from(prompt),
          maxNewTokens: 48,
          sampling: i === 0 ? GREEDY : { ...sampled, topLogprobs: 0 },
        }),
      ),
    ];
    const accepted: number[] = [];
    for (const request of requests) {
      const expected = await collect(without.submit(request));
      const events = await collect(withDrafts.submit(request));
      expect(tokensOf(events)).toEqual(tokensOf(expected));
      accepted.push(numAccepted(events));
    }
    // How many are tried is a matter of what a row costs, which a busy machine makes dear.
    expect(accepted[0]).toBeGreaterThan(0);
  }, 120_000);
});
