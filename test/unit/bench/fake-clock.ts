import type { Clock } from '../../../src/bench/clock.js';

/** Time that goes on when everybody waits for it. */
export class FakeClock implements Clock {
  #nowMs = 1000;
  readonly #timers: { atMs: number; wake: () => void }[] = [];

  now(): number {
    return this.#nowMs;
  }

  sleepUntil(atMs: number, signal?: AbortSignal): Promise<void> {
    if (atMs <= this.#nowMs || signal?.aborted) return Promise.resolve();
    return new Promise((wake) => this.#timers.push({ atMs, wake }));
  }

  /** Until `work` is done: from timer to timer. */
  async run<T>(work: Promise<T>): Promise<T> {
    let isDone = false;
    const done = () => {
      isDone = true;
    };
    work.then(done, done);
    for (;;) {
      // Whoever can go on without time passing does.
      for (let i = 0; i < 50; i++) await Promise.resolve();
      if (isDone) return work;
      this.#timers.sort((a, b) => a.atMs - b.atMs);
      const next = this.#timers.shift();
      if (next === undefined) throw new Error('everybody waits for nothing');
      this.#nowMs = next.atMs;
      next.wake();
    }
  }
}
