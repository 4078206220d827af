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
  sleepUntil: (atMs, signal) => {
    const waitMs = atMs - performance.now();
    if (waitMs <= 0 || signal?.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, waitMs);
      signal?.addEventListener('abort', done, { once: true });
    });
  },
};
