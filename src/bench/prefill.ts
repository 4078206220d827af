/** Prefill by prompt length and by number of prompts that come together, over HTTP. */
import { type Bench, complete, unlessRefused, vocabularyOf, wasCancelled } from './bench.js';
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
}

export async function measurePrefills(bench: Bench, workload: PrefillWorkload): Promise<PrefillFigures> {
  const words = await vocabularyOf(bench);
  const random = seededRandom(bench.salt);
  const rows = workload.batches.flatMap((batch) =>
    workload.promptTokens.map((promptTokens) => ({ batch, promptTokens })),
  );
  // A row takes about as long as it has tokens.
  const total = rows.reduce((sum, row) => sum + row.batch * row.promptTokens, 0);
  const figures: PrefillFigures = { prefill: [], notes: [] };
  let done = 0;
  for (const { batch, promptTokens } of rows) {
    const tell = (what: string, share: number) =>
      bench.progress.update(what, (done + share * batch * promptTokens) / total);
    const asked = { batch, promptTokens, repeats: workload.repeats };
    const what = `${batch} x ${promptTokens} tokens`;
    const measure = () => measurePrefill(bench, asked, words, random, tell);
    const measured = await unlessRefused(what, figures.notes, measure);
    if (measured?.note) figures.notes.push(measured.note);
    if (measured !== null && measured.row === null) break;
    if (measured?.row) figures.prefill.push(measured.row);
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

/** Prompts sent together, one token to generate. `row` null: cancelled, or not to be measured, as `note` says. */
export async function measurePrefill(
  bench: Bench,
  { batch, promptTokens, repeats }: Asked,
  words: Vocabulary,
  random: Random,
  tell: (what: string, share: number) => void,
): Promise<{ row: PrefillRow | null; note: string | null }> {
  const what = `prefill of ${batch > 1 ? `${batch} x ` : ''}${promptTokens} tokens`;
  const beginMs = bench.clock.now();
  const runs: Trace[][] = [];
  for (let i = 0; i < repeats; i++) {
    tell(what, i / repeats);
    const prompts = Array.from({ length: batch }, () => makePrompt(words, promptTokens, random));
    const traces = await Promise.all(prompts.map((prompt) => complete(bench, prompt, 1)));
    if (wasCancelled(traces)) return { row: null, note: null };
    runs.push(traces);
  }
  const traces = runs.flat();
  const counted = traces.flatMap((trace) => trace.promptTokens ?? []);
  const rates = runs.map(prefillRate).filter((rate) => rate !== null);
  const tokensPerSecond = median(rates);
  const ttftMs = median(traces.flatMap((trace) => timeToFirstTokenMs(trace) ?? []));
  if (tokensPerSecond === null || ttftMs === null || counted.length < traces.length) {
    return { row: null, note: 'prefill: not measured, the server sends no usage' };
  }
  const tokens = counted.reduce((sum, count) => sum + count, 0);
  const power = bench.window(what, beginMs, bench.clock.now(), tokens);
  const middle = median(counted) ?? 0;
  const row = { batch, promptTokens: middle, tokensPerSecond, spread: spread(rates), ttftMs, peakShare: null, power };
  return { row, note: doubtOf(what, promptTokens, traces) };
}

function doubtOf(what: string, promptTokens: number, traces: readonly Trace[]): string | null {
  const counted = median(traces.flatMap((trace) => trace.promptTokens ?? []));
  if (counted !== promptTokens) return `${what}: the prompts have ${counted}, by the server's count`;
  const cached = traces.reduce((sum, { cachedTokens }) => sum + (cachedTokens ?? 0), 0);
  return cached > 0 ? `${what}: ${cached} tokens came from the server's prefix cache` : null;
}
