/** Statistics of samples. Pure; no sample at all is null, never NaN, so that figures survive JSON. */

/** Linear interpolation between the two nearest ranks. `sorted`: ascending, not empty; `share`: 0..1. */
export function quantile(sorted: readonly number[], share: number): number {
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

export function ascending(values: readonly number[]): number[] {
  return [...values].sort((a, b) => a - b);
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
  /** 95 % confidence: of the mean by its standard error, of the quantiles by order statistics. */
  ci95: { mean: Range; p50: Range; p90: Range; p99: Range };
}

/** Null for no values. */
export function summarise(values: readonly number[]): Summary | null {
  if (values.length === 0) return null;
  const sorted = ascending(values);
  const at = (share: number) => quantile(sorted, share);
  const average = mean(sorted) ?? 0;
  return {
    count: sorted.length,
    mean: average,
    p50: at(0.5),
    p90: at(0.9),
    p99: at(0.99),
    min: at(0),
    max: at(1),
    ci95: {
      mean: meanRange(sorted, average),
      p50: quantileRange(sorted, 0.5),
      p90: quantileRange(sorted, 0.9),
      p99: quantileRange(sorted, 0.99),
    },
  };
}

/** Of a normal distribution, both tails together 5 %. */
const Z95 = 1.96;

function meanRange(values: readonly number[], average: number): Range {
  const squares = values.reduce((sum, value) => sum + (value - average) ** 2, 0);
  const error = values.length < 2 ? 0 : (Z95 * Math.sqrt(squares / (values.length - 1))) / Math.sqrt(values.length);
  return [average - error, average + error];
}

/** The ranks between which the true quantile lies: the number of samples below it is binomial. */
function quantileRange(sorted: readonly number[], share: number): Range {
  const count = sorted.length;
  const spread = Z95 * Math.sqrt(count * share * (1 - share));
  const rank = (at: number) => sorted[Math.min(count - 1, Math.max(0, at))] ?? 0;
  return [rank(Math.floor(count * share - spread) - 1), rank(Math.ceil(count * share + spread))];
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
  return average === null || rates.length < 4 ? null : meanRange(rates, average);
}
