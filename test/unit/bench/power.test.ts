import { describe, expect, it } from 'vitest';
import { type ClockSample, movements, powerBetween } from '../../../src/bench/power.js';
import type { Conditions } from '../../../src/bench/result.js';
import { changesOf, movedDuring, throttledBy } from '../../../src/bench/validity.js';

describe('powerBetween', () => {
  const ramp = Array.from({ length: 11 }, (_, i) => ({ atMs: i * 100, watts: 10 + i }));

  it('adds up energy under the samples', () => {
    // From 10 to 20 W over a second: 15 J.
    const power = powerBetween(ramp, 'VDD_IN', 0, 1000, 300);
    expect(power).toMatchObject({ source: 'VDD_IN', samples: 11, maxWatts: 20 });
    expect(power?.joules).toBeCloseTo(15, 9);
    expect(power?.meanWatts).toBeCloseTo(15, 9);
    expect(power?.tokensPerJoule).toBeCloseTo(20, 9);
  });

  it('takes the samples of its own time alone, and reaches to its ends', () => {
    const constant = Array.from({ length: 20 }, (_, i) => ({ atMs: i * 100 + 37, watts: i < 10 ? 5 : 50 }));
    expect(powerBetween(constant, 'x', 0, 1000, 1)?.meanWatts).toBeCloseTo(5, 9);
  });

  it('says nothing where there are too few samples', () => {
    expect(powerBetween(ramp, 'x', 0, 150, 1)).toBeNull();
    expect(powerBetween([], 'x', 0, 1000, 1)).toBeNull();
  });
});

it('takes the samples of a long run', () => {
  const hours = Array.from({ length: 500_000 }, (_, i) => ({ atMs: i * 100, watts: 20 }));
  expect(powerBetween(hours, 'VDD', 0, 5e7, 1)).toMatchObject({ maxWatts: 20, joules: expect.closeTo(1e6, 3) });
});

describe('movements', () => {
  const samples = (mhz: (i: number) => number): ClockSample[] =>
    Array.from({ length: 40 }, (_, i) => ({ atMs: i * 100, cpuMhz: 2000, gpuMhz: mhz(i), emcMhz: null }));

  it('finds a clock that fell while one thing was measured', () => {
    const moved = movements(
      samples((i) => (i < 20 ? 1300 : 930)),
      0,
      4000,
      0.05,
    );
    expect(moved).toEqual([{ clock: 'gpuMhz', fromMhz: 1300, toMhz: 930 }]);
    expect(movedDuring('decode, batch 8', moved)).toEqual([
      "the GPU's clock moved from 1,300 MHz to 930 MHz during decode, batch 8",
    ]);
  });

  it('leaves be what keeps to the tolerance, or flickers', () => {
    expect(
      movements(
        samples((i) => 1300 - i),
        0,
        4000,
        0.05,
      ),
    ).toEqual([]);
    expect(
      movements(
        samples((i) => (i % 5 === 0 ? 300 : 1300)),
        0,
        4000,
        0.05,
      ),
    ).toEqual([]);
  });

  it('judges no time that is too short', () => {
    expect(
      movements(
        samples((i) => 1300 - 100 * i),
        0,
        600,
        0.05,
      ),
    ).toEqual([]);
  });
});

describe('changesOf', () => {
  const clocks = { cpuMhz: 2201, gpuMhz: 1300, emcMhz: 3199 };
  const calm: Conditions = {
    powerMode: 'MAXN',
    isLocked: true,
    ceilings: clocks,
    clocks,
    hottestCelsius: 50,
    throttling: [],
    numOverCurrent: 3,
  };
  const reasons = (after: Partial<Conditions>, before: Partial<Conditions> = {}) =>
    changesOf({ ...calm, ...before }, { ...calm, ...after }, 0.05);

  it('finds nothing where nothing changed', () => {
    expect(reasons({ hottestCelsius: 80, clocks: { ...clocks, gpuMhz: 1290 } })).toEqual([]);
  });

  it.each([
    [{ powerMode: 'MODE_30W' }, 'the power mode changed from MAXN to MODE_30W'],
    [{ ceilings: { ...clocks, gpuMhz: 612 } }, "the GPU's highest clock moved from 1,300 MHz to 612 MHz"],
    [{ clocks: { ...clocks, emcMhz: 2133 } }, "the memory's locked clock moved from 3,199 MHz to 2,133 MHz"],
    [{ isLocked: false }, 'the clocks were locked before and are not after'],
    [{ numOverCurrent: 5 }, "the supply's current limit throttled the board 2 times"],
  ])('%j', (after, reason) => {
    expect(reasons(after)).toContain(reason);
  });

  it('clocks that are free to move do so between two idle moments', () => {
    const free = { isLocked: false };
    expect(reasons({ ...free, clocks: { ...clocks, cpuMhz: 729 } }, free)).toEqual([]);
  });

  it('unknown is no change', () => {
    const unknown = { cpuMhz: null, gpuMhz: null, emcMhz: null };
    expect(reasons({ clocks: unknown, ceilings: unknown, numOverCurrent: null })).toEqual([]);
  });
});

it('a power cap is no fault, throttling is', () => {
  expect(throttledBy(['power cap'])).toEqual([]);
  expect(throttledBy(['cpufreq-cpu0', 'power cap', 'cpufreq-cpu0', 'gpu'])).toEqual([
    'throttled while measuring: cpufreq-cpu0, gpu',
  ]);
});
