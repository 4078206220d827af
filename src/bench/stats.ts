/** Statistics of samples. Pure; no sample at all is null, never NaN, so that figures survive JSON. */

/** Linear interpolation between the two nearest ranks. `sorted`: ascending, not empty; `share`: 0..1. */
export function quantile(sorted: ArrayLike<number>, share: number): number {
  const at = (sorted.length - 1) * share;
  const below = sorted[Math.floor(at)] ?? Number.NaN;
  const above = sorted[Math.ceil(at)] ?? below;
  return below + (above - below) * (at - Math.floor(at));
}

/** Null for no values. */
export function median(values: readonly number[]): number | null {
  return values.length === 0 ? null : quantile(ascending(values), 0.5);
}

/** Null for no values. */
export function mean(values: readonly number[]): number | null {
  return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Typed, and so sorted as numbers: there may be millions of gaps. */
export function ascending(values: readonly number[]): Float64Array {
  return Float64Array.from(values).sort();
}

/** Lowest and highest that a figure may well be. */
export type Range = [low: number, high: number];

export interface Summary {
  count: number;
  mean: number;
  p50: number;
  p90: number;
  p99: number;
  min: number;
  max: number;
  /** 95 % confidence; null: too few values to tell. */
  ci95: { mean: Range | null; p50: Range | null; p90: Range | null; p99: Range | null };
}

/**
 * `values` in the order of time: what follows each other is often alike (a queue, a clock, a neighbour), and a range that took
 * them for independent would call every rerun a difference. Null for no values.
 */
export function summarise(values: readonly number[]): Summary | null {
  if (values.length === 0) return null;
  const sorted = ascending(values);
  const batches = batchesOf(values);
  const at = (share: number) => quantile(sorted, share);
  const average = mean(values) ?? 0;
  const rangeAt = (share: number) => quantileRange(sorted, batches, share);
  return {
    count: sorted.length,
    mean: average,
    p50: at(0.5),
    p90: at(0.9),
    p99: at(0.99),
    min: at(0),
    max: at(1),
    ci95: {
      mean: meanRange(values, batches, average),
      p50: rangeAt(0.5),
      p90: rangeAt(0.9),
      p99: rangeAt(0.99),
    },
  };
}

/** Parts of a run that are compared with each other: few enough to be nearly independent, enough to vary. */
const NUM_BATCHES = 10;
const FEWEST_IN_BATCH = 2;

/** Empty: too few values. */
function batchesOf(values: readonly number[]): number[][] {
  if (values.length < NUM_BATCHES * FEWEST_IN_BATCH) return [];
  const edge = (i: number) => Math.round((i * values.length) / NUM_BATCHES);
  return Array.from({ length: NUM_BATCHES }, (_, i) => values.slice(edge(i), edge(i + 1)));
}

/** Of a normal distribution, both tails together 5 %. */
const Z95 = 1.96;
const T95 = [12.706, 4.303, 3.182, 2.776];

/** Of Student's distribution, both tails together 5 %; beyond the first by the expansion of Cornish and Fisher. */
export function t95(freedom: number): number {
  const known = T95[Math.max(1, Math.floor(freedom + 1e-9)) - 1];
  return (
    known ?? Z95 + (Z95 ** 3 + Z95) / (4 * freedom) + (5 * Z95 ** 5 + 16 * Z95 ** 3 + 3 * Z95) / (96 * freedom ** 2)
  );
}

/** Standard error of the mean of independent values; 0 for fewer than two. */
export function standardError(values: readonly number[]): number {
  if (values.length < 2) return 0;
  const average = mean(values) ?? 0;
  const squares = values.reduce((sum, value) => sum + (value - average) ** 2, 0);
  return Math.sqrt(squares / (values.length - 1) / values.length);
}

/** Half of the 95 % range of the mean of independent values. */
const halfRange = (values: readonly number[]) => t95(values.length - 1) * standardError(values);

/** What is as alike as this is hardly known at all. */
const MOST_ALIKE = 0.8;

/** The same of parts in the order of time, wider where neighbours are alike (an autoregression of the first order). */
function halfRangeOfParts(parts: readonly number[]): number {
  const average = mean(parts) ?? 0;
  const off = parts.map((value) => value - average);
  const squares = off.reduce((sum, each) => sum + each ** 2, 0);
  const products = off.reduce((sum, each, i) => sum + each * (off[i - 1] ?? 0), 0);
  // Of few parts the correlation comes out too small by one over their number.
  const alike = squares === 0 ? 0 : products / squares + 1 / parts.length;
  const bounded = Math.min(MOST_ALIKE, Math.max(0, alike));
  return halfRange(parts) * Math.sqrt((1 + bounded) / (1 - bounded));
}

/** Null: a single value does not say how it varies. */
function meanRange(values: readonly number[], batches: readonly number[][], average: number): Range | null {
  if (values.length < 2) return null;
  const half = Math.max(halfRange(values), halfRangeOfParts(batches.map((batch) => mean(batch) ?? 0)));
  return [average - half, average + half];
}

/**
 * The share of values below a quantile is a mean of zeros and ones; its range, by the binomial distribution and by how the
 * batches differ, is one of shares, and the values at its ends are that of the quantile (Woodruff, 1952). Null where an end
 * lies outside of what was seen: the 99th percentile of 100 values may be anything above the 96th.
 */
function quantileRange(sorted: ArrayLike<number>, batches: readonly number[][], share: number): Range | null {
  const value = quantile(sorted, share);
  const shares = batches.map((batch) => batch.filter((each) => each <= value).length / batch.length);
  const half = Math.max(Z95 * Math.sqrt((share * (1 - share)) / sorted.length), halfRangeOfParts(shares));
  const [low, high] = [share - half, share + half];
  return low < 0 || high > 1 ? null : [quantile(sorted, low), quantile(sorted, high)];
}

/** Lowest and highest of several measurements of one rate; null for none. */
export function spread(values: readonly number[]): Range | null {
  return values.length === 0 ? null : [Math.min(...values), Math.max(...values)];
}

/** A quantile at each whole number of parts: `parts + 1` values, for a curve. Empty for no values. */
export function quantileCurve(values: readonly number[], parts: number): number[] {
  if (values.length === 0) return [];
  const sorted = ascending(values);
  return Array.from({ length: parts + 1 }, (_, i) => quantile(sorted, i / parts));
}

/**
 * 95 % range of a rate from how it varies over equal parts of the time it was measured in (batch means).
 * Null: fewer than four parts.
 */
export function rateRange(rates: readonly number[]): Range | null {
  const average = mean(rates);
  if (average === null || rates.length < 4) return null;
  const half = halfRangeOfParts(rates);
  // There is no rate below none.
  return [Math.max(0, average - half), average + half];
}
