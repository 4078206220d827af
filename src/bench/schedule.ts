/** When requests arrive. Pure, decided by the seed. */
import { exponential, gamma, type Random } from './random.js';

export interface Arrivals {
  /** Requests a second; Infinity: all at once. */
  requestRate: number;
  /** Shape of the gamma distribution of the gaps, as in vLLM: 1 is a Poisson process, more is more even. */
  burstiness: number;
}

/** Milliseconds from the start at which each request is due, for ever, in order. */
export function* arrivals({ requestRate, burstiness }: Arrivals, random: Random): Generator<number, never> {
  let atMs = 0;
  for (;;) {
    yield atMs;
    if (requestRate === Number.POSITIVE_INFINITY) continue;
    const gap = burstiness === 1 ? exponential(random) : gamma(random, burstiness);
    atMs += (gap * 1000) / requestRate;
  }
}
