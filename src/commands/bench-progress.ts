/** How far a bench is, on stderr: one line that is written over on a terminal, now and then a plain line elsewhere. */
import type { Progress } from '../bench/bench.js';
import { describeProgress } from '../bench/eta.js';

export interface BenchProgress extends Progress {
  /** Something to be read, that stays. */
  tell(line: string): void;
  /** Takes the line away. */
  end(): void;
}

const PLAIN_INTERVAL_MS = 5000;
/** A spinner would take its share of the cores that are measured. */
const TERMINAL_INTERVAL_MS = 200;
const CLEAR_LINE = '\r\x1b[K';

export function benchProgress(
  stream: NodeJS.WriteStream = process.stderr,
  now: () => number = Date.now,
): BenchProgress {
  const isTerminal = stream.isTTY === true && stream.columns > 0;
  const interval = isTerminal ? TERMINAL_INTERVAL_MS : PLAIN_INTERVAL_MS;
  let beginMs: number | null = null;
  let shownMs = Number.NEGATIVE_INFINITY;
  let shownWhat = '';
  return {
    tell(line) {
      stream.write(`${isTerminal ? CLEAR_LINE : ''}${line}\n`);
    },
    update(what, fraction, detail) {
      beginMs ??= now();
      if (what === shownWhat && now() - shownMs < interval) return;
      [shownMs, shownWhat] = [now(), what];
      const line = [`measuring ${what}`, detail, describeProgress(fraction, now() - beginMs)]
        .filter(Boolean)
        .join(', ');
      stream.write(isTerminal ? `${CLEAR_LINE}${line.slice(0, stream.columns - 1)}` : `${line}\n`);
    },
    end() {
      if (isTerminal) stream.write(CLEAR_LINE);
    },
  };
}
