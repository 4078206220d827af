/** What every measurement is handed: the server, the clock, and who is told. */
import { setMaxListeners } from 'node:events';
import { type JsgError, toJsgError } from '../errors.js';
import type { Clock } from './clock.js';
import { requestBody } from './request-body.js';
import type { Power } from './result.js';
import { send } from './send.js';
import { requireWell, type Target } from './target.js';
import type { Trace } from './trace.js';
import { learnVocabulary, type Vocabulary } from './words.js';

export interface Bench {
  target: Target;
  clock: Clock;
  /** Decides lengths and arrivals: the same workload on every machine. */
  seed: number;
  /** Decides the words, another in every run: no run finds the prompts of an earlier one cached. */
  salt: number;
  /** A request that takes longer has failed; undefined: it may take any time. */
  timeoutMs: number | undefined;
  /** Energy of the work between two times, and whether clocks kept still. */
  window(what: string, beginMs: number, endMs: number, tokens: number): Power | null;
  progress: Progress;
  /** Ends the run; what was measured is kept. */
  signal: AbortSignal;
}

/** Told how far a run is. */
export interface Progress {
  /** `what` is at work; `fraction`: 0..1 of the whole run; `detail`: what changes all the time. */
  update(what: string, fraction: number, detail?: string): void;
}

/** One prompt, greedily, that has to go well: throws what went wrong. The trace of one that was cancelled comes back. */
export async function complete(bench: Bench, prompt: string, maxTokens: number): Promise<Trace> {
  const { target, clock, signal, timeoutMs } = bench;
  const body = requestBody(target, [{ role: 'user', content: prompt }], maxTokens);
  const { trace } = await send(target, body, { clock, signal, timeoutMs });
  if (trace.failure?.kind !== 'cancelled') requireWell(target, trace);
  return trace;
}

/** Prompts that are sent together and all have to go well: where one does not, the others are given up. */
export async function completeAll(bench: Bench, prompts: readonly string[], maxTokens: number): Promise<Trace[]> {
  const group = new AbortController();
  const signal = AbortSignal.any([bench.signal, group.signal]);
  setMaxListeners(0, signal);
  try {
    return await Promise.all(prompts.map((prompt) => complete({ ...bench, signal }, prompt, maxTokens)));
  } catch (error) {
    group.abort();
    throw error;
  }
}

const wasCancelled = (traces: readonly Trace[]) => traces.some(({ failure }) => failure?.kind === 'cancelled');

export interface Repeats {
  /** The traces of each; fewer than asked for where the run was ended: what was measured is a measurement too. */
  runs: Trace[][];
  /** What ended them; null: nothing did, or the run itself was ended. */
  failure: JsgError | null;
}

/** The same measurement so many times, until one fails. */
export async function repeat(times: number, measure: (i: number) => Promise<Trace[]>): Promise<Repeats> {
  const runs: Trace[][] = [];
  try {
    for (let i = 0; i < times; i++) {
      const traces = await measure(i);
      if (wasCancelled(traces)) break;
      runs.push(traces);
    }
    return { runs, failure: null };
  } catch (error) {
    return { runs, failure: toJsgError(error) };
  }
}

/** A server that refuses one row of a sweep (a context too long for it, too many at a time) may well take the next. */
export const isRefusal = ({ code }: JsgError) => code === 'E_INVALID_REQUEST' || code === 'E_QUEUE_FULL';

/** Words of which the server says that each is a token. */
export function vocabularyOf(bench: Bench): Promise<Vocabulary> {
  return learnVocabulary(async (text) => (await complete(bench, text, 1)).promptTokens);
}
