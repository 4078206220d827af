/** The measurement: warm up, then each figure several times. */
import { randomInt } from 'node:crypto';
import {
  bytesPerToken,
  decodeRate,
  meanContext,
  median,
  prefillRate,
  type Trace,
  timeToFirstTokenMs,
} from './figures.js';
import { Prompts } from './prompts.js';
import { chooseEndpoint, traceCompletion } from './stream.js';
import type { Target } from './target.js';

export interface Workload {
  /** Numbers of parallel streams. */
  batches: number[];
  promptTokens: number;
  /** Tokens each stream decodes. */
  maxTokens: number;
  repeats: number;
}

export interface DecodeFigures {
  batch: number;
  tokensPerSecond: number;
  ttftMs: number;
  /** Null where the server does not tell its sizes. */
  bytesPerToken: number | null;
  bandwidthGBs: number | null;
  /** Of the read bandwidth measured in the same run. */
  share: number | null;
}

export interface PrefillFigures {
  promptTokens: number;
  tokensPerSecond: number;
  ttftMs: number;
}

export interface Figures {
  decode: DecodeFigures[];
  prefill: PrefillFigures | null;
  /** What could not be measured, and why. */
  notes: string[];
}

/** Words of the short prompts that decoding starts from. */
const SHORT_WORDS = 16;

export async function measure(
  target: Target,
  workload: Workload,
  readBandwidthGBs: number | null,
  onProgress: (what: string) => void,
): Promise<Figures> {
  const prompts = new Prompts(randomInt(1e6));
  const notes: string[] = [];
  onProgress('warm-up');
  const hasCompletions = await chooseEndpoint(target, prompts.next(SHORT_WORDS), workload.maxTokens);
  if (!hasCompletions) notes.push('no /v1/completions: measured over /v1/chat/completions');

  const decode: DecodeFigures[] = [];
  for (const batch of workload.batches) {
    onProgress(`decode, batch ${batch}`);
    const runs: Trace[][] = [];
    for (let i = 0; i < workload.repeats; i++) {
      const streams = Array.from({ length: batch }, () => prompts.next(SHORT_WORDS));
      runs.push(await Promise.all(streams.map((prompt) => traceCompletion(target, prompt, workload.maxTokens))));
    }
    decode.push(summarise(target, batch, runs, readBandwidthGBs));
    notes.push(...doubts(batch, runs.flat(), workload.maxTokens));
  }
  onProgress(`prefill of ${workload.promptTokens} tokens`);
  const prefill = await measurePrefill(target, workload, prompts, notes);
  return { decode, prefill, notes };
}

function summarise(target: Target, batch: number, runs: Trace[][], readBandwidthGBs: number | null): DecodeFigures {
  const tokensPerSecond = median(runs.map(decodeRate));
  const ttftMs = median(runs.flat().map(timeToFirstTokenMs));
  const { weightBytes, kvBytesPerToken } = target;
  if (weightBytes === null || kvBytesPerToken === null) {
    return { batch, tokensPerSecond, ttftMs, bytesPerToken: null, bandwidthGBs: null, share: null };
  }
  const bytes = bytesPerToken(weightBytes, kvBytesPerToken, batch, median(runs.flat().map(meanContext)));
  const bandwidthGBs = (tokensPerSecond * bytes) / 1e9;
  const share = readBandwidthGBs === null ? null : bandwidthGBs / readBandwidthGBs;
  return { batch, tokensPerSecond, ttftMs, bytesPerToken: bytes, bandwidthGBs, share };
}

function doubts(batch: number, traces: Trace[], maxTokens: number): string[] {
  const short = traces.filter((trace) => trace.completionTokens < maxTokens).length;
  const notes = [];
  if (short > 0) notes.push(`batch ${batch}: ${short} of ${traces.length} streams ended before ${maxTokens} tokens`);
  if (traces.some((trace) => Number.isNaN(trace.promptTokens))) {
    notes.push(`batch ${batch}: the server sends no usage; a piece of text was counted as one token`);
  }
  return notes;
}

/** One request at a time, with one token to generate; the words are scaled until they make the tokens asked for. */
async function measurePrefill(
  target: Target,
  { promptTokens, repeats }: Workload,
  prompts: Prompts,
  notes: string[],
): Promise<PrefillFigures | null> {
  const probe = await traceCompletion(target, prompts.next(promptTokens / 2), 1);
  if (Number.isNaN(probe.promptTokens)) {
    notes.push('prefill: not measured, the server sends no usage');
    return null;
  }
  const words = Math.max(1, Math.round((promptTokens * (promptTokens / 2)) / probe.promptTokens));
  const traces: Trace[] = [];
  for (let i = 0; i < repeats; i++) traces.push(await traceCompletion(target, prompts.next(words), 1));
  return {
    promptTokens: median(traces.map((trace) => trace.promptTokens)),
    tokensPerSecond: median(traces.map(prefillRate)),
    ttftMs: median(traces.map(timeToFirstTokenMs)),
  };
}
