import { describe, expect, it } from 'vitest';
import { normal, seededRandom, shuffle } from '../../../src/bench/random.js';
import {
  mean,
  median,
  quantile,
  quantileCurve,
  rateRange,
  spread,
  standardError,
  summarise,
  t95,
} from '../../../src/bench/stats.js';

describe('quantiles', () => {
  it('lie between the two nearest ranks, as numpy has them', () => {
    const sorted = [10, 20, 30, 40];
    expect(quantile(sorted, 0)).toBe(10);
    expect(quantile(sorted, 0.5)).toBe(25);
    expect(quantile(sorted, 0.9)).toBeCloseTo(37, 9);
    expect(quantile(sorted, 1)).toBe(40);
    expect(quantile([7], 0.99)).toBe(7);
  });

  it('make a curve from the lowest to the highest', () => {
    expect(quantileCurve([3, 1, 2], 2)).toEqual([1, 2, 3]);
    expect(quantileCurve([], 100)).toEqual([]);
  });
});

it('the middle and the mean of nothing are null', () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 3])).toBe(2.5);
  expect(median([])).toBeNull();
  expect(mean([1, 2, 6])).toBe(3);
  expect(mean([])).toBeNull();
  expect(spread([])).toBeNull();
  expect(spread([3, 1, 2])).toEqual([1, 3]);
});

describe('summarise', () => {
  it('of 1 to 1000', () => {
    const ranks = Array.from({ length: 1000 }, (_, i) => i + 1);
    const summary = summarise(shuffle(ranks, seededRandom(1)));
    expect(summary).toMatchObject({ count: 1000, mean: 500.5, p50: 500.5, min: 1, max: 1000 });
    expect(summary?.p90).toBeCloseTo(900.1, 6);
    expect(summary?.p99).toBeCloseTo(990.01, 6);
    // At least 1.96 deviations of a binomial rank: 31 about the middle, 6 about the 990th; at most what ten parts add to it.
    const half = ([low, high]: readonly number[]) => ((high ?? 0) - (low ?? 0)) / 2;
    for (const [range, least] of [
      [summary?.ci95.p50, 30.9],
      [summary?.ci95.p99, 6.1],
      [summary?.ci95.mean, (1.96 * 288.8) / Math.sqrt(1000)],
    ] as const) {
      expect(half(range ?? [])).toBeGreaterThanOrEqual(least);
      expect(half(range ?? [])).toBeLessThan(2 * least);
    }
    // Too few for parts: 1 to 16 in any order, 0.245 of them about the middle.
    const few = summarise(Array.from({ length: 16 }, (_, i) => 16 - i))?.ci95.p50;
    expect(few?.map((end) => Number(end.toFixed(3)))).toEqual([4.825, 12.175]);
  });

  it('what drifts is less certain than what varies from value to value', () => {
    const random = seededRandom(3);
    const noise = Array.from({ length: 400 }, () => normal(random));
    const drift = noise.map((_, i) => noise.slice(0, i + 1).reduce((sum, each, k) => sum + each * 0.95 ** (i - k), 0));
    const width = (values: number[], key: 'mean' | 'p50') => {
      const { ci95 } = summarise(values) ?? {};
      const deviation = standardError(values) * Math.sqrt(values.length);
      return ((ci95?.[key]?.[1] ?? 0) - (ci95?.[key]?.[0] ?? 0)) / deviation;
    };
    for (const key of ['mean', 'p50'] as const) expect(width(drift, key)).toBeGreaterThan(3 * width(noise, key));
  });

  it('says nothing of a percentile that the values do not reach', () => {
    const of = (count: number) => {
      const random = seededRandom(1);
      return summarise(Array.from({ length: count }, () => normal(random)))?.ci95;
    };
    expect(of(19)).toMatchObject({ p50: expect.any(Array), p90: null, p99: null });
    expect(of(300)).toMatchObject({ p50: expect.any(Array), p90: expect.any(Array), p99: null });
    expect(of(4000)?.p99).not.toBeNull();
  });

  it('of one value, and of none', () => {
    expect(summarise([5])).toMatchObject({ count: 1, mean: 5, p99: 5, ci95: { mean: null, p50: null, p99: null } });
    expect(summarise([])).toBeNull();
  });

  it('survives JSON', () => {
    const summary = summarise([1, 2, 3]);
    expect(JSON.parse(JSON.stringify(summary))).toEqual(summary);
  });
});

it('a rate that varies over its parts has a wider range; too few parts have none', () => {
  expect(rateRange([10, 10, 10, 10])).toEqual([10, 10]);
  const [low, high] = rateRange([8, 12, 8, 12]) ?? [0, 0];
  expect(low).toBeCloseTo(10 - 3.182 * (Math.sqrt(16 / 3) / 2), 9);
  expect(high - 10).toBeCloseTo(10 - low, 9);
  expect(rateRange([1, 2, 3])).toBeNull();
  // None is the least.
  expect(rateRange([0, 0, 0, 40])?.[0]).toBe(0);
});

it.each([
  [1, 12.706],
  [2, 4.303],
  [4.9, 2.776],
  [5, 2.571],
  [9, 2.262],
  [30, 2.042],
  [1e6, 1.96],
])('95 %% of Student with %s degrees of freedom: %s', (freedom, expected) => {
  expect(Math.abs(t95(freedom) / expected - 1)).toBeLessThan(0.012);
});
