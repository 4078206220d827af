/** SmolLM2's greedy answers against transformers in float32 on the dequantised weights (test/oracle/smollm2.py). */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { RuntimeSpec } from '../../src/addon/binding.js';
import type { Runtime } from '../../src/addon/runtime.js';
import { loadModel } from '../../src/model/load.js';
import type { ModelWeights } from '../../src/model/model.js';
import { GOLDEN, runGreedy, startRuntime } from './golden-models.js';

interface Entry {
  text: string;
  prompt: number[];
  ids: number[];
  /** The runner-up at each step, and its distance in logits. */
  second: number[];
  gap: number[];
}

/** Where the reference's two best logits are nearer than this, either may come. */
const NEAR_TIE = 0.05;
const entries: Entry[] = JSON.parse(readFileSync(join(GOLDEN, 'smollm2.json'), 'utf8'));

/** Compares up to the first near tie that went the other way; the answers' contexts differ from there on. */
function compare(answers: number[][]): { matched: number; ties: string[]; wrong: string[] } {
  const outcome = { matched: 0, ties: [] as string[], wrong: [] as string[] };
  for (const [index, entry] of entries.entries()) {
    const ids = answers[index] ?? [];
    const step = entry.ids.findIndex((id, i) => ids[i] !== id);
    if (step < 0 && ids.length === entry.ids.length) {
      outcome.matched++;
      continue;
    }
    const gap = entry.gap[step] ?? Number.POSITIVE_INFINITY;
    const what = `${JSON.stringify(entry.text.slice(-40))} at token ${step}: ${ids[step]} for ${entry.ids[step]}, gap ${gap}`;
    if (gap < NEAR_TIE && ids[step] === entry.second[step]) outcome.ties.push(what);
    else outcome.wrong.push(what);
  }
  return outcome;
}

describe('SmolLM2', () => {
  let weights: ModelWeights;
  let runtime: Runtime | undefined;
  beforeAll(async () => {
    weights = (await loadModel({ model: 'smollm2', loadFormat: 'auto' })).weights;
  });
  afterEach(async () => {
    await runtime?.stop();
    runtime = undefined;
  });

  async function start(overrides: Partial<RuntimeSpec> = {}): Promise<Runtime> {
    runtime = await startRuntime(weights, overrides);
    return runtime;
  }

  const greedyIds = async (engine: Runtime, entry: Entry) =>
    (await runGreedy(engine, entry.prompt, entry.ids.length)).map((event) => event.tokenId);

  function expectAgreement(answers: number[][]): void {
    const { matched, ties, wrong } = compare(answers);
    console.info(`${matched} of ${entries.length} answers equal, ${ties.length} parted at a near tie`);
    expect(wrong).toEqual([]);
    // Near ties are rare: more partings than this are an error that hides behind them.
    expect(ties.length).toBeLessThanOrEqual(6);
  }

  test('one prompt at a time', async () => {
    const engine = await start();
    const answers = [];
    for (const entry of entries) answers.push(await greedyIds(engine, entry));
    expectAgreement(answers);
  });

  test('all prompts at once', async () => {
    const engine = await start({ maxTotalTokens: 16384 });
    expectAgreement(await Promise.all(entries.map((entry) => greedyIds(engine, entry))));
  });

  test('all at once, in small chunks and with an fp16 cache too short for all of them', async () => {
    // The longest needs 1,449 tokens; all together some 6,400.
    const engine = await start({ maxTotalTokens: 2048, chunkedPrefillSize: 48, kvCacheDtype: 'f16' });
    expectAgreement(await Promise.all(entries.map((entry) => greedyIds(engine, entry))));
    expect(engine.stats()).toMatchObject({ usedTokens: 0, leakedBlocks: 0, numRunning: 0, numQueued: 0 });
  });

  test('a conversation, with the prefix cache and without: the same to the bit', async () => {
    const shared = { kvCacheDtype: 'f16' } as const;
    const turns = async (sharesPrefixes: boolean) => {
      const engine = await start({ ...shared, sharesPrefixes });
      let prompt = (entries[1] as Entry).prompt;
      const all: [number, number][] = [];
      let cachedTokens = 0;
      for (const entry of entries.slice(2, 5)) {
        const events = await runGreedy(engine, prompt, 24, { logprobs: true });
        all.push(...events.map(({ tokenId, logprob }): [number, number] => [tokenId, logprob]));
        cachedTokens += events[0]?.cachedTokens ?? 0;
        prompt = [...prompt, ...events.map(({ tokenId }) => tokenId), ...entry.prompt];
      }
      await engine.stop();
      return { all, cachedTokens };
    };
    const [cached, computed] = [await turns(true), await turns(false)];
    expect(cached.all).toEqual(computed.all);
    expect(computed.cachedTokens).toBe(0);
    expect(cached.cachedTokens).toBeGreaterThan(50);
  });
});
