import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { GREEDY, loadBinding } from '../../src/addon/binding.js';
import { NativeEngineRuntime } from '../../src/addon/runtime.js';
import { version } from '../../src/version.js';
import { collect, dummySpec, makeRequest, slowSpec, tokensOf } from './runtime-spec.js';

const SAMPLED = { ...GREEDY, temperature: 1, topP: 0.95, seed: 7 };

describe('the addon', () => {
  it('is of this version, names its instruction sets and measures memory', async () => {
    const binding = await loadBinding();
    expect(binding.version).toBe(version());
    expect(binding.isas().at(-1)).toBe('scalar');
    expect(await binding.measureReadBandwidth('cpu', 64 << 20, 1)).toBeGreaterThan(0.1);
  });

  it('throws, and does not crash, on what no TypeScript caller would send', async () => {
    const binding = await loadBinding();
    const wrong = (value: unknown) => value as never;
    expect(() => binding.createRuntime(wrong({}), wrong(0), wrong(0))).toThrow(/createRuntime takes/);
    const noop = () => {};
    for (const spec of [undefined, null, 3, [], {}, dummySpec({ backend: wrong('tpu') })]) {
      expect(() => binding.createRuntime(wrong(spec), noop, noop)).toThrow(
        expect.objectContaining({ code: 'E_MODEL_INVALID' }),
      );
    }
    const numbers = [Number.NaN, -1, 1.5, Number.POSITIVE_INFINITY, 2 ** 53, '8', null, {}];
    for (const value of numbers) {
      expect(() => binding.createRuntime(dummySpec({ maxTotalTokens: wrong(value) }), noop, noop)).toThrow(
        expect.objectContaining({ code: 'E_MODEL_INVALID', message: expect.stringContaining('maxTotalTokens') }),
      );
    }
    expect(() => binding.measureReadBandwidth('cpu', wrong('much'), 1)).toThrow(/takes a device, bytes/);
    expect(() => binding.measureReadBandwidth(wrong('tpu'), 1, 1)).toThrow(/takes a device, bytes/);

    const native = await binding.createRuntime(dummySpec(), noop, noop);
    const request = { ...makeRequest(), id: 1 };
    const bad: [string, object][] = [
      ['id', { id: -1 }],
      ['id', { id: 2 ** 32 }],
      ['promptIds', { promptIds: [1, 2] }],
      ['promptIds', { promptIds: Uint8Array.of(1) }],
      ['prompt', { promptIds: Int32Array.of(512) }],
      ['maxNewTokens', { maxNewTokens: Number.NaN }],
      ['stopTokenIds', { stopTokenIds: null }],
      ['promptLogprobs', { promptLogprobs: 1 }],
      ['cacheSalt', { cacheSalt: -1 }],
      ['priority', { priority: 0.5 }],
      ['sampling', { sampling: null }],
      ['sampling.seed', { sampling: { ...GREEDY, seed: -1 } }],
      ['temperature', { sampling: { ...GREEDY, temperature: Number.NaN } }],
      ['sampling.logitBias.ids', { sampling: { ...GREEDY, logitBias: {} } }],
      ['logitBias', { sampling: { ...GREEDY, logitBias: { ids: Int32Array.of(1), values: new Float32Array(2) } } }],
      ['logitBias', { sampling: { ...GREEDY, logitBias: { ids: Int32Array.of(-1), values: new Float32Array(1) } } }],
    ];
    for (const [field, change] of bad) {
      expect(() => native.submit(wrong({ ...request, ...change })), JSON.stringify(change)).toThrow(
        expect.objectContaining({ code: 'E_INVALID_REQUEST', message: expect.stringContaining(field) }),
      );
    }
    expect(() => native.submit(wrong(undefined))).toThrow(expect.objectContaining({ code: 'E_INVALID_REQUEST' }));
    for (const id of ['1', Number.NaN, -1, 0.5, 2 ** 32]) {
      expect(() => native.cancel(wrong(id))).toThrow(expect.objectContaining({ code: 'E_INVALID_REQUEST' }));
    }
    const Class = native.constructor as new () => unknown;
    expect(() => new Class()).toThrow(/createRuntime/);
    expect(() => native.stats.call(wrong({}))).toThrow();
    await native.stop();
  });

  it('takes a grammar for nothing else, and nothing else for one', async ({ skip }) => {
    const binding = await loadBinding();
    skip(!binding.hasGrammars, 'this build has no grammars');
    const wrong = (value: unknown) => value as never;
    const noop = () => {};
    const native = await binding.createRuntime(dummySpec(), noop, noop);
    const compiler = await binding.createGrammarCompiler({
      bytes: Uint8Array.from({ length: 256 }, (_, i) => i),
      ends: Int32Array.from({ length: 256 }, (_, i) => i + 1),
      vocabSize: 512,
      stopTokenIds: Int32Array.of(0),
      merges: new Int32Array(0),
      byteIds: Int32Array.from({ length: 256 }, (_, i) => i),
      startsWithCharacters: false,
    });
    const { grammar } = await compiler.compile({ kind: 'regex', text: 'ab*', strict: true, anyOrder: false });
    expect(compiler.follow(grammar, Int32Array.of(97, 98, 99))).toMatchObject({ numAccepted: 2, isDone: false });
    const Class = native.constructor as new (host: unknown) => unknown;
    expect(() => new Class(grammar)).toThrow(/createRuntime/);
    const refusal = expect.objectContaining({ code: 'E_INVALID_REQUEST', message: expect.stringMatching(/grammar/) });
    for (const tokens of [Uint8Array.of(97), new Float64Array(3), [97], null]) {
      expect(() => compiler.follow(grammar, wrong(tokens))).toThrow(refusal);
    }
    for (const other of [native, {}, 1, null]) {
      expect(() => compiler.follow(wrong(other), Int32Array.of(97))).toThrow(refusal);
    }
    expect(() => native.submit({ ...makeRequest(), id: 1, grammar: wrong(native) } as never)).toThrow(refusal);
    compiler.stop();
    await native.stop();
  });

  it('refuses a model whose tensors do not fit its config', async () => {
    const spec = dummySpec();
    spec.tensors = spec.tensors.filter(({ name }) => name !== 'model.norm.weight');
    await expect(NativeEngineRuntime.start(spec)).rejects.toMatchObject({ code: 'E_MODEL_INVALID' });
  });
});

