/** Decoding by number of streams and by context, over HTTP. */
import type { JsgError } from '../errors.js';
import { type Bench, completeAll, isRefusal, repeat, vocabularyOf } from './bench.js';
import { bytesPerToken, decodeRate, meanContext, ranApart } from './figures.js';
import { measurePrefill } from './prefill.js';
import { seededRandom } from './random.js';
import type { DecodeRow, PrefillRow } from './result.js';
import { median, spread } from './stats.js';
import { type Trace, timeToFirstTokenMs } from './trace.js';
import { makePrompt, type Vocabulary } from './words.js';

export interface DecodeWorkload {
  /** Numbers of parallel streams. */
  batches: number[];
  /** Tokens of the prompts that decoding starts from. */
  contexts: number[];
  /** Tokens each stream decodes. */
  maxTokens: number;
  repeats: number;
  /** Length of the one prompt whose prefill is measured beside it; null: none. */
  promptTokens: number | null;
}

export interface DecodeFigures {
  decode: DecodeRow[];
  prefill: PrefillRow | null;
  notes: string[];
  /** What ended the run before its time. */
  failure: JsgError | null;
}

export async function measureDecode(bench: Bench, workload: DecodeWorkload): Promise<DecodeFigures> {
  const { batches, contexts, repeats, promptTokens } = workload;
  const words = await vocabularyOf(bench);
  const random = seededRandom(bench.salt);
  const rows = contexts.flatMap((context) => batches.map((batch) => ({ batch, context })));
  const numSteps = (rows.length + (promptTokens === null ? 0 : 1)) * repeats;
  const figures: DecodeFigures = { decode: [], prefill: null, notes: [], failure: null };
  for (const [i, { batch, context }] of rows.entries()) {
    const what = contexts.length > 1 ? `batch ${batch}, context ${context}` : `batch ${batch}`;
    const streams = () => Array.from({ length: batch }, () => makePrompt(words, context, random));
    const beginMs = bench.clock.now();
    const { runs, failure } = await repeat(repeats, (k) => {
      bench.progress.update(`decode, ${what}`, (i * repeats + k) / numSteps);
      return completeAll(bench, streams(), workload.maxTokens);
    });
    if (runs.length > 0) {
      const tokens = runs.flat().reduce((sum, { completionTokens }) => sum + completionTokens, 0);
      const power = bench.window(`decode, ${what}`, beginMs, bench.clock.now(), tokens);
      const row = { ...summarise(bench, batch, runs), power };
      figures.decode.push(row);
      if (row.tokensPerSecond === null) figures.notes.push(`${what}: ${whyNoRate(runs)}`);
      figures.notes.push(...doubts(what, runs.flat(), workload.maxTokens));
    }
    if (failure !== null && isRefusal(failure)) {
      figures.notes.push(`${what}: not measured, ${failure.message}`);
    } else if (failure !== null) {
      if (figures.decode.length === 0) throw failure;
      return { ...figures, failure };
    }
    if (bench.signal.aborted) return figures;
  }
  if (promptTokens === null) return figures;
  return {
    ...figures,
    ...(await onePrefill(bench, workload, words, figures.notes, (rows.length * repeats) / numSteps)),
  };
}

function summarise({ target }: Bench, batch: number, runs: Trace[][]): Omit<DecodeRow, 'power'> {
  const rates = runs.map(decodeRate).filter((rate) => rate !== null);
  const traces = runs.flat();
  const tokensPerSecond = median(rates);
  const { weightBytes, kvBytesPerToken } = target;
  const bytes =
    weightBytes === null || kvBytesPerToken === null
      ? null
      : bytesPerToken(weightBytes, kvBytesPerToken, batch, median(traces.map(meanContext)) ?? 0);
  return {
    batch,
    promptTokens: median(traces.flatMap(({ promptTokens }) => promptTokens ?? [])),
    tokensPerSecond,
    spread: spread(rates),
    repeats: rates,
    ttftMs: median(traces.flatMap((trace) => timeToFirstTokenMs(trace) ?? [])),
    bytesPerToken: bytes,
    bandwidthGBs: bytes === null || tokensPerSecond === null ? null : (tokensPerSecond * bytes) / 1e9,
    share: null,
  };
}

/** The rows with their share of what the memory can be read at. */
export function withShares(rows: readonly DecodeRow[], readBandwidthGBs: number | null): DecodeRow[] {
  return rows.map((row) => ({
    ...row,
    share: row.bandwidthGBs === null || readBandwidthGBs === null ? null : row.bandwidthGBs / readBandwidthGBs,
  }));
}

function whyNoRate(runs: readonly Trace[][]): string {
  return runs.some(ranApart)
    ? 'some streams had ended before others began, so there is no rate of all together: more --max-tokens would let them meet'
    : 'text arrived at once or in bursts: there is no rate to be seen';
}

function doubts(what: string, traces: Trace[], maxTokens: number): string[] {
  const short = traces.filter((trace) => trace.completionTokens < maxTokens).length;
  const notes = [];
  if (short > 0) notes.push(`${what}: ${short} of ${traces.length} streams ended before ${maxTokens} tokens`);
  if (traces.some(({ countedBy }) => countedBy === 'pieces')) {
    notes.push(`${what}: the server sends no usage; a piece of text was counted as one token`);
  }
  return notes;
}

async function onePrefill(
  bench: Bench,
  { promptTokens, repeats }: DecodeWorkload,
  words: Vocabulary,
  notes: string[],
  fraction: number,
): Promise<{ prefill: PrefillRow | null; failure: JsgError | null }> {
  const random = seededRandom(~bench.salt);
  const asked = { batch: 1, promptTokens: promptTokens ?? 0, repeats };
  const tell = (what: string) => bench.progress.update(what, fraction);
  const { row, notes: more, failure } = await measurePrefill(bench, asked, words, random, tell);
  notes.push(...more);
  return { prefill: row, failure };
}
