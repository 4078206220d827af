/** The measurements against a scripted server on a clock of its own: the figures are known to the digit. */
import { describe, expect, it } from 'vitest';
import type { Bench } from '../../../src/bench/bench.js';
import { measureDecode, withShares } from '../../../src/bench/decode.js';
import { measurePrefills, withPeaks } from '../../../src/bench/prefill.js';
import { ROUTES } from '../../../src/bench/request-body.js';
import { doubtsOf, measureServe, placeOf, type ServeOptions } from '../../../src/bench/serve.js';
import type { Target } from '../../../src/bench/target.js';
import { learnVocabulary } from '../../../src/bench/words.js';
import { randomWorkload } from '../../../src/bench/workload.js';
import { FakeClock } from './fake-clock.js';
import { FakeServer, type Script } from './fake-server.js';

function benchOf(script: Script, what: Partial<Target> = {}, signal = new AbortController().signal) {
  const clock = new FakeClock();
  const server = new FakeServer(clock, script);
  const windows: string[] = [];
  const bench: Bench = {
    target: server.target(what),
    clock,
    seed: 1,
    salt: 2,
    timeoutMs: undefined,
    window: (name) => {
      windows.push(name);
      return null;
    },
    progress: { update() {} },
    signal,
  };
  return { bench, clock, server, windows };
}

const DECODE = { batches: [1, 4], contexts: [20], maxTokens: 51, repeats: 2, promptTokens: null };

