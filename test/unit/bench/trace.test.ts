import { describe, expect, it } from 'vitest';
import { bytesPerToken, decodeRate, meanContext, prefillRate } from '../../../src/bench/figures.js';
import { keeps, parseServiceLevel } from '../../../src/bench/goodput.js';
import {
  endToEndMs,
  interTokenGapsMs,
  numArrivals,
  timePerOutputTokenMs,
  timeToFirstTokenMs,
} from '../../../src/bench/trace.js';
import { trace } from './traces.js';

/** A stream whose first piece comes at `firstMs` and then one each `stepMs`. */
function stream(firstMs: number, stepMs: number, numTokens: number, tokensPerPiece = 1) {
  const pieceMs = Array.from({ length: numTokens / tokensPerPiece }, (_, i) => firstMs + i * stepMs);
  return trace({ pieceMs, promptTokens: 20, completionTokens: numTokens });
}

describe('latencies of a request', () => {
  it('count from when it was due, not from when it was sent', () => {
    const late = trace({ startMs: 100, sentMs: 400, pieceMs: [500, 510], endMs: 520, completionTokens: 2 });
    expect(timeToFirstTokenMs(late)).toBe(400);
    expect(endToEndMs(late)).toBe(420);
  });

  it('a piece of several tokens is one gap, and a token of it costs its share', () => {
    const pairs = stream(100, 20, 10, 2);
    expect(interTokenGapsMs(pairs)).toEqual([20, 20, 20, 20]);
    expect(numArrivals(pairs)).toBe(5);
    expect(timePerOutputTokenMs(pairs)).toBeCloseTo(80 / 9, 9);
  });

  it('pieces that came in one read are one arrival: no gap of zero is made up', () => {
    const read = trace({ pieceMs: [100, 100, 130, 130, 130], completionTokens: 5 });
    expect(interTokenGapsMs(read)).toEqual([30]);
    expect(numArrivals(read)).toBe(2);
    expect(timePerOutputTokenMs(read)).toBe(7.5);
  });

  it('are unknown where there was too little', () => {
    expect(timeToFirstTokenMs(trace({ pieceMs: [] }))).toBeNull();
    expect(timePerOutputTokenMs(stream(5, 1, 1))).toBeNull();
    expect(timePerOutputTokenMs(trace({ pieceMs: [7, 7], completionTokens: 2 }))).toBeNull();
    expect(interTokenGapsMs(stream(5, 1, 1))).toEqual([]);
  });
});

describe('goodput', () => {
  const level = parseServiceLevel(['ttft:500', 'itl:50']);

  it('reads keys with milliseconds, one a word or with commas', () => {
    expect(level).toEqual({ ttft: 500, itl: 50 });
    expect(parseServiceLevel(['ttft:1,e2el:2.5'])).toEqual({ ttft: 1, e2el: 2.5 });
    expect(parseServiceLevel(['e2e:9'])).toEqual({ e2el: 9 });
    for (const wrong of ['ttft', 'ttft:', 'ttft:x', 'ttft:-1', 'latency:5']) {
      expect(() => parseServiceLevel([wrong])).toThrow(`--goodput: '${wrong}'`);
    }
  });

  it('a request keeps to it with its first token and with 99 % of its gaps', () => {
    expect(keeps(level, stream(500, 50, 10))).toBe(true);
    expect(keeps(level, stream(501, 50, 10))).toBe(false);
    expect(keeps(level, stream(100, 51, 10))).toBe(false);
    const pieceMs = Array.from({ length: 300 }, (_, i) => 100 + i * 10);
    const oneStall = pieceMs.map((at, i) => (i > 150 ? at + 1000 : at));
    expect(keeps(level, trace({ pieceMs: oneStall, completionTokens: 300 }))).toBe(true);
  });

  it('by the time of a token, and by the whole', () => {
    const answer = stream(100, 10, 11);
    expect(keeps({ tpot: 10 }, answer)).toBe(true);
    expect(keeps({ tpot: 9.9 }, answer)).toBe(false);
    expect(keeps({ e2el: 200 }, { ...answer, endMs: 200 })).toBe(true);
    expect(keeps({ e2el: 199 }, { ...answer, endMs: 200 })).toBe(false);
  });

  it('what failed was not good, however fast', () => {
    expect(keeps(level, { ...stream(1, 1, 10), failure: { kind: 'stream', message: '' } })).toBe(false);
  });
});

describe('decodeRate', () => {
  it('of one stream: the tokens after the first, by the time after the first', () => {
    // 100 intervals of 10 ms; the 500 ms before the first token are prefill.
    expect(decodeRate([stream(500, 10, 101)])).toBeCloseTo(100, 6);
  });

  it('counts tokens, not pieces', () => {
    const whole = decodeRate([stream(0, 10, 100)]) ?? 0;
    const pairs = decodeRate([stream(0, 20, 100, 2)]) ?? 0;
    expect(pairs / whole).toBeCloseTo(1, 9);
    // The first token at once, then fours: 12 pieces of 4 in 12 x 40 ms.
    const fours = trace({ ...stream(0, 40, 13), completionTokens: 49, firstShare: 1 / 49 });
    expect(decodeRate([fours])).toBeCloseTo(100, 9);
  });

  it('of several streams: only while all of them run', () => {
    // Until 1000 ms the first runs alone at 200 token/s, then both at 100 token/s each.
    const alone = Array.from({ length: 200 }, (_, i) => (i + 1) * 5);
    const together = Array.from({ length: 100 }, (_, i) => 1000 + (i + 1) * 10);
    const first = trace({ pieceMs: [...alone, ...together], completionTokens: 300 });
    const second = trace({ pieceMs: [1000, ...together], completionTokens: 101 });
    expect(decodeRate([first, second])).toBeCloseTo(200, 0);
  });

  it('is not known where text came in bursts', () => {
    const burst = trace({ pieceMs: [3, ...new Array(63).fill(3.02)], completionTokens: 64 });
    expect(decodeRate([burst])).toBeNull();
    const few = trace({ pieceMs: [0, 10, 10, 20, 20, 30, 30], completionTokens: 7 });
    expect(decodeRate([few])).toBeCloseTo(200, 6);
  });

  it('is not known where the streams never ran together', () => {
    expect(decodeRate([stream(0, 1, 10), stream(100, 1, 10)])).toBeNull();
    expect(decodeRate([stream(0, 1, 1)])).toBeNull();
  });
});

describe('prefillRate', () => {
  it('counts from sending the request', () => {
    expect(prefillRate([trace({ startMs: 1000, pieceMs: [1500], promptTokens: 512 })])).toBe(1024);
  });

  it('of several prompts: all of them, until the last has its first token', () => {
    const first = trace({ startMs: 0, pieceMs: [500], promptTokens: 500 });
    const last = trace({ startMs: 1, pieceMs: [1000], promptTokens: 500 });
    expect(prefillRate([first, last])).toBe(1000);
  });

  it('is not known where the server does not count', () => {
    expect(prefillRate([trace({ pieceMs: [5], promptTokens: null })])).toBeNull();
  });
});

it('a batch shares the weights, not the keys and values', () => {
  expect(bytesPerToken(1000, 10, 1, 50)).toBe(1500);
  expect(bytesPerToken(1000, 10, 4, 50)).toBe(750);
  expect(meanContext(stream(0, 1, 100))).toBe(70);
});
