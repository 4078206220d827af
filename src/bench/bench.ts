/** What every measurement is handed: the server, the clock, and who is told. */
import { JsgError } from '../errors.js';
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
export async function complete({ target, clock, signal }: Bench, prompt: string, maxTokens: number): Promise<Trace> {
  const body = requestBody(target, [{ role: 'user', content: prompt }], maxTokens);
  const { trace } = await send(target, body, { clock, signal });
  if (trace.failure?.kind !== 'cancelled') requireWell(target, trace);
  return trace;
}

export const wasCancelled = (traces: readonly Trace[]) => traces.some(({ failure }) => failure?.kind === 'cancelled');

/** What a server refuses of a sweep is left out of it and noted: a context that is too long for it. Null: refused. */
export async function unlessRefused<T>(what: string, notes: string[], work: () => Promise<T>): Promise<T | null> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof JsgError) || error.code !== 'E_INVALID_REQUEST') throw error;
    notes.push(`${what}: not measured, ${error.message}`);
    return null;
  }
}

/** Words of which the server says that each is a token. */
export function vocabularyOf(bench: Bench): Promise<Vocabulary> {
  return learnVocabulary(async (text) => (await complete(bench, text, 1)).promptTokens);
}