describe('a runtime', () => {
  let runtime: NativeEngineRuntime;
  const progress: number[] = [];
  beforeAll(async () => {
    runtime = await NativeEngineRuntime.start(dummySpec(), (fraction) => progress.push(fraction));
  });
  afterEach(() => {
    expect(runtime.stats()).toMatchObject({ numRunning: 0, numQueued: 0, usedTokens: 0, leakedBlocks: 0 });
  });
  afterAll(() => runtime.stop());

  it('reported its loading and describes itself', () => {
    expect(progress.at(-1)).toBe(1);
    expect(progress).toEqual([...progress].sort((a, b) => a - b));
    expect(runtime.info).toMatchObject({ numThreads: 1, totalTokens: 4096 });
    expect(runtime.info.weightBytes).toBeGreaterThan(0);
    expect(runtime.info.kvBytesPerToken).toBeGreaterThan(0);
  });

  it('answers with as many tokens as asked for', async () => {
    const events = await collect(runtime.submit(makeRequest()));
    expect(events).toHaveLength(16);
    expect(events.map(({ finishReason }) => finishReason)).toEqual([...Array(15).fill(null), 'length']);
    expect(events.every(({ tokenId }) => tokenId >= 0 && tokenId < 512)).toBe(true);
  });

  it('gives equal tokens to equal seeds, alone and in a crowd, and others to other seeds', async () => {
    const request = makeRequest({ sampling: SAMPLED, maxNewTokens: 40 });
    const alone = tokensOf(await collect(runtime.submit(request)));
    const crowd = Array.from({ length: 8 }, (_, i) =>
      collect(runtime.submit(makeRequest({ promptIds: new Int32Array(20 + i).fill(i), maxNewTokens: 30 }))),
    );
    const again = collect(runtime.submit(request));
    const other = collect(runtime.submit({ ...request, sampling: { ...SAMPLED, seed: 8 } }));
    await Promise.all(crowd);
    expect(tokensOf(await again)).toEqual(alone);
    expect(tokensOf(await other)).not.toEqual(alone);
  });

  it('takes a long prompt in chunks without changing the answer', async () => {
    const promptIds = Int32Array.from({ length: 500 }, (_, i) => (i * 37) % 512);
    const whole = await NativeEngineRuntime.start(dummySpec({ chunkedPrefillSize: 1024 }));
    const expected = tokensOf(await collect(whole.submit(makeRequest({ promptIds }))));
    await whole.stop();
    expect(tokensOf(await collect(runtime.submit(makeRequest({ promptIds }))))).toEqual(expected);
  });

  it('stops at a stop id, which is delivered, and not before the minimum', async () => {
    const tokens = tokensOf(await collect(runtime.submit(makeRequest())));
    const stopId = tokens[5] as number;
    const stopTokenIds = Int32Array.of(stopId);
    const events = await collect(runtime.submit(makeRequest({ stopTokenIds })));
    expect(tokensOf(events)).toEqual(tokens.slice(0, tokens.indexOf(stopId) + 1));
    expect(events.at(-1)?.finishReason).toBe('stop');
    const longer = await collect(runtime.submit(makeRequest({ stopTokenIds, minNewTokens: 10 })));
    expect(longer.length).toBeGreaterThan(10);
    expect(tokensOf(longer).slice(0, 10)).not.toContain(stopId);
  });

  it('obeys logit_bias and reports log-probabilities of the model itself', async () => {
    const logitBias = { ids: Int32Array.of(77), values: Float32Array.of(100) };
    const biased = await collect(runtime.submit(makeRequest({ sampling: { ...GREEDY, logitBias, topLogprobs: 3 } })));
    const plain = await collect(runtime.submit(makeRequest({ sampling: { ...GREEDY, topLogprobs: 3 } })));
    expect(new Set(tokensOf(biased))).toEqual(new Set([77]));
    expect(biased[0]?.topLogprobs).toEqual(plain[0]?.topLogprobs);
    expect(plain[0]?.topLogprobs).toHaveLength(3);
    expect(plain[0]?.topLogprobs[0]).toEqual({ tokenId: plain[0]?.tokenId, logprob: plain[0]?.logprob });
    expect(biased[0]?.logprob).toBeLessThan(plain[0]?.logprob ?? 0);
  });

  it('scores a prompt, as the answer that led there was scored', async () => {
    const sampling = { ...GREEDY, topLogprobs: 0 };
    const answer = await collect(runtime.submit(makeRequest({ sampling, maxNewTokens: 100 })));
    const promptIds = Int32Array.of(1, 2, 3, ...tokensOf(answer));
    const scored = await collect(
      runtime.submit(makeRequest({ promptIds, sampling, maxNewTokens: 0, promptLogprobs: true })),
    );
    expect(scored.at(-1)).toMatchObject({ tokenId: -1, finishReason: 'length', isPrompt: false });
    const prompt = scored.slice(0, -1);
    expect(tokensOf(prompt)).toEqual([...promptIds]);
    expect(prompt.every(({ isPrompt }) => isPrompt)).toBe(true);
    expect(prompt[0]?.logprob).toBeNaN();
    for (const [i, { logprob }] of answer.entries()) expect(prompt[i + 3]?.logprob).toBeCloseTo(logprob, 2);
  });

  it('flushes only when nothing runs', async () => {
    const reading = collect(runtime.submit(makeRequest({ maxNewTokens: 200 })));
    expect(runtime.flushCache()).toBe(false);
    await reading;
    expect(runtime.flushCache()).toBe(true);
  });

  it('refuses what can never fit, naming the numbers', () => {
    expect(() => runtime.submit(makeRequest({ maxNewTokens: 2000 }))).toThrow(
      expect.objectContaining({ code: 'E_INVALID_REQUEST', message: expect.stringMatching(/3 .*2000 .*1024/) }),
    );
  });

  it('tells the figures of each step', async () => {
    const steps: number[][] = [];
    const remove = runtime.onStep(({ prefillTokens, decodeSeqs, totalTokens }) =>
      steps.push([prefillTokens, decodeSeqs, totalTokens]),
    );
    await collect(runtime.submit(makeRequest({ maxNewTokens: 3 })));
    remove();
    expect(steps).toEqual([
      [3, 0, 4096],
      [0, 1, 4096],
      [0, 1, 4096],
    ]);
  });
});

