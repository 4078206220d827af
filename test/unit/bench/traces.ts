/** Traces for tests. */
import type { Trace } from '../../../src/bench/trace.js';

/** A request that went well, with what matters to a test. */
export function trace(what: Partial<Trace>): Trace {
  const startMs = what.startMs ?? 0;
  const pieceMs = what.pieceMs ?? [];
  return {
    startMs,
    sentMs: startMs,
    pieceMs,
    firstShare: 1 / pieceMs.length,
    endMs: pieceMs.at(-1) ?? startMs,
    promptTokens: 1,
    cachedTokens: null,
    completionTokens: pieceMs.length,
    countedBy: 'usage',
    finishReason: 'length',
    failure: null,
    ...what,
  };
}
