import { expect, it } from 'vitest';
import { CLOCK } from '../../../src/bench/clock.js';

it('never wakes before its time', async () => {
  const earlyMs = await Promise.all(
    Array.from({ length: 400 }, async (_, i) => {
      const atMs = CLOCK.now() + 1 + i * 0.13;
      await CLOCK.sleepUntil(atMs);
      return atMs - CLOCK.now();
    }),
  );
  expect(Math.max(...earlyMs)).toBeLessThanOrEqual(0);
});

it('wakes at a signal, and at once for what is past', async () => {
  const beganMs = CLOCK.now();
  await CLOCK.sleepUntil(beganMs - 1);
  await CLOCK.sleepUntil(beganMs + 60_000, AbortSignal.timeout(10));
  await CLOCK.sleepUntil(beganMs + 60_000, AbortSignal.abort());
  expect(CLOCK.now() - beganMs).toBeLessThan(30_000);
});
