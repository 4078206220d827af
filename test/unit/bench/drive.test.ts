/** The loops that send, on a clock of their own: no test waits. */
import { describe, expect, it } from 'vitest';
import { type DriveOptions, drive } from '../../../src/bench/drive.js';
import { seededRandom } from '../../../src/bench/random.js';
import { arrivals } from '../../../src/bench/schedule.js';
import { FakeClock } from './fake-clock.js';
import { trace } from './traces.js';

interface Seen {
  n: number;
  dueMs: number | null;
  sentMs: number;
}

/** A server that answers each request after `serviceMs`. */
async function sent(options: Partial<DriveOptions>, serviceMs: (n: number) => number) {
  const clock = new FakeClock();
  const seen: Seen[] = [];
  let running = 0;
  let peak = 0;
  const traces = await clock.run(
    drive(
      async (n, dueMs) => {
        const sentMs = clock.now();
        seen.push({ n, dueMs, sentMs });
        peak = Math.max(peak, ++running);
        await clock.sleepUntil(sentMs + serviceMs(n));
        running--;
        return [trace({ startMs: dueMs ?? sentMs, sentMs, endMs: clock.now(), pieceMs: [clock.now()] })];
      },
      {
        requestRate: Number.POSITIVE_INFINITY,
        burstiness: 1,
        maxConcurrency: null,
        numJobs: null,
        durationMs: null,
        clock,
        random: seededRandom(1),
        ...options,
      },
    ),
  );
  return { seen, traces, peak };
}

describe('open loop', () => {
  it('sends each request when it is due, however long the server takes', async () => {
    const { seen, peak } = await sent({ requestRate: 10, numJobs: 50 }, () => 60_000);
    const schedule = arrivals({ requestRate: 10, burstiness: 1 }, seededRandom(1));
    for (const { dueMs, sentMs } of seen) {
      expect(sentMs).toBe(dueMs);
      expect(sentMs).toBeCloseTo(1000 + schedule.next().value, 9);
    }
    expect(peak).toBe(50);
  });

  it('what waits for a slot counts from when it was due', async () => {
    const { traces, peak } = await sent({ requestRate: 100, numJobs: 20, maxConcurrency: 1 }, () => 1000);
    expect(peak).toBe(1);
    const waits = traces.map(({ startMs, sentMs }) => sentMs - startMs);
    // 20 requests within 0.2 s, one a second answered: the last waits for the 19 before it.
    expect(Math.max(...waits)).toBeGreaterThan(18_000);
    for (const [i, { endMs, startMs }] of traces.entries())
      expect(endMs - startMs).toBeCloseTo((waits[i] ?? 0) + 1000, 6);
  });

  it('a stall delays nobody but those it holds', async () => {
    const { seen } = await sent({ requestRate: 10, numJobs: 30 }, (n) => (n === 0 ? 100_000 : 5));
    expect(seen.every(({ dueMs, sentMs }) => sentMs === dueMs)).toBe(true);
  });

  it('sends what is due within the duration, and waits for its answers', async () => {
    const { seen, traces } = await sent({ requestRate: 10, durationMs: 5000 }, () => 3000);
    expect(seen.length).toBeGreaterThan(30);
    expect(seen.length).toBeLessThan(70);
    expect(traces).toHaveLength(seen.length);
    expect(Math.max(...seen.map(({ sentMs }) => sentMs))).toBeLessThan(6000);
  });
});

describe('closed loop', () => {
  it('keeps so many running, and sends the next when one has ended', async () => {
    const { seen, traces, peak } = await sent({ maxConcurrency: 4, numJobs: 20 }, () => 100);
    expect(peak).toBe(4);
    expect(seen.map(({ dueMs }) => dueMs).every((due) => due === null)).toBe(true);
    expect(traces).toHaveLength(20);
    expect(Math.max(...traces.map(({ endMs }) => endMs))).toBe(1000 + 5 * 100);
  });

  it('sends them all at once without a limit', async () => {
    const { peak } = await sent({ numJobs: 12 }, () => 10);
    expect(peak).toBe(12);
  });

  it('begins nothing after the duration', async () => {
    const { seen } = await sent({ maxConcurrency: 2, durationMs: 1000 }, () => 300);
    // Each of the two sends at 0, 300, 600 and 900 ms.
    expect(seen).toHaveLength(8);
  });
});

it('ends when it is asked to', async () => {
  const abort = new AbortController();
  const { seen } = await sent({ maxConcurrency: 1, numJobs: 100, signal: abort.signal }, (n) => {
    if (n === 2) abort.abort();
    return 10;
  });
  expect(seen).toHaveLength(3);
});
