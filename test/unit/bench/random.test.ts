import { describe, expect, it } from 'vitest';
import { drawLength } from '../../../src/bench/lengths.js';
import { exponential, gamma, normal, seededRandom, shuffle } from '../../../src/bench/random.js';
import { arrivals } from '../../../src/bench/schedule.js';
import { mean } from '../../../src/bench/stats.js';

const draw = (count: number, next: () => number) => Array.from({ length: count }, next);
const variance = (values: number[]) => {
  const average = mean(values) ?? 0;
  return mean(values.map((value) => (value - average) ** 2)) ?? 0;
};

describe('seededRandom', () => {
  it('is the same for the same seed, and another for another', () => {
    const a = draw(5, seededRandom(7));
    expect(draw(5, seededRandom(7))).toEqual(a);
    expect(draw(5, seededRandom(8))).not.toEqual(a);
  });

  it('is even over [0, 1), for seeds side by side', () => {
    const values = Array.from({ length: 100 }, (_, seed) => draw(100, seededRandom(seed))).flat();
    expect(values.every((value) => value >= 0 && value < 1)).toBe(true);
    const tenths = new Array(10).fill(0);
    for (const value of values) tenths[Math.floor(value * 10)] += 1;
    for (const count of tenths) expect(Math.abs(count - 1000)).toBeLessThan(120);
  });
});

it('distributions have their mean and variance', () => {
  const random = seededRandom(1);
  const samples = {
    exponential: draw(20_000, () => exponential(random)),
    normal: draw(20_000, () => normal(random)),
    even: draw(20_000, () => gamma(random, 4)),
    bursty: draw(20_000, () => gamma(random, 0.5)),
  };
  expect(mean(samples.exponential)).toBeCloseTo(1, 1);
  expect(variance(samples.exponential)).toBeCloseTo(1, 0);
  expect(mean(samples.normal)).toBeCloseTo(0, 1);
  expect(variance(samples.normal)).toBeCloseTo(1, 1);
  expect(mean(samples.even)).toBeCloseTo(1, 1);
  expect(variance(samples.even)).toBeCloseTo(1 / 4, 1);
  expect(mean(samples.bursty)).toBeCloseTo(1, 1);
  expect(variance(samples.bursty)).toBeGreaterThan(1.7);
});

it('shuffles all there is, the same for the same seed', () => {
  const items = Array.from({ length: 50 }, (_, i) => i);
  const once = shuffle([...items], seededRandom(3));
  expect(once).not.toEqual(items);
  expect([...once].sort((a, b) => a - b)).toEqual(items);
  expect(shuffle([...items], seededRandom(3))).toEqual(once);
});

describe('arrivals', () => {
  const times = (requestRate: number, burstiness: number, count: number, seed = 1) => {
    const schedule = arrivals({ requestRate, burstiness }, seededRandom(seed));
    return Array.from({ length: count }, () => schedule.next().value);
  };
  const gaps = (at: number[]) => at.slice(1).map((each, i) => each - (at[i] ?? 0));

  it('come at the rate, with the gaps of a Poisson process', () => {
    const between = gaps(times(50, 1, 10_000));
    expect(mean(between)).toBeGreaterThan(19.4);
    expect(mean(between)).toBeLessThan(20.6);
    // The deviation of an exponential gap is its mean; a share of 1 - 1/e is shorter than it.
    expect(Math.sqrt(variance(between)) / 20).toBeCloseTo(1, 1);
    expect(between.filter((gap) => gap < 20).length / between.length).toBeCloseTo(1 - 1 / Math.E, 1);
  });

  it('are more even with more burstiness', () => {
    expect(Math.sqrt(variance(gaps(times(50, 100, 5000)))) / 20).toBeCloseTo(0.1, 1);
  });

  it('come all at once without a rate, and begin at once with one', () => {
    expect(times(Number.POSITIVE_INFINITY, 1, 3)).toEqual([0, 0, 0]);
    expect(times(5, 1, 1)).toEqual([0]);
  });

  it('are decided by the seed', () => {
    expect(times(5, 1, 20, 4)).toEqual(times(5, 1, 20, 4));
    expect(times(5, 1, 20, 4)).not.toEqual(times(5, 1, 20, 5));
  });
});

describe('drawLength', () => {
  const lengths = (rangeRatio: number, distribution: 'uniform' | 'normal' | 'lognormal') => {
    const random = seededRandom(2);
    return draw(4000, () => drawLength({ length: 100, rangeRatio, distribution }, random));
  };

  it('1 is exact, whatever the distribution', () => {
    expect(new Set(lengths(1, 'uniform'))).toEqual(new Set([100]));
    expect(new Set(lengths(1, 'lognormal'))).toEqual(new Set([100]));
  });

  it('uniform: from the ratio of the length up to it', () => {
    const values = lengths(0.5, 'uniform');
    expect([Math.min(...values), Math.max(...values)]).toEqual([50, 100]);
    expect(mean(values)).toBeCloseTo(75, -1);
  });

  it('normal lies around the length, lognormal has it as its median, and none leaves the bounds', () => {
    expect(mean(lengths(0.8, 'normal'))).toBeCloseTo(100, -1);
    const skewed = lengths(0, 'lognormal').sort((a, b) => a - b);
    expect(skewed[2000]).toBeGreaterThan(90);
    expect(skewed[2000]).toBeLessThan(110);
    expect([skewed[0] ?? 0, skewed.at(-1) ?? 0]).toEqual([expect.any(Number), 400]);
    expect(skewed[0]).toBeGreaterThanOrEqual(1);
  });
});
