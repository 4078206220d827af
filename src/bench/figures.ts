/** Figures from what was observed. Pure; times in milliseconds on one clock. */

/** What one stream showed a client. */
export interface Trace {
  /** When the request was sent. */
  startMs: number;
  /** When each piece of text arrived, in order. */
  pieceMs: number[];
  promptTokens: number;
  completionTokens: number;
}

/** Middle of the sorted values; the mean of the two middle ones of an even count. NaN for none. */
export function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  if (sorted.length % 2 === 1) return sorted[Math.floor(middle)] ?? Number.NaN;
  return ((sorted[middle - 1] ?? Number.NaN) + (sorted[middle] ?? Number.NaN)) / 2;
}

export function timeToFirstTokenMs(trace: Trace): number {
  return (trace.pieceMs[0] ?? Number.NaN) - trace.startMs;
}

/**
 * Tokens a second of all streams together, over the time in which every one of them was decoding: from the last first
 * piece to the first last piece. A piece may hold several tokens (or a token no text), so each counts for the stream's
 * mean. With one stream: the tokens after the first, by the time between first and last. NaN when there is no such time.
 */
export function decodeRate(traces: Trace[]): number {
  const beginMs = Math.max(...traces.map((trace) => trace.pieceMs[0] ?? Number.NaN));
  const endMs = Math.min(...traces.map((trace) => trace.pieceMs.at(-1) ?? Number.NaN));
  if (!(endMs > beginMs)) return Number.NaN;
  let tokens = 0;
  for (const { pieceMs, completionTokens } of traces) {
    const pieces = pieceMs.filter((at) => at > beginMs && at <= endMs).length;
    tokens += (pieces * (completionTokens - 1)) / (pieceMs.length - 1);
  }
  return (tokens * 1000) / (endMs - beginMs);
}

/** Prompt tokens a second, counted from sending the request to its first token (so that token's step is included). */
export function prefillRate(trace: Trace): number {
  return (trace.promptTokens * 1000) / timeToFirstTokenMs(trace);
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
export function meanContext(trace: Trace): number {
  return trace.promptTokens + trace.completionTokens / 2;
}
