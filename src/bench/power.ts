/** Energy and clocks from samples. Pure; times in milliseconds on the bench's clock. */
import type { LiveClocks } from '../device/clocks.js';
import type { Power } from './result.js';
import { median } from './stats.js';

export interface PowerSample {
  atMs: number;
  watts: number;
}

export interface ClockSample extends LiveClocks {
  atMs: number;
}

const within =
  (beginMs: number, endMs: number) =>
  ({ atMs }: { atMs: number }) =>
    atMs >= beginMs && atMs <= endMs;

/** A mean of fewer is no mean. */
const FEWEST_SAMPLES = 3;

/**
 * Energy between two times: the trapezoids between samples, and each end at the power of the sample next to it. Null where
 * the time was too short for the sampler.
 */
export function powerBetween(
  samples: readonly PowerSample[],
  source: string,
  beginMs: number,
  endMs: number,
  tokens: number,
): Power | null {
  const inside = samples.filter(within(beginMs, endMs));
  const [first, last] = [inside[0], inside.at(-1)];
  if (first === undefined || last === undefined || inside.length < FEWEST_SAMPLES) return null;
  let milliJoules = first.watts * (first.atMs - beginMs) + last.watts * (endMs - last.atMs);
  for (let i = 1; i < inside.length; i++) {
    const [before, after] = [inside[i - 1] as PowerSample, inside[i] as PowerSample];
    milliJoules += ((before.watts + after.watts) / 2) * (after.atMs - before.atMs);
  }
  const joules = milliJoules / 1000;
  return {
    source,
    samples: inside.length,
    meanWatts: (joules * 1000) / (endMs - beginMs),
    // Not by Math.max(...): hours have more samples than a call takes arguments.
    maxWatts: inside.reduce((most, { watts }) => Math.max(most, watts), 0),
    joules,
    tokensPerJoule: joules > 0 ? tokens / joules : 0,
  };
}

export interface Movement {
  clock: keyof LiveClocks;
  fromMhz: number;
  toMhz: number;
}

/** Quarters of fewer samples say nothing: a clock that is free flickers. */
const FEWEST_CLOCKS = 16;

/**
 * Clocks that ran otherwise in the last quarter of the time than in the first, by their medians, by more than `tolerance`
 * (0.05: 5 %). Work of one kind went on in between.
 */
export function movements(
  samples: readonly ClockSample[],
  beginMs: number,
  endMs: number,
  tolerance: number,
): Movement[] {
  const inside = samples.filter(within(beginMs, endMs));
  if (inside.length < FEWEST_CLOCKS) return [];
  const quarter = Math.floor(inside.length / 4);
  return (['cpuMhz', 'gpuMhz', 'emcMhz'] as const).flatMap((clock) => {
    const of = (part: ClockSample[]) => median(part.flatMap((sample) => sample[clock] ?? []));
    const [fromMhz, toMhz] = [of(inside.slice(0, quarter)), of(inside.slice(-quarter))];
    const moved = fromMhz !== null && toMhz !== null && Math.abs(toMhz / fromMhz - 1) > tolerance;
    return moved ? [{ clock, fromMhz, toMhz }] : [];
  });
}
