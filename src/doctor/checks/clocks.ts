/** Are the clocks locked to their ceilings, and does anything hold them down? */
import { isJetson } from '../../device/machine.js';
import { type Check, outcome } from '../check.js';

export const clocksLocked: Check = {
  id: 'clocks-locked',
  group: 'performance',
  expected: 'clocks locked to the ceilings of the power mode',
  why: 'between two tokens an unlocked GPU slows down, so every step begins slowly; latency scatters',
  look: (facts) => {
    if (!isJetson(facts)) return null;
    const { clocks } = facts;
    const rootNeeded = 'jetson_clocks --show needs root, and no file tells it (sudo jetson_clocks --show)';
    if (clocks === null) return outcome('skip', 'jetson_clocks is not there, and no file tells it');
    if (clocks.isLocked === null) return outcome('skip', clocks.needsRoot ? rootNeeded : 'not told in full');
    const source = clocks.needsRoot ? ', by sysfs (jetson_clocks --show needs root)' : '';
    if (clocks.isLocked) return outcome('pass', `locked${source}`);
    return outcome('warn', `not locked${source}`, 'sudo jetson_clocks');
  },
};

/** Degrees below the throttling point that a long run needs. */
const MARGIN_CELSIUS = 5;
/** Where modules begin to slow down when no trip point tells: the lowest of the data sheets. */
const USUAL_LIMIT_CELSIUS = 95;

export const temperature: Check = {
  id: 'temperature',
  group: 'performance',
  expected: `${MARGIN_CELSIUS} degrees or more below where the board slows down`,
  why: 'a board that throttles loses speed in the middle of a long answer',
  look: ({ thermal }) => {
    const [hottest] = [...thermal.sensors].sort(
      (a, b) => margin(a.celsius, a.throttlesAt) - margin(b.celsius, b.throttlesAt),
    );
    if (hottest === undefined) return null;
    const left = margin(hottest.celsius, hottest.throttlesAt);
    const limit = `slows down at ${hottest.throttlesAt ?? USUAL_LIMIT_CELSIUS}`;
    const found = `${hottest.name} ${hottest.celsius.toFixed(1)} C, ${limit}`;
    const fix = 'sudo jetson_clocks --fan   # or better cooling';
    if (left <= 0) return outcome('fail', found, fix);
    return left < MARGIN_CELSIUS ? outcome('warn', found, fix) : outcome('pass', found);
  },
};

const margin = (celsius: number, throttlesAt: number | null) => (throttlesAt ?? USUAL_LIMIT_CELSIUS) - celsius;

export const throttling: Check = {
  id: 'throttling',
  group: 'performance',
  expected: 'no clock held down, no over-current events since boot',
  why: 'the firmware halves the clocks for a moment at each event',
  look: ({ thermal }) => {
    const { throttling: held, numOverCurrent } = thermal;
    if (held.length > 0)
      return outcome('warn', `held down now: ${held.join(', ')}`, 'sudo jetson_clocks --fan   # or better cooling');
    if (numOverCurrent === null) return null;
    if (numOverCurrent === 0) return outcome('pass', 'no over-current events since boot');
    const fix = 'journalctl -k -g oc   # then a stronger power supply, or a lower power mode';
    return outcome('warn', `${numOverCurrent} over-current events since boot`, fix);
  },
};

export const powerRails: Check = {
  id: 'power-rails',
  group: 'performance',
  expected: 'rails below their current limits',
  why: 'above the limit the firmware throttles, whatever mode is set',
  look: ({ thermal }) => {
    const known = thermal.rails.filter(({ milliwatts }) => milliwatts !== null);
    if (known.length === 0) return null;
    const over = thermal.rails.filter(
      ({ milliamps, maxMilliamps }) => maxMilliamps !== null && (milliamps ?? 0) > maxMilliamps,
    );
    if (over.length === 0) {
      return outcome(
        'pass',
        known.map(({ name, milliwatts }) => `${name} ${((milliwatts ?? 0) / 1000).toFixed(1)} W`).join(', '),
      );
    }
    const found = over
      .map(({ name, milliamps, maxMilliamps }) => `${name} ${milliamps} mA of ${maxMilliamps} mA`)
      .join(', ');
    return outcome('warn', found, 'sudo nvpmodel -q   # then a stronger power supply, or a lower power mode');
  },
};
