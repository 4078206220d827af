/** Prefill by prompt length and by number of prompts that come together, over HTTP. */
import type { JsgError } from '../errors.js';
import { type Bench, completeAll, isRefusal, repeat, vocabularyOf } from './bench.js';
import { prefillRate } from './figures.js';
import { type Random, seededRandom } from './random.js';
import type { PrefillRow } from './result.js';
import { median, spread } from './stats.js';
import { type Trace, timeToFirstTokenMs } from './trace.js';
import { makePrompt, type Vocabulary } from './words.js';

export interface PrefillWorkload {
  promptTokens: number[];
  batches: number[];
  repeats: number;
}

export interface PrefillFigures {
  prefill: PrefillRow[];
  notes: string[];
  /** What ended the run before its time. */
  failure: JsgError | null;
}

export async function measurePrefills(bench: Bench, workload: PrefillWorkload): Promise<PrefillFigures> {
  const words = await vocabularyOf(bench);
  const random = seededRandom(bench.salt);
  const rows = workload.batches.flatMap((batch) =>
    workload.promptTokens.map((promptTokens) => ({ batch, promptTokens })),
  );
  // A row takes about as long as it has tokens.
  const total = rows.reduce((sum, row) => sum + row.batch * row.promptTokens, 0);
  const figures: PrefillFigures = { prefill: [], notes: [], failure: null };
  let done = 0;
  for (const { batch, promptTokens } of rows) {
    const tell = (what: string, share: number) =>
      bench.progress.update(what, (done + share * batch * promptTokens) / total);
    const asked = { batch, promptTokens, repeats: workload.repeats };
    const { row, notes, isLast, failure } = await measurePrefill(bench, asked, words, random, tell);
    figures.notes.push(...notes);
    if (row !== null) figures.prefill.push(row);
    if (failure !== null) {
      if (figures.prefill.length === 0) throw failure;
      return { ...figures, failure };
    }
    if (isLast) break;
    done += batch * promptTokens;
  }
  return figures;
}

/** Rows with their share of what the tensor cores could do; `peakOf`: tokens a second at so many tokens a prompt. */
export function withPeaks(rows: readonly PrefillRow[], peakOf: (tokens: number) => number | null): PrefillRow[] {
  return rows.map((row) => {
    const peak = peakOf(row.promptTokens);
    return { ...row, peakShare: peak === null ? null : row.tokensPerSecond / peak };
  });
}

interface Asked {
  batch: number;
  promptTokens: number;
  repeats: number;
}

interface Measured {
  /** Null: ended before anything was measured, or not to be measured, as `notes` say. */
  row: PrefillRow | null;
  notes: string[];
  /** Other rows are not to be measured either. */
  isLast: boolean;
  failure: JsgError | null;
}

/** Prompts sent together, one token to generate. */
export async function measurePrefill(
  bench: Bench,
  { batch, promptTokens, repeats }: Asked,
  words: Vocabulary,
  random: Random,
  tell: (what: string, share: number) => void,
): Promise<Measured> {
  const what = `prefill of ${batch > 1 ? `${batch} x ` : ''}${promptTokens} tokens`;
  const beginMs = bench.clock.now();
  const prompts = () => Array.from({ length: batch }, () => makePrompt(words, promptTokens, random));
  const { runs, failure } = await repeat(repeats, (i) => {
    tell(what, i / repeats);
    return completeAll(bench, prompts(), 1);
  });
  const notes = failure !== null && isRefusal(failure) ? [`${what}: not measured, ${failure.message}`] : [];
  const ended = { notes, failure: notes.length > 0 ? null : failure, isLast: bench.signal.aborted };
  if (runs.length === 0) return { ...ended, row: null };
  const figures = summarise(runs);
  if (figures === null) {
    return { ...ended, row: null, notes: ['prefill: not measured, the server sends no usage'], isLast: true };
  }
  const { tokens, ...row } = figures;
  const power = bench.window(what, beginMs, bench.clock.now(), tokens);
  notes.push(...doubtsOf(what, promptTokens, runs.flat()));
  return { ...ended, row: { batch, ...row, peakShare: null, power } };
}

/** Null: the server does not count prompts. `tokens`: of all prompts together. */
function summarise(runs: readonly Trace[][]) {
  const traces = runs.flat();
  const counted = traces.flatMap((trace) => trace.promptTokens ?? []);
  const rates = runs.map(prefillRate).filter((rate) => rate !== null);
  const tokensPerSecond = median(rates);
  const ttftMs = median(traces.flatMap((trace) => timeToFirstTokenMs(trace) ?? []));
  const promptTokens = median(counted);
  if (tokensPerSecond === null || ttftMs === null || promptTokens === null || counted.length < traces.length) {
    return null;
  }
  const tokens = counted.reduce((sum, count) => sum + count, 0);
  return { promptTokens, tokensPerSecond, spread: spread(rates), repeats: rates, ttftMs, tokens };
}

function doubtsOf(what: string, promptTokens: number, traces: readonly Trace[]): string[] {
  const counted = median(traces.flatMap((trace) => trace.promptTokens ?? []));
  if (counted !== promptTokens) return [`${what}: the prompts have ${counted}, by the server's count`];
  const cached = traces.reduce((sum, { cachedTokens }) => sum + (cachedTokens ?? 0), 0);
  return cached > 0 ? [`${what}: ${cached} tokens came from the server's prefix cache`] : [];
}
