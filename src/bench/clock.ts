/** Time as the benches see it; tests bring their own. */
import { performance } from 'node:perf_hooks';

export interface Clock {
  /** Milliseconds that never go back. */
  now(): number;
  /** Resolves at that time of the clock, at once where it is past or the signal has come. */
  sleepUntil(atMs: number, signal?: AbortSignal): Promise<void>;
}

export const CLOCK: Clock = {
  now: () => performance.now(),
  async sleepUntil(atMs, signal) {
    // Timers count whole milliseconds, and may come a little before their time: a request that is early would be too quick.
    for (let waitMs = atMs - performance.now(); waitMs > 0 && !signal?.aborted; waitMs = atMs - performance.now()) {
      await sleep(Math.ceil(waitMs), signal);
    }
  },
};

function sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, Math.min(ms, LONGEST_TIMER_MS));
    signal?.addEventListener('abort', done, { once: true });
  });
}

/** Longer ones come at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;
