/** Notices that nobody answers any more: what is still to be sent would fail all the same, for as long as a level lasts. */
import { setMaxListeners } from 'node:events';
import { type JsgError, toJsgError } from '../errors.js';
import { type Bench, complete } from './bench.js';
import type { Trace } from './trace.js';

/** Lost connections in a row before the server is asked whether it is there. */
const MANY_LOST = 20;
/** A server that is there, and busy, has until then to say so. */
const ANSWERS_WITHIN_MS = 10_000;

const isLost = ({ failure }: Trace) => failure?.kind === 'connection';

export class LossWatch {
  /** Of the run, and of this. */
  readonly signal: AbortSignal;
  readonly #gone = new AbortController();
  #numLost = 0;
  #asked: Promise<void> | null = null;
  #failure: JsgError | null = null;

  constructor(private readonly bench: Bench) {
    this.signal = AbortSignal.any([bench.signal, this.#gone.signal]);
    setMaxListeners(0, this.signal);
  }

  /** Told how each request went. */
  saw(traces: readonly Trace[]): void {
    for (const trace of traces) this.#numLost = isLost(trace) ? this.#numLost + 1 : 0;
    if (this.#numLost >= MANY_LOST) void this.#ask();
  }

  /** At the end: what the server was lost with; null: it answers, or nothing was lost of late. */
  async verdict(): Promise<JsgError | null> {
    if (this.#numLost > 0) await this.#ask();
    return this.#failure;
  }

  #ask(): Promise<void> {
    this.#asked ??= this.#probe().finally(() => {
      this.#asked = null;
    });
    return this.#asked;
  }

  async #probe(): Promise<void> {
    if (this.#failure !== null) return;
    try {
      await complete({ ...this.bench, timeoutMs: ANSWERS_WITHIN_MS }, 'Hello', 1);
      this.#numLost = 0;
    } catch (error) {
      const failure = toJsgError(error);
      if (failure.code !== 'E_UNAVAILABLE') return;
      this.#failure = failure;
      this.#gone.abort();
    }
  }
}
