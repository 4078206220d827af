/** What the prefix cache saves, and for whom: over HTTP, on a tiny model. */
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import type { Runtime } from '../../src/addon/runtime.js';
import { setLogLevel } from '../../src/log.js';
import { loadModel } from '../../src/model/load.js';
import { createApp, type ServerApp } from '../../src/server/app.js';
import { GOLDEN, startRuntime } from './golden-models.js';

// biome-ignore lint/suspicious/noExplicitAny: answers are checked field by field
type Json = any;

const PROMPT = Array.from({ length: 100 }, (_, i) => (7 * i) % 250);

let runtime: Runtime;
let app: ServerApp;

async function serve(options: { apiKeys?: string[]; sharesPrefixes?: boolean } = {}): Promise<void> {
  setLogLevel('warning');
  const model = await loadModel({ model: join(GOLDEN, 'tiny', 'llama'), loadFormat: 'auto' });
  runtime = await startRuntime(model.weights, {
    contextLength: 256,
    maxTotalTokens: 1024,
    sharesPrefixes: options.sharesPrefixes ?? true,
  });
  app = createApp({
    runtime,
    model,
    options: {
      servedModelName: 'tiny',
      modelPath: 'tiny',
      contextLength: 256,
      maxRunningRequests: 8,
      maxQueuedRequests: 8,
      apiKeys: options.apiKeys ?? [],
      strictModelName: false,
      drainTimeoutMs: 1000,
      decodeLogInterval: 40,
      serverInfo: {},
    },
  });
}

afterEach(async () => {
  await runtime?.stop();
  setLogLevel('info');
});

async function ask(path: string, body: object, key?: string): Promise<Json> {
  const response = await app.request(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(key && { authorization: `Bearer ${key}` }) },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  expect(response.status, text).toBe(200);
  return JSON.parse(text);
}

const complete = (prompt: readonly number[], key?: string, more: object = {}) =>
  ask('/v1/completions', { prompt, temperature: 0, max_tokens: 20, ignore_eos: true, ...more }, key);
const cachedOf = (answer: Json): number => answer.usage.prompt_tokens_details.cached_tokens;

async function metric(name: string): Promise<number> {
  const text = await (await app.request('/metrics')).text();
  return Number(new RegExp(`^sglang:${name}\\{[^}]*\\} (\\S+)$`, 'm').exec(text)?.[1]);
}

describe('the prefix cache', () => {
  test('is told of in usage, meta_info and metrics, and changes no answer', async () => {
    await serve({ sharesPrefixes: false });
    const expected = await complete(PROMPT);
    expect(cachedOf(expected)).toBe(0);
    expect(cachedOf(await complete(PROMPT))).toBe(0);
    expect(runtime.stats().evictableTokens).toBe(0);
    await runtime.stop();

    await serve();
    await app.lifecycle.warmUp();
    expect(runtime.stats().evictableTokens).toBe(0);
    expect(cachedOf(await complete(PROMPT))).toBe(0);
    expect(runtime.stats()).toMatchObject({ usedTokens: 0, evictableTokens: 112, leakedBlocks: 0 });
    const again = await complete(PROMPT);
    expect(cachedOf(again)).toBe(96);
    expect(again.choices[0].text).toBe(expected.choices[0].text);
    const sampling = { temperature: 0, max_new_tokens: 4 };
    const { meta_info } = await ask('/generate', { input_ids: PROMPT.slice(0, 50), sampling_params: sampling });
    expect(meta_info).toMatchObject({ prompt_tokens: 50, cached_tokens: 48 });
    expect(await metric('cached_tokens_total')).toBe(96 + 48);
    expect(await metric('kv_evictable_tokens')).toBe(runtime.stats().evictableTokens);
    expect(await metric('cache_hit_rate')).toBeGreaterThan(0.4);
    expect(await metric('token_usage')).toBe(0);
  });

  test('has the answer too, when the conversation goes on', async () => {
    await serve();
    const { output_ids } = await ask('/generate', {
      input_ids: PROMPT,
      sampling_params: { temperature: 0, max_new_tokens: 45, ignore_eos: true },
    });
    expect(output_ids).toHaveLength(45);
    // 144 of the 145 were fed to the model.
    expect(cachedOf(await complete([...PROMPT, ...output_ids, 1, 2, 3]))).toBe(144);
  });

  test('computes the prompt of n choices once', async () => {
    await serve();
    const { usage } = await complete(PROMPT, undefined, { n: 4, temperature: 1 });
    expect(usage).toMatchObject({ prompt_tokens: 100, prompt_tokens_details: { cached_tokens: 0 } });
    expect(await metric('cached_tokens_total')).toBe(3 * 96);
  });

  test('does not keep a scored prompt from being scored', async () => {
    await serve();
    const score = async () => {
      const body = { echo: true, logprobs: 0, max_tokens: 0 };
      const answer = await complete(PROMPT, undefined, body);
      expect(cachedOf(answer)).toBe(0);
      return answer.choices[0].logprobs.token_logprobs;
    };
    const first = await score();
    expect(first).toHaveLength(100);
    expect(await score()).toEqual(first);
  });

  test('is of one key alone', async () => {
    await serve({ apiKeys: ['a', 'b'] });
    expect(cachedOf(await complete(PROMPT, 'a'))).toBe(0);
    expect(cachedOf(await complete(PROMPT, 'b'))).toBe(0);
    expect(cachedOf(await complete(PROMPT, 'b'))).toBe(96);
    expect(cachedOf(await complete(PROMPT, 'a'))).toBe(96);
  });

  test('is empty after /flush_cache', async () => {
    await serve();
    await complete(PROMPT);
    // A stream that nobody reads is at work.
    const body = JSON.stringify({ prompt: PROMPT, max_tokens: 150, ignore_eos: true, stream: true });
    const headers = { 'content-type': 'application/json' };
    const busy = await app.request('/v1/completions', { method: 'POST', headers, body });
    expect((await app.request('/flush_cache', { method: 'POST' })).status).toBe(400);
    await busy.text();
    expect((await app.request('/flush_cache', { method: 'POST' })).status).toBe(200);
    expect(runtime.stats().evictableTokens).toBe(0);
    expect(cachedOf(await complete(PROMPT))).toBe(0);
  });
});
