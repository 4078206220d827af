/** The golden models of test/golden, and the comparison of a runtime's log-probabilities with the reference's logits. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { GREEDY, type RuntimeSpec } from '../../src/addon/binding.js';
import { NativeEngineRuntime, type Runtime, type TokenEvent } from '../../src/addon/runtime.js';
import type { ModelWeights } from '../../src/model/model.js';

export const GOLDEN = fileURLToPath(new URL('../golden', import.meta.url));
export const TOP_LOGPROBS = 20;

export interface Golden {
  name: string;
  /** What a person would pass as --model-path. */
  path: string;
  prompt: number[];
  greedy: number[];
  vocab: number;
  /** (prompt + greedy - 1, vocab): row i scores the token after the first i + 1. */
  logits: Float32Array;
}

export function readGoldens(kind: 'tiny' | 'gguf' | 'packed'): Golden[] {
  return readdirSync(join(GOLDEN, kind))
    .sort()
    .map((name) => {
      const directory = join(GOLDEN, kind, name);
      const bytes = readFileSync(join(directory, 'logits.f32'));
      const logits = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
      const path = kind === 'gguf' ? join(directory, 'model.gguf') : directory;
      return { name, path, logits, ...JSON.parse(readFileSync(join(directory, 'golden.json'), 'utf8')) };
    });
}

export function startRuntime(weights: ModelWeights, overrides: Partial<RuntimeSpec> = {}): Promise<Runtime> {
  return NativeEngineRuntime.start({
    backend: 'cpu',
    dtype: 'f16',
    referenceAttention: false,
    useGraphs: false,
    ...weights,
    loadFormat: 'mmap',
    kvCacheDtype: 'f32',
    contextLength: 2048,
    maxTotalTokens: 4096,
    maxRunningRequests: 64,
    maxQueuedRequests: 64,
    chunkedPrefillSize: 512,
    sharesPrefixes: true,
    maxQueuedTokens: Number.MAX_SAFE_INTEGER,
    speculation: { maxDraftTokens: 0, maxMatchTokens: 18 },
    numThreads: 2,
    ...overrides,
  });
}

/** All events of one greedy sequence that no token stops. */
export async function runGreedy(
  runtime: Runtime,
  prompt: readonly number[],
  maxNewTokens: number,
  options: { scorePrompt?: boolean; logprobs?: boolean } = {},
): Promise<TokenEvent[]> {
  const scorePrompt = options.scorePrompt ?? false;
  const events: TokenEvent[] = [];
  const request = {
    promptIds: Int32Array.from(prompt),
    maxNewTokens,
    minNewTokens: 0,
    stopTokenIds: new Int32Array(0),
    sampling: { ...GREEDY, topLogprobs: scorePrompt ? TOP_LOGPROBS : options.logprobs ? 0 : -1 },
    promptLogprobs: scorePrompt,
    cacheSalt: 0,
  };
  for await (const event of runtime.submit(request)) events.push(event);
  return events;
}

/** Log-probabilities of one row of logits. */
function logSoftmax(row: Float32Array): Float64Array {
  const max = row.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const sum = row.reduce((total, logit) => total + Math.exp(logit - max), 0);
  return Float64Array.from(row, (logit) => logit - max - Math.log(sum));
}

export interface Deviation {
  /** Largest distance of any reported log-probability from the reference's. */
  max: number;
  mean: number;
  count: number;
}

/**
 * How far the scored events of a prompt and its continuation are from the golden. Throws where the reports themselves are
 * malformed: a missing score, alternatives out of order, or alternatives that leave out a likelier token.
 */
export function deviationOf(golden: Golden, events: readonly TokenEvent[], slack: number): Deviation {
  const sequence = [...golden.prompt, ...golden.greedy];
  let max = 0;
  let sum = 0;
  let count = 0;
  // The first token of a prompt has no score: nothing comes before it.
  for (const [index, event] of events.slice(1).entries()) {
    const expected = logSoftmax(golden.logits.subarray(index * golden.vocab, (index + 1) * golden.vocab));
    const at = `${golden.name}, position ${index + 1}`;
    if (event.topLogprobs.length !== TOP_LOGPROBS)
      throw new Error(`${at}: ${event.topLogprobs.length} alternatives, not ${TOP_LOGPROBS}`);
    const reports = [...event.topLogprobs, { tokenId: sequence[index + 1] ?? -1, logprob: event.logprob }];
    for (const { tokenId, logprob } of reports) {
      const distance = Math.abs(logprob - (expected[tokenId] ?? Number.NaN));
      if (Number.isNaN(distance)) throw new Error(`${at}: token ${tokenId} was scored ${logprob}`);
      max = Math.max(max, distance);
      sum += distance;
      count++;
    }
    const listed = new Set(event.topLogprobs.map(({ tokenId }) => tokenId));
    if (listed.size !== TOP_LOGPROBS) throw new Error(`${at}: a token is listed twice`);
    const least = event.topLogprobs.at(-1)?.logprob ?? 0;
    event.topLogprobs.reduce((before, { logprob }) => {
      if (logprob > before) throw new Error(`${at}: alternatives are not in order of likelihood`);
      return logprob;
    }, 0);
    for (const [tokenId, logprob] of expected.entries()) {
      if (logprob > least + 2 * slack && !listed.has(tokenId))
        throw new Error(`${at}: token ${tokenId} (${logprob}) is likelier than the last one listed (${least})`);
    }
  }
  return { max, mean: sum / count, count };
}
