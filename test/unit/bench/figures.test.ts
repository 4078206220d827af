import { describe, expect, it } from 'vitest';
import {
  bytesPerToken,
  decodeRate,
  meanContext,
  median,
  prefillRate,
  type Trace,
  timeToFirstTokenMs,
} from '../../../src/bench/figures.js';

/** A stream whose first piece comes at `firstMs` and then one each `stepMs`. */
function stream(firstMs: number, stepMs: number, numTokens: number, tokensPerPiece = 1): Trace {
  const numPieces = numTokens / tokensPerPiece;
  return {
    startMs: 0,
    pieceMs: Array.from({ length: numPieces }, (_, i) => firstMs + i * stepMs),
    promptTokens: 20,
    completionTokens: numTokens,
  };
}

it('median', () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 3])).toBe(2.5);
  expect(median([])).toBeNaN();
});

describe('decodeRate', () => {
  it('of one stream: the tokens after the first, by the time after the first', () => {
    // 100 intervals of 10 ms; the 500 ms before the first token are prefill.
    expect(decodeRate([stream(500, 10, 101)])).toBeCloseTo(100, 6);
  });

  it('counts tokens, not pieces', () => {
    const whole = decodeRate([stream(0, 10, 100)]);
    const pairs = decodeRate([stream(0, 20, 100, 2)]);
    expect(pairs / whole).toBeCloseTo(1, 1);
  });

  it('of several streams: only while all of them run', () => {
    // Until 1000 ms the first runs alone at 200 token/s, then both at 100 token/s each.
    const alone = Array.from({ length: 200 }, (_, i) => (i + 1) * 5);
    const together = Array.from({ length: 100 }, (_, i) => 1000 + (i + 1) * 10);
    const first = { startMs: 0, pieceMs: [...alone, ...together], promptTokens: 1, completionTokens: 300 };
    const second = { startMs: 0, pieceMs: [1000, ...together], promptTokens: 1, completionTokens: 101 };
    expect(decodeRate([first, second])).toBeCloseTo(200, 0);
  });

  it('is no number where the streams never ran together', () => {
    expect(decodeRate([stream(0, 1, 10), stream(100, 1, 10)])).toBeNaN();
    expect(decodeRate([stream(0, 1, 1)])).toBeNaN();
  });
});

it('prefill counts from sending the request', () => {
  const trace = { startMs: 1000, pieceMs: [1500], promptTokens: 512, completionTokens: 1 };
  expect(timeToFirstTokenMs(trace)).toBe(500);
  expect(prefillRate(trace)).toBe(1024);
});

it('a batch shares the weights, not the keys and values', () => {
  expect(bytesPerToken(1000, 10, 1, 50)).toBe(1500);
  expect(bytesPerToken(1000, 10, 4, 50)).toBe(750);
  expect(meanContext(stream(0, 1, 100))).toBe(70);
});
