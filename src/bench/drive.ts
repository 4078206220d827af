/**
 * Sends jobs to a server: open loop (each is due at its time, whatever the server does) or closed loop (so many at once).
 * The clock and the sending are handed in, so that tests need neither time nor a server.
 */
import type { Clock } from './clock.js';
import type { Random } from './random.js';
import { type Arrivals, arrivals } from './schedule.js';
import type { Trace } from './trace.js';

export interface DriveOptions extends Arrivals {
  /** Jobs that run at the same time at most; null: any number. */
  maxConcurrency: number | null;
  /** Jobs to send; null: as many as the time takes. */
  numJobs: number | null;
  /** No job begins after so long; null: no limit. */
  durationMs: number | null;
  clock: Clock;
  random: Random;
  signal?: AbortSignal | undefined;
}

/**
 * Runs one job. `dueMs`: when it was due, from which its latency counts; null: it was not due at a time, and counts from
 * when it is sent.
 */
export type RunJob = (n: number, dueMs: number | null) => Promise<Trace[]>;

/** Traces of all jobs, in the order in which they ended. */
export async function drive(runJob: RunJob, options: DriveOptions): Promise<Trace[]> {
  const { clock, numJobs, durationMs, maxConcurrency, signal } = options;
  const isOpen = options.requestRate !== Number.POSITIVE_INFINITY;
  const beginMs = clock.now();
  const endMs = durationMs === null ? Number.POSITIVE_INFINITY : beginMs + durationMs;
  const slots = new Slots(maxConcurrency ?? Number.POSITIVE_INFINITY);
  const traces: Trace[] = [];
  const running = new Set<Promise<void>>();
  const schedule = arrivals(options, options.random);
  for (let n = 0; n < (numJobs ?? Number.POSITIVE_INFINITY); n++) {
    const dueMs = beginMs + schedule.next().value;
    if (dueMs >= endMs) break;
    if (isOpen) await clock.sleepUntil(dueMs, signal);
    // A closed loop sends the next job when one has ended; in an open loop a job that finds no slot waits, and its wait counts.
    if (!isOpen) await slots.take();
    // What was due in time is sent, however late this loop is.
    if (signal?.aborted || (!isOpen && clock.now() >= endMs)) break;
    const job = run(n, isOpen ? dueMs : null);
    running.add(job);
    const ended = () => running.delete(job);
    job.then(ended, ended);
  }
  await Promise.all(running);
  return traces;

  async function run(n: number, dueMs: number | null): Promise<void> {
    if (isOpen) await slots.take();
    try {
      traces.push(...(await runJob(n, dueMs)));
    } finally {
      slots.free();
    }
  }
}

/** So many may hold one at the same time; who waited longest is next. */
class Slots {
  readonly #waiting: (() => void)[] = [];
  constructor(private numFree: number) {}

  take(): Promise<void> {
    if (this.numFree > 0) {
      this.numFree--;
      return Promise.resolve();
    }
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  free(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.numFree++;
    else next();
  }
}