describe('in the middle of an answer', () => {
  const long = makeRequest({ maxNewTokens: 1000 });
  let runtime: NativeEngineRuntime;
  beforeAll(async () => {
    runtime = await NativeEngineRuntime.start(slowSpec({ maxRunningRequests: 2, maxQueuedRequests: 3 }));
  });
  afterAll(() => runtime.stop());
  const untilIdle = async () => {
    while (runtime.stats().numRunning + runtime.stats().numQueued > 0) {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    expect(runtime.stats()).toMatchObject({ usedTokens: 0, leakedBlocks: 0 });
  };

  it('an abort signal ends it within a step', async () => {
    const controller = new AbortController();
    const finishReasons: (string | null)[] = [];
    for await (const { finishReason } of runtime.submit(long, controller.signal)) {
      finishReasons.push(finishReason);
      if (finishReasons.length === 5) controller.abort();
    }
    expect(finishReasons.at(-1)).toBe('abort');
    expect(finishReasons.length).toBeLessThan(100);
    await untilIdle();
  });

  it('a reader who leaves takes the request along', async () => {
    for await (const _ of runtime.submit(long)) break;
    const { steps } = runtime.stats();
    await untilIdle();
    expect(runtime.stats().steps - steps).toBeLessThan(100);
  });

  it('the queue refuses what is too much, and takes again once there is room', async () => {
    const controller = new AbortController();
    const accepted = Array.from({ length: 5 }, () => collect(runtime.submit(long, controller.signal)));
    expect(() => runtime.submit(makeRequest())).toThrow(expect.objectContaining({ code: 'E_QUEUE_FULL' }));
    controller.abort();
    await Promise.all(accepted);
    expect(await collect(runtime.submit(makeRequest()))).toHaveLength(16);
    await untilIdle();
  });
});

describe('under load', () => {
  it('serves 200 streams with random disconnects through a small pool, and leaves nothing behind', async () => {
    const runtime = await NativeEngineRuntime.start(dummySpec({ maxTotalTokens: 1024, contextLength: 512 }));
    let numRetracted = 0;
    runtime.onStep((stats) => {
      numRetracted += stats.numRetracted;
    });
    const random = (low: number, high: number) => low + Math.floor(Math.random() * (high - low + 1));
    const one = async (index: number): Promise<string> => {
      const controller = new AbortController();
      const sampling = { ...SAMPLED, seed: index };
      const promptIds = new Int32Array(random(1, 200)).fill(index);
      const numToRead = index % 3 === 0 ? random(0, 200) : 1000;
      if (index % 5 === 0) setTimeout(() => controller.abort(), random(0, 300));
      let numRead = 0;
      const request = makeRequest({ promptIds, maxNewTokens: random(1, 300), sampling });
      for await (const { finishReason } of runtime.submit(request, controller.signal)) {
        if (finishReason !== null) return finishReason;
        if (++numRead >= numToRead) return 'left';
      }
      return 'nothing';
    };
    const outcomes = await Promise.all(Array.from({ length: 200 }, (_, index) => one(index)));
    expect(outcomes.filter((outcome) => outcome === 'length').length).toBeGreaterThan(50);
    expect(outcomes).not.toContain('nothing');
    while (runtime.stats().numRunning + runtime.stats().numQueued > 0) {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    expect(runtime.stats()).toMatchObject({ usedTokens: 0, leakedBlocks: 0 });
    // Not before JavaScript, too, has heard the end of every request.
    await vi.waitFor(() => expect(runtime.flushCache()).toBe(true));
    expect(numRetracted).toBeGreaterThan(0);
    await runtime.stop();
  });

  it('gives the same tokens after a retraction', async () => {
    const requests = Array.from({ length: 12 }, (_, index) =>
      makeRequest({
        promptIds: new Int32Array(10 + index).fill(index),
        maxNewTokens: 150,
        sampling: { ...SAMPLED, seed: index, frequencyPenalty: 0.3 },
      }),
    );
    const answers = async (maxTotalTokens: number) => {
      const runtime = await NativeEngineRuntime.start(dummySpec({ maxTotalTokens, kvCacheDtype: 'f32' }));
      let numRetracted = 0;
      runtime.onStep((stats) => {
        numRetracted += stats.numRetracted;
      });
      const all = await Promise.all(requests.map(async (request) => tokensOf(await collect(runtime.submit(request)))));
      await runtime.stop();
      return { all, numRetracted };
    };
    const roomy = await answers(8192);
    const tight = await answers(640);
    expect(roomy.numRetracted).toBe(0);
    expect(tight.numRetracted).toBeGreaterThan(0);
    expect(tight.all).toEqual(roomy.all);
  });
});

describe('stop', () => {
  it('ends what runs with abort, may be repeated, and closes the door', async () => {
    const runtime = await NativeEngineRuntime.start(slowSpec());
    const reading = Array.from({ length: 20 }, () => collect(runtime.submit(makeRequest({ maxNewTokens: 1000 }))));
    await Promise.all([runtime.stop(), runtime.stop()]);
    await runtime.stop();
    for (const events of await Promise.all(reading)) expect(events.at(-1)?.finishReason).toBe('abort');
    expect(() => runtime.submit(makeRequest())).toThrow(expect.objectContaining({ code: 'E_UNAVAILABLE' }));
    expect(runtime.stats().usedTokens).toBe(0);
    const gone = expect.objectContaining({ code: 'E_RUNTIME_FAILED', message: 'the runtime has been stopped' });
    await expect(runtime.saveCache({ path: '/nowhere', header: new Uint8Array(0) })).rejects.toEqual(gone);
    await expect(runtime.loadCache({ path: '/nowhere', offset: 0 })).rejects.toEqual(gone);
    expect(() => runtime.flushCache()).toThrow(gone);
  });

  it('gives the memory back', async () => {
    const startAndStop = async () => {
      const runtime = await NativeEngineRuntime.start(dummySpec());
      await collect(runtime.submit(makeRequest()));
      await runtime.stop();
    };
    for (let i = 0; i < 10; i++) await startAndStop();
    const before = process.memoryUsage.rss();
    for (let i = 0; i < 50; i++) await startAndStop();
    // A runtime of this size takes about 3 MB.
    expect(process.memoryUsage.rss() - before).toBeLessThan(40e6);
  });
});
