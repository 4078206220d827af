/** What one request showed a client, and its latencies. Pure; times in milliseconds on one clock. */

export interface Trace {
  /** When the request was due: latencies count from here, so that a client that falls behind hides nothing. */
  startMs: number;
  /** When it went out. */
  sentMs: number;
  /** When each piece of text arrived, in order; pieces of one read from the network have the same time. */
  pieceMs: number[];
  /** Share of the answer's text that was in its first piece; 1 for an answer without text. */
  firstShare: number;
  /** When the answer was complete. */
  endMs: number;
  /** By the server's usage; null: it tells none. */
  promptTokens: number | null;
  /** Of them, what the server took from its prefix cache; null: it does not tell. */
  cachedTokens: number | null;
  /** By the server's usage; without it, the number of pieces. */
  completionTokens: number;
  countedBy: 'usage' | 'pieces';
  finishReason: string | null;
  /** Null: it went well. */
  failure: Failure | null;
}

export interface Failure {
  /** `connection`, `http 429`, `stream`, `empty`, `cut off`, `timeout`, `cancelled` */
  kind: string;
  message: string;
}

export function timeToFirstTokenMs({ startMs, pieceMs }: Trace): number | null {
  return pieceMs[0] === undefined ? null : pieceMs[0] - startMs;
}

/**
 * Times between arrivals of text. What arrives at once is one arrival, whether it is one piece of many tokens or many
 * pieces in one read: no gap is divided among tokens that nobody saw one by one.
 */
export function interTokenGapsMs({ pieceMs }: Trace): number[] {
  const gaps: number[] = [];
  for (let i = 1; i < pieceMs.length; i++) {
    const gap = (pieceMs[i] as number) - (pieceMs[i - 1] as number);
    if (gap > 0) gaps.push(gap);
  }
  return gaps;
}

/** Arrivals of text; pieces that came at once are one. */
export function numArrivals(trace: Trace): number {
  return trace.pieceMs.length === 0 ? 0 : interTokenGapsMs(trace).length + 1;
}

/** Mean time of a token after the first; null where there is only one, or all came at once. */
export function timePerOutputTokenMs({ pieceMs, completionTokens }: Trace): number | null {
  const [first, last] = [pieceMs[0], pieceMs.at(-1)];
  if (first === undefined || last === undefined || completionTokens < 2 || last === first) return null;
  return (last - first) / (completionTokens - 1);
}

export function endToEndMs({ startMs, endMs }: Trace): number {
  return endMs - startMs;
}
