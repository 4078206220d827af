import { describe, expect, it } from 'vitest';
import { mean, median, quantile, quantileCurve, rateRange, spread, summarise } from '../../../src/bench/stats.js';

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
    const summary = summarise(Array.from({ length: 1000 }, (_, i) => 1000 - i));
    expect(summary).toMatchObject({ count: 1000, mean: 500.5, p50: 500.5, min: 1, max: 1000 });
    expect(summary?.p90).toBeCloseTo(900.1, 6);
    expect(summary?.p99).toBeCloseTo(990.01, 6);
    // 1.96 deviations of a binomial rank: 31 about the middle, 6 about the 990th.
    const [low, high] = summary?.ci95.p50 ?? [0, 0];
    expect([low, high]).toEqual([469, 532]);
    expect(summary?.ci95.p99).toEqual([983, 998]);
    expect(summary?.ci95.mean[0]).toBeCloseTo(500.5 - (1.96 * 288.82) / Math.sqrt(1000), 1);
  });

  it('of one value, and of none', () => {
    expect(summarise([5])).toMatchObject({ count: 1, mean: 5, p99: 5, ci95: { mean: [5, 5], p99: [5, 5] } });
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
  expect(low).toBeCloseTo(10 - 1.96 * (Math.sqrt(16 / 3) / 2), 9);
  expect(high - 10).toBeCloseTo(10 - low, 9);
  expect(rateRange([1, 2, 3])).toBeNull();
});
