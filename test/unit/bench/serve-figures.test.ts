import { describe, expect, it } from 'vitest';
import { serveFigures } from '../../../src/bench/serve-figures.js';
import { trace } from './traces.js';

/** Ten requests, one a second, each 100 ms to its first token and then 9 tokens 50 ms apart. */
const steady = Array.from({ length: 10 }, (_, i) => {
  const startMs = 1000 + i * 1000;
  const pieceMs = Array.from({ length: 10 }, (_, k) => startMs + 100 + k * 50);
  return trace({ startMs, pieceMs, endMs: startMs + 1000, promptTokens: 40, completionTokens: 10 });
});

describe('serveFigures', () => {
  it('adds up what was done in the time it took', () => {
    const figures = serveFigures(steady, 1000, null);
    expect(figures).toMatchObject({
      durationS: 10,
      completed: 10,
      failed: 0,
      cancelled: 0,
      failures: {},
      inputTokens: 400,
      outputTokens: 100,
      requestThroughput: 1,
      outputThroughput: 10,
      totalThroughput: 50,
      outputThroughputCi95: [10, 10],
      peakConcurrency: 1,
      goodput: null,
      tokensPerArrival: 1,
      countedBy: 'usage',
      cachedTokens: null,
    });
    expect(figures.ttftMs).toMatchObject({ p50: 100, p99: 100, count: 10 });
    expect(figures.itlMs).toMatchObject({ p50: 50, count: 90 });
    expect(figures.tpotMs?.mean).toBeCloseTo(50, 9);
    expect(figures.e2eMs?.p99).toBe(1000);
    expect(figures.curves.itlMs).toHaveLength(101);
  });

  it('counts failures by kind, and what was cancelled apart from them', () => {
    const failed = (kind: string) => trace({ startMs: 2000, endMs: 2500, failure: { kind, message: '' } });
    const traces = [...steady, failed('http 429'), failed('http 429'), failed('connection'), failed('cancelled')];
    const figures = serveFigures(traces, 1000, { ttft: 1000 });
    expect(figures).toMatchObject({ completed: 10, failed: 3, cancelled: 1 });
    expect(figures.failures).toEqual({ 'http 429': 2, connection: 1 });
    expect(figures.outputTokens).toBe(100);
    // Of 13 that ran to their end, well or not.
    expect(figures.goodput).toEqual({ requestsPerSecond: 1, share: 10 / 13 });
  });

  it('says how many tokens arrive at a time, and how they were counted', () => {
    const pieces = trace({ pieceMs: [10, 20], endMs: 30, completionTokens: 8 });
    expect(serveFigures([pieces], 0, null).tokensPerArrival).toBe(4);
    const uncounted = trace({ pieceMs: [10, 20], endMs: 30, countedBy: 'pieces' });
    expect(serveFigures([uncounted], 0, null).countedBy).toBe('pieces');
    expect(serveFigures([pieces, uncounted], 0, null).countedBy).toBe('mixed');
  });

  it('draws the time in which it happened', () => {
    const { timeline } = serveFigures(steady, 1000, null);
    expect(timeline.outputTokensPerSecond).toHaveLength(60);
    const tokens = timeline.outputTokensPerSecond.reduce((sum, rate) => sum + rate * timeline.stepS, 0);
    expect(tokens).toBeCloseTo(100, 6);
    expect(Math.max(...timeline.running)).toBe(1);
  });

  it('most at a time: what ends as another begins is not with it', () => {
    const spans = [
      [0, 10],
      [5, 20],
      [10, 30],
      [20, 40],
    ] as const;
    const traces = spans.map(([startMs, endMs]) => trace({ startMs, endMs, pieceMs: [endMs] }));
    expect(serveFigures(traces, 0, null).peakConcurrency).toBe(2);
  });

  it('of nothing done has no latencies', () => {
    const none = serveFigures([trace({ endMs: 5, failure: { kind: 'connection', message: '' } })], 0, null);
    expect(none).toMatchObject({
      completed: 0,
      ttftMs: null,
      itlMs: null,
      tokensPerArrival: null,
      outputThroughput: 0,
    });
    expect(JSON.stringify(none)).not.toContain('NaN');
  });
});
