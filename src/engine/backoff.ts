/** When a server that failed is started again. Pure. */

const FIRST_MS = 1000;
const LONGEST_MS = 60_000;
/** Failures in a row after which it is given up. */
const MAX_FAILURES = 5;
/** A run as long as this makes what came before forgotten. */
const HEALTHY_MS = 10 * 60_000;

export class Backoff {
  #failures = 0;

  /** `servedMs`: how long it had served. How long to wait, ms: 1 s, 2 s, 4 s, ...; null: give up. */
  next(servedMs: number): number | null {
    if (servedMs >= HEALTHY_MS) this.#failures = 0;
    this.#failures++;
    if (this.#failures > MAX_FAILURES) return null;
    return Math.min(LONGEST_MS, FIRST_MS * 2 ** (this.#failures - 1));
  }

  get failures(): number {
    return this.#failures;
  }
}
