/** A limit on what expressions may take to work on, for all those of one schema together. */

/** The limit of `limitWork` is used up. */
export class TooMuchWork extends Error {}

let left = Number.POSITIVE_INFINITY;

/** Runs something synchronous that may do so many steps of `work`; inside another limit that one counts. */
export function limitWork<T>(steps: number, run: () => T): T {
  if (left !== Number.POSITIVE_INFINITY) return run();
  left = steps;
  try {
    return run();
  } finally {
    left = Number.POSITIVE_INFINITY;
  }
}

/** Throws TooMuchWork. A step is a handful of operations. */
export function work(steps: number): void {
  left -= steps;
  if (left < 0) throw new TooMuchWork();
}
