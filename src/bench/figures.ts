/** Rates from what was observed, and the bytes they took. Pure; times in milliseconds on one clock. */
import { type Trace, timeToFirstTokenMs } from './trace.js';

/** Pieces of one read, on average: a client that is slow now and then finds a few. */
const MOST_AT_ONCE = 8;
/** With fewer pieces a token, pieces hold several: a token without text is seldom. */
const FEWEST_PIECES = 0.9;

/**
 * Tokens a second of all streams together, over the time in which every one of them was decoding: from the last first
 * piece to the first last piece. A piece may hold several tokens (or a token no text), so each counts for the stream's
 * mean. With one stream: the tokens after the first piece, by the time between first and last. Null when there is no such time,
 * or when text came in bursts of many pieces: then it was held back somewhere, and the time between bursts is not that of
 * making it.
 */
export function decodeRate(traces: readonly Trace[]): number | null {
  const [beginMs, endMs] = timeTogether(traces);
  if (!(endMs > beginMs)) return null;
  let tokens = 0;
  for (const trace of traces) {
    const { pieceMs } = trace;
    const pieces = pieceMs.filter((at) => at > beginMs && at <= endMs);
    if (pieces.length > MOST_AT_ONCE * new Set(pieces).size) return null;
    tokens += (pieces.length * tokensAfterFirst(trace)) / (pieceMs.length - 1);
  }
  return (tokens * 1000) / (endMs - beginMs);
}

/** When all were decoding: none of the time where the end is not after the beginning. */
function timeTogether(traces: readonly Trace[]): [beginMs: number, endMs: number] {
  const beginMs = Math.max(...traces.map((trace) => trace.pieceMs[0] ?? Number.NaN));
  const endMs = Math.min(...traces.map((trace) => trace.pieceMs.at(-1) ?? Number.NaN));
  return [beginMs, endMs];
}

/** Some streams had ended before others began: while prompts are read, or one after the other where a server takes no more. */
export function ranApart(traces: readonly Trace[]): boolean {
  const [beginMs, endMs] = timeTogether(traces);
  return traces.length > 1 && endMs < beginMs;
}

/** Tokens of the pieces after the first, which was made before their time began: it has one, or its share of the text. */
function tokensAfterFirst({ pieceMs, completionTokens, firstShare }: Trace): number {
  const isTokens = pieceMs.length >= FEWEST_PIECES * completionTokens;
  return completionTokens - (isTokens ? 1 : Math.max(1, completionTokens * firstShare));
}

/**
 * Prompt tokens a second of prompts that were sent together, from sending the first to the first token of the last (so that
 * token's step is included). Null where the server does not count them.
 */
export function prefillRate(traces: readonly Trace[]): number | null {
  const beginMs = Math.min(...traces.map(({ startMs }) => startMs));
  const endMs = Math.max(...traces.map((trace) => trace.startMs + (timeToFirstTokenMs(trace) ?? Number.NaN)));
  const tokens = traces.reduce((sum, { promptTokens }) => sum + (promptTokens ?? Number.NaN), 0);
  const rate = (tokens * 1000) / (endMs - beginMs);
  return Number.isFinite(rate) ? rate : null;
}

/**
 * Bytes that must be read for each decoded token: the weights once a step for all `batch` streams, the keys and values
 * of every position for each.
 * @param context mean number of positions a stream looks back on
 */
export function bytesPerToken(weightBytes: number, kvBytesPerToken: number, batch: number, context: number): number {
  return weightBytes / batch + kvBytesPerToken * context;
}

/** Mean number of positions that decoding looks back on: the prompt and half of the answer. */
export function meanContext({ promptTokens, completionTokens }: Trace): number {
  return (promptTokens ?? 0) + completionTokens / 2;
}
