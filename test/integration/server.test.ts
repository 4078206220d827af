/** The server over the real runtime and a real tokenizer: a tiny random model, over a port. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Runtime } from '../../src/addon/runtime.js';
import { setLogLevel } from '../../src/log.js';
import { loadModel } from '../../src/model/load.js';
import type { LoadedModel } from '../../src/model/model.js';
import { createApp, type ServerApp } from '../../src/server/app.js';
import { listen, type RunningServer } from '../../src/server/listen.js';
import { GOLDEN, type Golden, readGoldens, startRuntime } from './golden-models.js';

// biome-ignore lint/suspicious/noExplicitAny: answers are checked field by field
type Json = any;

const CONTEXT_LENGTH = 256;
const MAX_QUEUED = 8;
const MAX_RUNNING = 4;

let model: LoadedModel;
let runtime: Runtime;
let app: ServerApp;
let server: RunningServer;
let golden: Golden;

beforeAll(async () => {
  setLogLevel('warning');
  golden = readGoldens('tiny').find(({ name }) => name === 'llama') as Golden;
  model = await loadModel({ model: join(GOLDEN, 'tiny', 'llama'), loadFormat: 'auto' });
  runtime = await startRuntime(model.weights, {
    contextLength: CONTEXT_LENGTH,
    maxTotalTokens: 1024,
    maxRunningRequests: MAX_RUNNING,
    maxQueuedRequests: MAX_QUEUED,
  });
  app = createApp({
    runtime,
    model: {
      ...model,
      chatTemplate: {
        text: '{{ messages }}',
        render: (messages) => messages.map(({ role, content }) => `${role}: ${content}\n`).join(''),
      },
    },
    options: {
      servedModelName: 'tiny',
      modelPath: 'tiny',
      contextLength: CONTEXT_LENGTH,
      maxRunningRequests: MAX_RUNNING,
      maxQueuedRequests: MAX_QUEUED,
      apiKeys: [],
      strictModelName: false,
      drainTimeoutMs: 1000,
      decodeLogInterval: 40,
      serverInfo: {},
    },
  });
  server = await listen(app, { host: '127.0.0.1', port: 0 });
});

afterAll(async () => {
  await server?.drain(1000);
  await runtime?.stop();
  setLogLevel('info');
});

const post = (path: string, body: object, init: RequestInit = {}) =>
  fetch(server.url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    ...init,
  });

async function answer(path: string, body: object): Promise<Json> {
  const response = await post(path, body);
  const text = await response.text();
  expect(response.status, text).toBe(200);
  return JSON.parse(text);
}

async function events(path: string, body: object): Promise<Json[]> {
  const text = await (await post(path, { ...body, stream: true })).text();
  expect(text.endsWith('data: [DONE]\n\n')).toBe(true);
  const parts = text.split('\n\n').slice(0, -2);
  return parts.map((part) => JSON.parse(part.slice('data: '.length)));
}

async function isIdle(): Promise<void> {
  // The runtime forgets a request some turns of the event loop before its answer has ended.
  await vi.waitFor(() => {
    expect(runtime.stats()).toMatchObject({ numRunning: 0, numQueued: 0, usedTokens: 0 });
    expect(app.lifecycle.numActive).toBe(0);
  });
  expect(runtime.stats().leakedBlocks).toBe(0);
}

test('is healthy once the model has produced a token', async () => {
  expect((await fetch(`${server.url}/health`)).status).toBe(503);
  await app.lifecycle.warmUp();
  expect((await fetch(`${server.url}/health`)).status).toBe(200);
});

describe('greedy', () => {
  const messages = [{ role: 'user', content: 'Tell me of 3 small things.' }];

  test.each([
    ['/v1/chat/completions', { messages }, (event: Json) => event.choices[0].delta.content ?? ''],
    ['/v1/completions', { prompt: 'Once upon a time' }, (event: Json) => event.choices[0].text],
  ])('%s streams what it answers whole, byte for byte', async (path, fields, textOf) => {
    const body = { ...fields, temperature: 0, max_tokens: 100, ignore_eos: true };
    const whole = await answer(path, body);
    const streamed = (await events(path, body)).map(textOf).join('');
    const choice = whole.choices[0];
    expect(streamed).toBe(choice.message?.content ?? choice.text);
    expect(streamed.length).toBeGreaterThan(20);
    expect(whole.usage.completion_tokens).toBe(100);
    expect(choice.finish_reason).toBe('length');
  });

  test('/generate says the ids of the reference', async () => {
    const sampling_params = { temperature: 0, max_new_tokens: golden.greedy.length, ignore_eos: true };
    const body = { input_ids: golden.prompt, sampling_params, return_logprob: true, logprob_start_len: 0 };
    const whole = await answer('/generate', body);
    expect(whole.output_ids).toEqual(golden.greedy);
    const last = (await events('/generate', body)).at(-1);
    expect(last).toMatchObject({ text: whole.text, output_ids: whole.output_ids });
    expect(whole.meta_info.input_token_logprobs.map((each: Json) => each[1])).toEqual(golden.prompt);
    // Row i of the reference's logits scores the token after the first i + 1.
    const all = [...golden.prompt, ...golden.greedy];
    const given = [...whole.meta_info.input_token_logprobs, ...whole.meta_info.output_token_logprobs];
    for (let i = 1; i < all.length; i++) expect(given[i][0]).toBeCloseTo(logprob(i - 1, all[i] as number), 2);
  });

  function logprob(row: number, id: number): number {
    const logits = golden.logits.subarray(row * golden.vocab, (row + 1) * golden.vocab);
    const max = Math.max(...logits);
    const sum = logits.reduce((total, each) => total + Math.exp(each - max), 0);
    return (logits[id] as number) - max - Math.log(sum);
  }

  test('a stop string ends the text before it, wherever tokens divide it', async () => {
    const body = { prompt: 'Once upon a time', temperature: 0, max_tokens: 60, ignore_eos: true };
    const { text } = (await answer('/v1/completions', body)).choices[0];
    for (const at of [5, 9, 14, 20]) {
      const stop = text.slice(at, at + 6);
      const cut = text.slice(0, text.indexOf(stop));
      const whole = (await answer('/v1/completions', { ...body, stop })).choices[0];
      expect(whole).toMatchObject({ text: cut, finish_reason: 'stop', matched_stop: stop });
      const streamed = await events('/v1/completions', { ...body, stop });
      expect(streamed.map((event) => event.choices[0].text).join('')).toBe(cut);
    }
    await isIdle();
  });

  test('an echo scores the prompt as the same ids as an answer would be', async () => {
    const body = {
      prompt: 'Once upon a time',
      temperature: 0,
      max_tokens: 5,
      echo: true,
      logprobs: 2,
      ignore_eos: true,
    };
    const { text, logprobs } = (await answer('/v1/completions', body)).choices[0];
    expect(text.startsWith('Once upon a time')).toBe(true);
    expect(logprobs.token_logprobs[0]).toBeNull();
    const alone = await answer('/v1/completions', { ...body, max_tokens: 0 });
    const promptLength = alone.usage.prompt_tokens;
    expect(logprobs.tokens).toHaveLength(promptLength + 5);
    const scores = alone.choices[0].logprobs.token_logprobs;
    for (let i = 1; i < promptLength; i++) expect(scores[i]).toBeCloseTo(logprobs.token_logprobs[i], 4);
    // Offsets point at the tokens in the text, where a token is whole characters.
    for (const [i, token] of logprobs.tokens.entries()) {
      const { [i]: offset } = logprobs.text_offset;
      if (!token.startsWith('bytes:') && i > 0) expect([...text].slice(offset).join('').startsWith(token)).toBe(true);
    }
  });
});

test('equal seeds give equal answers, n answers have seeds of their own', async () => {
  const body = { prompt: 'Once', temperature: 1, max_tokens: 30, ignore_eos: true };
  const three = (await answer('/v1/completions', { ...body, n: 3, seed: 11 })).choices.map((each: Json) => each.text);
  expect(new Set(three).size).toBe(3);
  for (const [i, text] of three.entries()) {
    expect((await answer('/v1/completions', { ...body, seed: 11 + i })).choices[0].text).toBe(text);
  }
});

test('a client that goes away frees its sequences and their KV', async () => {
  for (const stream of [true, false]) {
    const client = new AbortController();
    const body = { prompt: 'Once', max_tokens: 200, n: 4, ignore_eos: true, stream };
    const pending = post('/v1/completions', body, { signal: client.signal });
    pending.catch(() => {});
    await vi.waitFor(() => expect(app.lifecycle.numActive).toBe(1), { interval: 1 });
    client.abort();
    await isIdle();
  }
});

test('more than running and waiting places: 429, and the server goes on', async () => {
  // Each request alone takes all places, so that of several at once most find them taken.
  const body = { max_tokens: 200, ignore_eos: true };
  const prompt = Array<string>(MAX_RUNNING + MAX_QUEUED).fill('Once');
  const responses = await Promise.all(Array.from({ length: 8 }, () => post('/v1/completions', { ...body, prompt })));
  expect(responses.some(({ status }) => status === 200)).toBe(true);
  const refused = responses.find(({ status }) => status !== 200) as Response;
  expect(refused.status).toBe(429);
  expect(refused.headers.get('retry-after')).toBe('1');
  expect(await refused.json()).toMatchObject({ error: { type: 'rate_limit_error' } });
  await isIdle();
  expect((await post('/v1/completions', { ...body, prompt: 'Once', max_tokens: 1 })).status).toBe(200);
});

test('logs what it does as SGLang would, and measures it', async () => {
  const written: string[] = [];
  const stderr = vi.spyOn(process.stderr, 'write').mockImplementation((text) => written.push(String(text)) > 0);
  setLogLevel('info');
  await answer('/v1/completions', { prompt: 'Once upon a time', max_tokens: 101, ignore_eos: true });
  setLogLevel('warning');
  stderr.mockRestore();
  const lines = written.map((line) => /^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\] (.*)\n$/.exec(line)?.[1] ?? line);
  expect(lines[0]).toMatch(/^Prefill batch, #new-seq: 1, #new-token: \d+, #cached-token: 0, token usage: 0\.\d\d, /);
  const decode = lines.filter((line) => line.startsWith('Decode batch, #running-req: 1, #token: '));
  expect(decode).toHaveLength(3);
  for (const line of decode) {
    const throughput = /cuda graph: False, gen throughput \(token\/s\): ([\d.]+), #queue-req: 0$/.exec(line)?.[1];
    expect(Number(throughput)).toBeGreaterThan(0);
  }
});

test('flushes the cache when idle', async () => {
  await isIdle();
  expect((await post('/flush_cache', {})).status).toBe(200);
});