describe('decode', () => {
  const sizes = { weightBytes: 1e9, kvBytesPerToken: 1000 };

  it('finds rate, time to the first token, bytes and share', async () => {
    const { bench, clock, windows } = benchOf({ prefillMs: 30, stepMs: 5 }, sizes);
    const { decode, notes } = await clock.run(measureDecode(bench, DECODE));
    expect(decode.map(({ batch }) => batch)).toEqual([1, 4]);
    const [one, four] = withShares(decode, 400);
    expect(one?.tokensPerSecond).toBeCloseTo(200, 9);
    expect(four?.tokensPerSecond).toBeCloseTo(800, 9);
    expect(one?.ttftMs).toBe(30);
    expect(one?.promptTokens).toBe(20);
    // 1 GB of weights and 45.5 positions of 1 kB.
    expect(one?.bytesPerToken).toBeCloseTo(1e9 + 45_500, 3);
    expect(four?.bytesPerToken).toBeCloseTo(0.25e9 + 45_500, 3);
    expect(one?.share).toBeCloseTo((200 * (1e9 + 45_500)) / 400e9, 9);
    expect(notes).toEqual([]);
    expect(windows).toEqual(['decode, batch 1', 'decode, batch 4']);
  });

  it('counts tokens where a piece holds several', async () => {
    const { bench, clock } = benchOf({ stepMs: 5, tokensPerChunk: 3 });
    const { decode } = await clock.run(measureDecode(bench, { ...DECODE, batches: [1] }));
    // 17 pieces 15 ms apart: the first 3 tokens were made before.
    expect(decode[0]?.tokensPerSecond).toBeCloseTo(200, 6);
  });

  it('measures each context with prompts of exactly its length', async () => {
    const { bench, clock, server } = benchOf({ prefillMs: 5, promptOverhead: 7 });
    const workload = { ...DECODE, batches: [1], contexts: [16, 300], promptTokens: 128 };
    const { decode, prefill } = await clock.run(measureDecode(bench, workload));
    expect(decode.map(({ promptTokens }) => promptTokens)).toEqual([16, 300]);
    expect(prefill?.promptTokens).toBe(128);
    const prompts = server.asked.slice(2).map(({ body }) => body.prompt?.split(' ').slice(0, 6).join(' '));
    expect(new Set(prompts).size).toBe(prompts.length);
  });

  it('says what ended early, and what was not counted', async () => {
    const short = benchOf({ endAfter: 10 });
    const { notes } = await short.clock.run(measureDecode(short.bench, DECODE));
    expect(notes).toContain('batch 4: 8 of 8 streams ended before 51 tokens');
    const atOnce = benchOf({ chunksPerRead: 1000 });
    const blind = await atOnce.clock.run(measureDecode(atOnce.bench, { ...DECODE, batches: [1] }));
    expect(blind.decode[0]?.tokensPerSecond).toBeNull();
    expect(blind.notes).toEqual(['batch 1: text arrived at once or in bursts: there is no rate to be seen']);
    const queued = benchOf({ prefillMs: 5, isOneByOne: true });
    const apart = await queued.clock.run(measureDecode(queued.bench, { ...DECODE, batches: [2] }));
    expect(apart.decode[0]?.tokensPerSecond).toBeNull();
    expect(apart.notes.join()).toContain('some streams had ended before others began');
    const silent = benchOf({ hasUsage: false });
    const uncounted = await silent.clock.run(measureDecode(silent.bench, { ...DECODE, promptTokens: 64 }));
    expect(uncounted.decode[0]?.tokensPerSecond).toBeCloseTo(100, 6);
    expect(uncounted.prefill).toBeNull();
    expect(uncounted.notes.join()).toContain('a piece of text was counted as one token');
    expect(uncounted.notes.join()).toContain('prefill: not measured');
  });

  it('asks only those for ignore_eos and stream_options that know them', async () => {
    for (const knows of [true, false]) {
      const fields = { hasIgnoreEos: knows, hasStreamOptions: knows };
      const { bench, clock, server } = benchOf({ endAfter: 10 }, fields);
      await clock.run(measureDecode(bench, DECODE));
      expect(server.asked.every(({ body }) => 'ignore_eos' in body === knows)).toBe(true);
      expect(server.asked.every(({ body }) => 'stream_options' in body === knows)).toBe(true);
    }
  });

  it('leaves out what the server refuses, and says so', async () => {
    // Two requests learn the words; batch 1 takes two, batch 4 is refused.
    const { bench, clock } = benchOf({ prefillMs: 5, fault: (n) => (n >= 4 && n < 8 ? { status: 400 } : null) });
    const { decode, prefill, notes } = await clock.run(measureDecode(bench, { ...DECODE, promptTokens: 64 }));
    expect(decode.map(({ batch }) => batch)).toEqual([1]);
    expect(prefill?.promptTokens).toBe(64);
    expect(notes).toEqual([expect.stringContaining('batch 4: not measured, POST /v1/completions answered 400')]);
  });

  it('keeps the rows that were measured when it is ended', async () => {
    const abort = new AbortController();
    const fault = (n: number) => {
      // Two requests learn the words, two measure batch 1.
      if (n === 6) abort.abort();
      return null;
    };
    const { bench, clock } = benchOf({ fault }, {}, abort.signal);
    const { decode } = await clock.run(measureDecode(bench, DECODE));
    expect(decode.map(({ batch }) => batch)).toEqual([1]);
    expect(decode[0]?.tokensPerSecond).toBeCloseTo(100, 6);
  });

  it.each([
    ['dies', { breakAfter: 3 } as const, { code: 'E_UNAVAILABLE', message: expect.stringContaining('was lost') }],
    ['fails', { status: 500 } as const, { code: 'E_RUNTIME_FAILED', message: expect.stringContaining('answered 500') }],
  ])('keeps the rows and repeats before a server that %s in the middle', async (_, fault, failure) => {
    // Two requests learn the words, two measure batch 1; batch 4 has one repeat of its two.
    const { bench, clock } = benchOf({ fault: (n) => (n >= 8 ? fault : null) });
    const figures = await clock.run(measureDecode(bench, { ...DECODE, batches: [1, 4, 8], promptTokens: 64 }));
    expect(figures.decode.map(({ batch }) => batch)).toEqual([1, 4]);
    expect(figures.decode[1]?.tokensPerSecond).toBeCloseTo(400, 6);
    expect(figures).toMatchObject({ prefill: null, failure });
  });

  it('gives up the other streams of a batch when one fails', async () => {
    const { bench, clock } = benchOf({ fault: (n) => (n === 2 ? { status: 500 } : n > 2 ? { hang: true } : null) });
    const failure = clock.run(measureDecode(bench, { ...DECODE, batches: [4] }));
    await expect(failure).rejects.toMatchObject({ code: 'E_RUNTIME_FAILED' });
  });

  it('a row that a full server refuses is left out, the next is measured', async () => {
    const { bench, clock } = benchOf({ fault: (n) => (n >= 4 && n < 8 ? { status: 429 } : null) });
    const { decode, notes, failure } = await clock.run(measureDecode(bench, { ...DECODE, batches: [1, 4, 2] }));
    expect(decode.map(({ batch }) => batch)).toEqual([1, 2]);
    expect(notes).toEqual([expect.stringContaining('batch 4: not measured, POST /v1/completions answered 429')]);
    expect(failure).toBeNull();
  });

  it.each([
    [{ refuse: true } as const, 'E_UNAVAILABLE', 'the connection to http://fake was lost (ECONNREFUSED)'],
    [{ breakAfter: 0 } as const, 'E_UNAVAILABLE', 'was lost (ECONNRESET)'],
    [{ status: 401 } as const, 'E_UNAUTHORIZED', 'answered 401'],
    [{ status: 500 } as const, 'E_RUNTIME_FAILED', 'POST /v1/completions answered 500: no room'],
  ])('fails with the request: %j', async (fault, code, message) => {
    const { bench, clock } = benchOf({ fault: () => fault });
    const failure = clock.run(measureDecode(bench, DECODE));
    await expect(failure).rejects.toMatchObject({ code, message: expect.stringContaining(message) });
  });
});

