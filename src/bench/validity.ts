/** Whether a run's figures may be quoted. Pure. */
import type { Movement } from './power.js';
import type { Conditions } from './result.js';

const NAMES = { cpuMhz: 'CPU', gpuMhz: 'GPU', emcMhz: 'memory' } as const;
const CLOCKS = Object.keys(NAMES) as (keyof typeof NAMES)[];

/** `1300` -> `1,300 MHz` */
const mhz = (value: number) => `${Math.round(value).toLocaleString('en-US')} MHz`;

/** What changed between before and after that figures depend on. `tolerance`: 0.05 is 5 %. */
export function changesOf(before: Conditions, after: Conditions, tolerance: number): string[] {
  const moved = (a: number | null, b: number | null) => a !== null && b !== null && Math.abs(b / a - 1) > tolerance;
  const reasons: string[] = [];
  if (before.powerMode !== after.powerMode) {
    reasons.push(`the power mode changed from ${before.powerMode ?? 'unknown'} to ${after.powerMode ?? 'unknown'}`);
  }
  for (const clock of CLOCKS) {
    const [ceiling, ceilingNow] = [before.ceilings[clock], after.ceilings[clock]];
    const [running, runningNow] = [before.clocks[clock], after.clocks[clock]];
    if (moved(ceiling, ceilingNow)) {
      reasons.push(`the ${NAMES[clock]}'s highest clock moved from ${mhz(ceiling ?? 0)} to ${mhz(ceilingNow ?? 0)}`);
    } else if (before.isLocked && moved(running, runningNow)) {
      reasons.push(`the ${NAMES[clock]}'s locked clock moved from ${mhz(running ?? 0)} to ${mhz(runningNow ?? 0)}`);
    }
  }
  if (before.isLocked && after.isLocked === false) reasons.push('the clocks were locked before and are not after');
  const [overCurrent, overCurrentNow] = [before.numOverCurrent, after.numOverCurrent];
  if (overCurrent !== null && overCurrentNow !== null && overCurrentNow > overCurrent) {
    reasons.push(`the supply's current limit throttled the board ${overCurrentNow - overCurrent} times`);
  }
  return reasons;
}

/** `during`: names of all that was seen to throttle while measuring. */
export function throttledBy(during: readonly string[]): string[] {
  const names = [...new Set(during)].filter((name) => name !== 'power cap');
  return names.length === 0 ? [] : [`throttled while measuring: ${names.join(', ')}`];
}

/** `what`: the work during which it moved: `decode, batch 8`. */
export function movedDuring(what: string, moved: readonly Movement[]): string[] {
  return moved.map(
    ({ clock, fromMhz, toMhz }) =>
      `the ${NAMES[clock]}'s clock moved from ${mhz(fromMhz)} to ${mhz(toMhz)} during ${what}`,
  );
}
