/** What a fault costs, in the words of a finding. */
import type { SpeedFacts } from './facts.js';

/** `; predicted for an 8B model in int4: 17.3 tok/s instead of 30.8 (-44 %)`, or nothing where it is not known. */
export function lossBetween(speed: SpeedFacts | null, now: number | null, best: number | null): string {
  if (speed === null || now === null || best === null || best <= 0 || now >= best) return '';
  const share = Math.round(100 * (1 - now / best));
  return `; predicted for ${speed.workload}: ${now.toFixed(1)} tok/s instead of ${best.toFixed(1)} (-${share} %)`;
}
