/** The text of /metrics. Pure. */

/** Sample -> value, labels left out: the first of each name, which here is the only one. */
export function parseMetrics(text: string): Map<string, number> {
  const values = new Map<string, number>();
  for (const line of text.split('\n')) {
    const match = /^([a-zA-Z_:][\w:]*)(?:\{.*\})?\s+(\S+)/.exec(line);
    const name = match?.[1];
    const value = Number(match?.[2]);
    if (name !== undefined && Number.isFinite(value) && !values.has(name)) values.set(name, value);
  }
  return values;
}

/** What the page shows of them; null: not told, or nothing to tell of yet. */
export interface ServerFigures {
  running: number | null;
  queued: number | null;
  usedTokens: number | null;
  totalTokens: number | null;
  generatedTokens: number | null;
  promptTokens: number | null;
  cachedTokens: number | null;
}

export function figuresOf(values: ReadonlyMap<string, number>): ServerFigures {
  const get = (name: string) => values.get(`sglang:${name}`) ?? null;
  return {
    running: get('num_running_reqs'),
    queued: get('num_queue_reqs'),
    usedTokens: get('num_used_tokens'),
    totalTokens: get('max_total_num_tokens'),
    generatedTokens: get('generation_tokens_total'),
    promptTokens: get('prompt_tokens_total'),
    cachedTokens: get('cached_tokens_total'),
  };
}

/** Of two readings `seconds` apart: how much a counter grew in a second. Null after a restart, when it begins anew. */
export function rate(before: number | null, now: number | null, seconds: number): number | null {
  if (before === null || now === null || now < before || seconds <= 0) return null;
  return (now - before) / seconds;
}

/** Null where there is nothing to divide by. */
export function share(part: number | null, whole: number | null): number | null {
  return part === null || whole === null || whole <= 0 ? null : part / whole;
}
