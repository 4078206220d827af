/** Distributions of lengths. Pure, decided by the seed. */
import { normal, type Random, wholeBetween } from './random.js';

export const DISTRIBUTIONS = ['uniform', 'normal', 'lognormal'] as const;

export interface Lengths {
  /** Tokens. */
  length: number;
  /** 1: all alike; the smaller, the wider. */
  rangeRatio: number;
  distribution: (typeof DISTRIBUTIONS)[number];
}

/**
 * uniform: from rangeRatio x length to length, as SGLang's bench_serving draws them; normal: around length with a deviation
 * of (1 - rangeRatio) x length; lognormal: the same deviation of its logarithm, around length as the median. From 1 token
 * to four times the length.
 */
export function drawLength({ length, rangeRatio, distribution }: Lengths, random: Random): number {
  if (rangeRatio === 1) return length;
  const deviation = 1 - rangeRatio;
  const drawn =
    distribution === 'uniform'
      ? wholeBetween(random, Math.ceil(length * rangeRatio), length)
      : distribution === 'normal'
        ? length * (1 + deviation * normal(random))
        : length * Math.exp(deviation * normal(random));
  return Math.min(4 * length, Math.max(1, Math.round(drawn)));
}
