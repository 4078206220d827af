/**
 * The lines that SGLang writes about its steps, in the forms of all its generations: `Decode batch. #running-req: 1, ...`
 * up to 0.4.5, `Decode batch, ...` since, with `[iteration]`, pools by name (`full token usage`) and further fields. Pure.
 */

export interface DecodeLine {
  kind: 'decode';
  /** Which scheduler wrote it: `TP0`, `DP1 TP0`; empty where there is one only. */
  rank: string;
  numRunning: number;
  usedTokens: number | null;
  /** Share of the KV cache, 0..1. */
  tokenUsage: number | null;
  /** Tokens a second. */
  genThroughput: number;
  /** Null where the line was cut off, as the guide's own are. */
  numQueued: number | null;
}

export interface PrefillLine {
  kind: 'prefill';
  rank: string;
  numNewSeqs: number;
  numNewTokens: number;
  numCachedTokens: number;
  tokenUsage: number | null;
  numRunning: number;
  numQueued: number | null;
}

export type StepLine = DecodeLine | PrefillLine;

const HEAD =
  /^(?:\([^)]{1,80}\)\s*)?\[[\d-]{10} [\d:]{8}(?:[.,]\d+)?((?: [A-Z]{2,8}\d+)*)\] (Decode|Prefill) batch(?: \[\d+\])?[.,] /;

/** Null for every other line, and for one that lacks what it is about. */
export function parseStepLine(line: string): StepLine | null {
  const head = HEAD.exec(line);
  if (head === null) return null;
  const fields = fieldsOf(line.slice(head[0].length));
  const rank = (head[1] ?? '').trim();
  const number = (...names: string[]) => {
    const text = names.map((name) => fields.get(name)).find((value) => value !== undefined);
    const value = Number.parseFloat(text ?? '');
    return Number.isFinite(value) ? value : null;
  };
  const numRunning = number('#running-req');
  const tokenUsage = number('token usage', 'full token usage');
  const numQueued = number('#queue-req');
  if (head[2] === 'Decode') {
    const genThroughput = number('gen throughput (token/s)');
    if (numRunning === null || genThroughput === null) return null;
    const usedTokens = number('#token', '#full token');
    return { kind: 'decode', rank, numRunning, usedTokens, tokenUsage, genThroughput, numQueued };
  }
  const numNewTokens = number('#new-token');
  if (numNewTokens === null) return null;
  return {
    kind: 'prefill',
    rank,
    numNewSeqs: number('#new-seq') ?? 0,
    numNewTokens,
    numCachedTokens: number('#cached-token') ?? 0,
    tokenUsage,
    numRunning: numRunning ?? 0,
    numQueued,
  };
}

/** `#running-req: 1, token usage: 0.01` */
function fieldsOf(text: string): Map<string, string> {
  const pairs = text.split(', ').map((field) => {
    const colon = field.lastIndexOf(': ');
    return colon < 0 ? [field.replace(/:$/, ''), ''] : [field.slice(0, colon), field.slice(colon + 2)];
  });
  return new Map(pairs as [string, string][]);
}