it('progress goes by how long the arrivals of each level take', () => {
  const levels = [1, 2, 4].map((requestRate) => ({ requestRate, burstiness: 1, maxConcurrency: null }));
  const options = { ...CLOSED, levels, numPrompts: 20 };
  // 20, 10 and 5 seconds.
  expect(levels.map((_, i) => placeOf(options, i).begin)).toEqual([0, 20 / 35, 30 / 35]);
  expect(placeOf({ ...options, durationS: 5 }, 2)).toEqual({ begin: 2 / 3, part: 1 / 3 });
  const closed = [1, 2].map((maxConcurrency) => ({ requestRate: Infinity, burstiness: 1, maxConcurrency }));
  expect(placeOf({ ...options, levels: closed }, 1)).toEqual({ begin: 0.5, part: 0.5 });
});

describe('prefill', () => {
  it('by length and by number of prompts', async () => {
    const { bench, clock } = benchOf({ prefillMs: 20, prefillTokenMs: 0.5, promptOverhead: 3 });
    const { prefill, notes } = await clock.run(
      measurePrefills(bench, { promptTokens: [100, 400], batches: [1, 4], repeats: 2 }),
    );
    expect(prefill.map(({ batch, promptTokens }) => [batch, promptTokens])).toEqual([
      [1, 100],
      [1, 400],
      [4, 100],
      [4, 400],
    ]);
    const [short, long, together] = prefill;
    expect(short?.ttftMs).toBeCloseTo(70, 9);
    expect(short?.tokensPerSecond).toBeCloseTo(100 / 0.07, 6);
    expect(long?.tokensPerSecond).toBeCloseTo(400 / 0.22, 6);
    expect(together?.tokensPerSecond).toBeCloseTo(400 / 0.07, 6);
    const peaks = withPeaks(prefill, (tokens) => (tokens === 100 ? 10_000 : null));
    expect(peaks[0]?.peakShare).toBeCloseTo(100 / 0.07 / 10_000, 9);
    expect(peaks[1]?.peakShare).toBeNull();
    expect(notes).toEqual([]);
  });

  it('keeps the rows and repeats before a failure', async () => {
    const workload = { promptTokens: [100, 400, 800], batches: [1], repeats: 2 };
    const { bench, clock } = benchOf({ prefillMs: 20, fault: (n) => (n >= 5 ? { status: 500 } : null) });
    const { prefill, failure } = await clock.run(measurePrefills(bench, workload));
    expect(prefill.map(({ promptTokens }) => promptTokens)).toEqual([100, 400]);
    expect(failure).toMatchObject({ code: 'E_RUNTIME_FAILED' });
    const early = benchOf({ fault: (n) => (n >= 2 ? { refuse: true } : null) });
    await expect(early.clock.run(measurePrefills(early.bench, workload))).rejects.toMatchObject({
      code: 'E_UNAVAILABLE',
    });
  });
});

const fixed = (length: number) => ({ length, rangeRatio: 1, distribution: 'uniform' as const });
const CLOSED: ServeOptions = {
  levels: [{ requestRate: Number.POSITIVE_INFINITY, burstiness: 1, maxConcurrency: 2 }],
  numPrompts: 10,
  durationS: null,
  warmupRequests: 1,
  serviceLevel: null,
};

async function serve(script: Script, options: Partial<ServeOptions> = {}, what: Partial<Target> = {}, numRounds = 1) {
  const { bench, clock, server } = benchOf(script, what);
  const words = await learnVocabulary(async (text) => text.split(' ').length);
  const workload = randomWorkload({ input: fixed(40), output: fixed(11), numRounds }, words, { seed: 1, salt: 2 });
  const { levels, failure } = await clock.run(measureServe(bench, workload, { ...CLOSED, ...options }));
  return { levels, failure, server };
}

describe('serve', () => {
  it('closed loop: throughput and latencies are the script', async () => {
    const { levels, server } = await serve({ prefillMs: 100, stepMs: 20 });
    const [level] = levels;
    // 2 at a time, 0.3 s each, 10 of them.
    expect(level).toMatchObject({ completed: 10, failed: 0, peakConcurrency: 2, maxConcurrency: 2, requestRate: null });
    expect(level?.durationS).toBeCloseTo(1.5, 9);
    expect(level?.outputThroughput).toBeCloseTo(110 / 1.5, 9);
    expect(level?.totalThroughput).toBeCloseTo((110 + 400) / 1.5, 9);
    expect(level?.ttftMs?.p99).toBe(100);
    expect(level?.itlMs).toMatchObject({ p50: 20, p99: 20, count: 100 });
    expect(level?.tpotMs?.mean).toBeCloseTo(20, 9);
    expect(level?.e2eMs?.p50).toBe(300);
    expect(level).toMatchObject({ inputTokens: 400, inputTokensAsked: 400 });
    // A clock that never waits keeps the loop busy.
    expect(level && doubtsOf({ ...level, clientLoad: 0.1 })).toEqual([]);
    // The warm-up is no part of it.
    expect(server.asked).toHaveLength(11);
  });

  it('open loop: a slow server does not slow the arrivals down, and waiting counts', async () => {
    const levels = [{ requestRate: 20, burstiness: 1, maxConcurrency: 1 }];
    const { levels: figures } = await serve({ prefillMs: 1000, stepMs: 0.1 }, { levels });
    const [level] = figures;
    // 10 requests within about half a second, answered one a second: the last is due 9 s before its turn.
    expect(level?.requestRate).toBe(20);
    expect(level?.ttftMs?.max).toBeGreaterThan(9000);
    expect(level?.lateMs?.max).toBeGreaterThan(8000);
  });

  it('a stall shows in the percentiles of the gaps', async () => {
    const { levels } = await serve({ stepMs: (i) => (i === 5 ? 500 : 10) });
    expect(levels[0]?.itlMs).toMatchObject({ p50: 10, max: 500 });
    expect(levels[0]?.itlMs?.p99).toBe(500);
  });

  it('what arrives in one read is one arrival, and that is said', async () => {
    const { levels } = await serve({ prefillMs: 50, stepMs: 10, chunksPerRead: 3 });
    const level = levels[0];
    expect(level?.itlMs?.p50).toBe(30);
    expect(level?.tpotMs?.mean).toBeCloseTo(80 / 10, 1);
    expect(level?.tokensPerArrival).toBeGreaterThan(2);
    expect(level && doubtsOf(level).join()).toContain('tokens at a time: ITL is between arrivals');
  });

  it('goodput: the share that kept to the level', async () => {
    const fault = (n: number) => (n === 3 || n === 6 ? { status: 429 } : null);
    const { levels } = await serve({ prefillMs: 100, stepMs: 20, fault }, { serviceLevel: { ttft: 150, itl: 30 } });
    expect(levels[0]).toMatchObject({ completed: 8, failed: 2, failures: { 'http 429': 2 }, goodput: { share: 0.8 } });
    const strict = await serve({ prefillMs: 100, stepMs: 20 }, { serviceLevel: { ttft: 99 } });
    expect(strict.levels[0]?.goodput).toEqual({ requestsPerSecond: 0, share: 0 });
  });

  it('failures by kind, and the run goes on', async () => {
    const faults = [{ refuse: true }, { breakAfter: 4 }, { error: 'out of memory' }, { status: 503 }] as const;
    const { levels, failure } = await serve({ fault: (n) => (n > 0 ? (faults[n - 1] ?? null) : null) });
    expect(levels[0]).toMatchObject({
      completed: 6,
      failed: 4,
      failures: { connection: 2, stream: 1, 'http 503': 1 },
      failureExamples: { connection: 'ECONNREFUSED', stream: 'out of memory', 'http 503': 'no room' },
    });
    expect(failure).toBeNull();
  });

  it.each([
    ['a closed loop', CLOSED.levels[0]?.requestRate ?? 0],
    ['an open loop', 50],
  ])('%s ends when the server is gone, and so does the run', async (_, requestRate) => {
    const levels = [2, 4].map((maxConcurrency) => ({ requestRate, burstiness: 1, maxConcurrency }));
    const what = { levels, numPrompts: null, durationS: 3600 };
    const { levels: figures, failure } = await serve({ fault: (n) => (n > 10 ? { refuse: true } : null) }, what);
    expect(failure).toMatchObject({ code: 'E_UNAVAILABLE', message: expect.stringContaining('ECONNREFUSED') });
    expect(figures).toHaveLength(1);
    expect(figures[0]?.completed).toBe(10);
    expect(figures[0]?.failed).toBeLessThan(40);
  });

  it('a server that loses connections and answers goes on being measured', async () => {
    const fault = (n: number) => (n > 10 && n < 31 ? ({ refuse: true } as const) : null);
    const { levels, failure } = await serve({ fault }, { numPrompts: 100 });
    expect(failure).toBeNull();
    expect(levels[0]).toMatchObject({ failures: { connection: expect.any(Number) } });
    expect((levels[0]?.completed ?? 0) + (levels[0]?.failed ?? 0)).toBe(100);
  });

  it('a run in which nothing went well has failed, and says with what', async () => {
    const { levels, failure } = await serve({ fault: () => ({ status: 500 }) });
    expect(levels[0]).toMatchObject({ completed: 0, failed: 10 });
    expect(failure).toMatchObject({ code: 'E_RUNTIME_FAILED', message: 'no request went well: http 500: no room' });
  });

  it('levels one after the other, each with prompts of its own', async () => {
    const levels = [1, 2, 4].map((maxConcurrency) => ({
      ...CLOSED.levels[0],
      maxConcurrency,
    })) as ServeOptions['levels'];
    const { levels: figures, server } = await serve({ stepMs: 10 }, { levels });
    expect(figures.map(({ peakConcurrency }) => peakConcurrency)).toEqual([1, 2, 4]);
    const prompts = server.asked.map(({ body }) => body.prompt);
    expect(new Set(prompts).size).toBe(prompts.length);
  });

  it('the turns of a conversation hold what was said before', async () => {
    const what = { route: ROUTES.chat };
    const { server, levels } = await serve({ stepMs: 1 }, { numPrompts: 1, warmupRequests: 0 }, what, 3);
    expect(server.asked.map(({ body }) => body.messages?.map(({ role }) => role))).toEqual([
      ['user'],
      ['user', 'assistant', 'user'],
      ['user', 'assistant', 'user', 'assistant', 'user'],
    ]);
    expect(server.asked[1]?.body.messages?.[1]?.content).toBe('a'.repeat(11));
    expect(levels[0]?.completed).toBe(3);
  });

  it('says where the server counts otherwise', async () => {
    const { levels } = await serve({ stepMs: 1, promptOverhead: 5 });
    expect(levels[0] && doubtsOf(levels[0])).toContain(
      "2 at a time: the prompts have 450 tokens by the server's count, not 400",
    );
  });

  it('asks for no more than the duration takes', async () => {
    const { levels } = await serve({ prefillMs: 100, stepMs: 20 }, { numPrompts: null, durationS: 0.9 });
    // Each of the two slots begins at 0, 0.3 and 0.6 s.
    expect(levels[0]?.completed).toBe(6);
  });
});
