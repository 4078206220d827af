import { describe, expect, it, vi } from 'vitest';
import { log } from '../../../src/log.js';
import { bytesOf, EOS } from './fake-model.js';
import { CHAT, type Json, parseEvents, readEvents, testApp } from './test-app.js';

const endless = function* () {
  for (;;) yield 0x61;
};
const CHAT_PATH = '/v1/chat/completions';

describe('routing', () => {
  it('answers an unknown path with 404 and another method with 405', async () => {
    const { app } = testApp();
    const missing = await app.request('/v2/nothing');
    expect(missing.status).toBe(404);
    expect(((await missing.json()) as Json).error).toMatchObject({ type: 'invalid_request_error', param: null });
    const wrong = await app.request(CHAT_PATH);
    expect(wrong.status).toBe(405);
    expect(wrong.headers.get('allow')).toBe('POST');
    expect(((await wrong.json()) as Json).error.message).toContain('POST');
    expect((await app.request('/v1/models', { method: 'DELETE' })).status).toBe(405);
    expect((await app.request('/v1/models', { method: 'HEAD' })).status).toBe(200);
  });

  it('hides what went wrong inside, and logs it', async () => {
    const error = vi.spyOn(log, 'error').mockImplementation(() => {});
    const chatTemplate = {
      text: '',
      render: () => {
        throw new TypeError('secret detail');
      },
    };
    const { post } = testApp({ model: { chatTemplate } });
    const response = await post(CHAT_PATH, CHAT);
    expect(response.status).toBe(500);
    expect(await response.text()).not.toContain('secret');
    expect(error.mock.calls.flat().join()).toContain('secret detail');
    error.mockRestore();
  });
});

describe('information', () => {
  it('lists the model and finds it by name', async () => {
    const { app } = testApp({ server: { servedModelName: 'org/model' } });
    const list: Json = await (await app.request('/v1/models')).json();
    expect(list).toMatchObject({ object: 'list', data: [{ id: 'org/model', object: 'model', max_model_len: 512 }] });
    for (const path of ['/v1/models/org/model', '/v1/models/org%2Fmodel']) {
      expect(await (await app.request(path)).json()).toMatchObject({ id: 'org/model' });
    }
    for (const path of ['/v1/models/other', '/v1/models/%ff']) {
      const response = await app.request(path);
      expect(response.status).toBe(404);
      expect(((await response.json()) as Json).error.code).toBe('model_not_found');
    }
  });

  it('tells what it runs', async () => {
    const { app } = testApp({ server: { apiKeys: [], serverInfo: { version: '1.2.3', dtype: 'half' } } });
    expect(await (await app.request('/get_model_info')).json()).toMatchObject({
      model_path: '/models/fake',
      is_generation: true,
    });
    expect(await (await app.request('/get_server_info')).json()).toMatchObject({
      version: '1.2.3',
      dtype: 'half',
      max_total_num_tokens: 4096,
      internal_states: [{ last_gen_throughput: 0 }],
    });
    expect(await (await app.request('/v1/loads')).json()).toMatchObject({
      loads: [{ num_running_reqs: 0, num_waiting_reqs: 0, max_total_num_tokens: 4096 }],
      aggregate: { total_reqs: 0 },
    });
    expect(await (await app.request('/get_load')).json()).toEqual([
      { dp_rank: 0, num_reqs: 0, num_waiting_reqs: 0, num_tokens: 0 },
    ]);
  });
});

describe('/v1/status', () => {
  const temperature = { celsius: 47.5, of: 'tj-thermal', throttlesAt: 99 };
  const readMachine = async () => ({
    memory: { usedBytes: 3, totalBytes: 4 },
    gpuMemory: null,
    power: { watts: 12.5, of: 'VDD_IN' },
    temperature,
  });

  it('tells the profile, and what the machine reads', async () => {
    const { app } = testApp({ server: { profileName: 'smollm2' }, readMachine });
    expect(await (await app.request('/v1/status')).json()).toEqual({
      status: 'starting',
      model: 'loaded',
      served_model_name: 'fake-model',
      profile: 'smollm2',
      uptime_seconds: expect.any(Number),
      memory: { used_bytes: 3, total_bytes: 4 },
      gpu_memory: null,
      power: { watts: 12.5, of: 'VDD_IN' },
      temperature: { celsius: 47.5, of: 'tj-thermal', throttles_at: 99 },
    });
  });

  it('is null for what cannot be read, and asks for the key', async () => {
    const { app } = testApp({ server: { apiKeys: ['secret'] } });
    expect((await app.request('/v1/status')).status).toBe(401);
    const response = await app.request('/v1/status', { headers: { authorization: 'Bearer secret' } });
    expect(await response.json()).toMatchObject({ profile: null, memory: null, power: null, temperature: null });
  });
});

describe('health', () => {
  it('is 503 until the model has produced a token', async () => {
    const { app } = testApp();
    const starting = await app.request('/health');
    expect(starting.status).toBe(503);
    expect(((await starting.json()) as Json).error.type).toBe('service_unavailable');
    await app.lifecycle.warmUp();
    expect((await app.request('/health')).status).toBe(200);
  });

  it('is 200 after a token of a request too', async () => {
    const { app, post } = testApp();
    await post(CHAT_PATH, CHAT);
    expect((await app.request('/health')).status).toBe(200);
  });

  it('is 503 while draining, when nothing new begins', async () => {
    const { app, post } = testApp();
    await app.lifecycle.warmUp();
    app.lifecycle.startDraining();
    expect((await app.request('/health')).status).toBe(503);
    expect((await app.request('/health_generate')).status).toBe(503);
    const refused = await post(CHAT_PATH, CHAT);
    expect(refused.status).toBe(503);
    expect(refused.headers.get('retry-after')).toBeTruthy();
  });

  it('is 503 when the runtime has failed, and so is everything that generates', async () => {
    const { app, post, runtime } = testApp();
    await app.lifecycle.warmUp();
    runtime.failure = new Error('a kernel failed');
    expect((await app.request('/health')).status).toBe(503);
    expect((await app.request('/health_generate')).status).toBe(503);
    expect((await post(CHAT_PATH, CHAT)).status).toBe(503);
    expect((await app.request('/v1/models')).status).toBe(200);
  });

  it('/health_generate makes a token', async () => {
    const { app, runtime } = testApp();
    expect((await app.request('/health_generate')).status).toBe(200);
    expect(runtime.submitted).toHaveLength(1);
    expect(runtime.submitted[0]?.maxNewTokens).toBe(1);
    expect((await app.request('/health')).status).toBe(200);
  });
});

describe('API keys', () => {
  const server = { apiKeys: ['key-one', 'key-two'] };

  it.each<[string, string | undefined, number]>([
    ['the first key', 'Bearer key-one', 200],
    ['the second key', 'Bearer key-two', 200],
    ['any case of Bearer', 'bearer key-two', 200],
    ['no header', undefined, 401],
    ['one key twice, as a router sends it', 'Bearer key-one, Bearer key-one', 200],
    ['two keys', 'Bearer key-one, Bearer key-two', 401],
    ['a key and something else', 'Bearer key-one, Basic eDp5', 401],
    ['a wrong key', 'Bearer key-three', 401],
    ['a part of a key', 'Bearer key-on', 401],
    ['another scheme', 'Basic key-one', 401],
    ['the bare key', 'key-one', 401],
    ['an empty key', 'Bearer ', 401],
  ])('%s', async (_, authorization, status) => {
    const { app } = testApp({ server });
    const response = await app.request('/v1/models', authorization ? { headers: { authorization } } : {});
    expect(response.status).toBe(status);
    if (status === 401) {
      expect(((await response.json()) as Json).error).toMatchObject({
        type: 'authentication_error',
        code: 'invalid_api_key',
      });
    }
  });

  it('are asked for everywhere but for /health', async () => {
    const { app } = testApp({ server });
    await app.lifecycle.warmUp();
    expect((await app.request('/health')).status).toBe(200);
    for (const path of ['/metrics', '/get_server_info', '/v1/loads', '/nothing', '/health_generate', '/health/']) {
      expect((await app.request(path)).status, path).toBe(401);
    }
  });

  it('appear in no answer', async () => {
    const { app } = testApp({ server });
    for (const path of ['/get_server_info', '/metrics']) {
      const response = await app.request(path, { headers: { authorization: 'Bearer key-one' } });
      expect(await response.text()).not.toContain('key-one');
    }
  });
});

describe('cancelling', () => {
  const tick = (ms = 20) => new Promise((resolve) => setTimeout(resolve, ms));

  it('ends all sequences when the client of a whole answer goes', async () => {
    const { post, runtime } = testApp({ script: endless, delayMs: 1 });
    const client = new AbortController();
    const pending = post(CHAT_PATH, { ...CHAT, n: 3 }, { signal: client.signal });
    pending.catch(() => {});
    await tick();
    expect(runtime.numLive).toBe(3);
    client.abort();
    await tick();
    expect(runtime).toMatchObject({ numLive: 0, numCancelled: 3 });
  });

  it('ends all sequences when the reader of a stream goes', async () => {
    const { post, runtime, app } = testApp({ script: endless, delayMs: 1 });
    const response = await post(CHAT_PATH, { ...CHAT, n: 3, stream: true });
    const reader = response.body?.getReader();
    await reader?.read();
    expect(runtime.numLive).toBe(3);
    await reader?.cancel();
    expect(runtime).toMatchObject({ numLive: 0, numCancelled: 3 });
    await tick();
    expect(app.lifecycle.numActive).toBe(0);
  });

  it('/abort_request ends a request by its id, with the text so far', async () => {
    const { post, runtime } = testApp({ script: endless, delayMs: 1 });
    const chat = post(CHAT_PATH, { ...CHAT, rid: 'chat' });
    const native = post('/generate', { text: ['a', 'b'], rid: ['g1', 'g2'] });
    const stream = await post('/v1/completions', { prompt: 'a', max_tokens: 400, rid: 'text', stream: true });
    await tick();
    expect(runtime.numLive).toBe(4);
    const aborted: Json[] = [];
    for (const rid of ['chat', 'g2', 'text', 'unknown']) {
      aborted.push(await (await post('/abort_request', { rid })).json());
    }
    expect(aborted.map((each) => each.aborted)).toEqual([1, 1, 1, 0]);
    const body: Json = await (await chat).json();
    expect(body.choices[0].finish_reason).toBe('abort');
    expect(body.choices[0].message.content).toMatch(/^a+$/);
    const items: Json = await (await native).json();
    expect(items[0].meta_info.finish_reason.type).toBe('abort');
    expect((await readEvents(stream)).at(-1).choices[0].finish_reason).toBe('abort');
    expect(runtime.numLive).toBe(0);
  });

  it('/abort_request ends requests of the same key alone', async () => {
    const { post, runtime } = testApp({ script: endless, delayMs: 1, server: { apiKeys: ['one', 'two'] } });
    const as = (key: string) => ({ headers: { authorization: `Bearer ${key}` } });
    const mine = post(CHAT_PATH, { ...CHAT, rid: 'same' }, as('one'));
    const others = post(CHAT_PATH, { ...CHAT, rid: 'same' }, as('two'));
    await tick();
    expect(runtime.numLive).toBe(2);
    expect(await (await post('/abort_request', { rid: 'same' }, as('one'))).json()).toMatchObject({ aborted: 1 });
    await mine;
    expect(await (await post('/abort_request', { abort_all: true }, as('one'))).json()).toMatchObject({ aborted: 0 });
    expect(runtime.numLive).toBe(1);
    expect(await (await post('/abort_request', { abort_all: true }, as('two'))).json()).toMatchObject({ aborted: 1 });
    await others;
  });

  it('/abort_request ends everything, or says what is wrong', async () => {
    const { post, runtime } = testApp({ script: endless, delayMs: 1 });
    const pending = [post(CHAT_PATH, CHAT), post(CHAT_PATH, CHAT)];
    await tick();
    expect(await (await post('/abort_request', { abort_all: true })).json()).toMatchObject({ aborted: 2 });
    await Promise.all(pending);
    expect(runtime.numLive).toBe(0);
    for (const [body, param] of [
      [{}, 'rid'],
      [{ rid: '' }, 'rid'],
      [{ rid: 5 }, 'rid'],
      [{ abort_all: false }, 'rid'],
      [{ rid: 'x', abort_all: 'yes' }, 'abort_all'],
    ] as const) {
      const response = await post('/abort_request', body);
      expect([response.status, ((await response.json()) as Json).error.param]).toEqual([400, param]);
    }
  });

  it('ends the other sequences when one fails', async () => {
    const quiet = vi.spyOn(log, 'error').mockImplementation(() => {});
    const options = { script: endless, fail: { index: 1, afterTokens: 3 }, delayMs: 1 };
    const { post, runtime } = testApp(options);
    const response = await post(CHAT_PATH, { ...CHAT, n: 3 });
    expect(response.status).toBe(500);
    expect(((await response.json()) as Json).error).toMatchObject({ type: 'server_error', message: 'a kernel failed' });
    expect(runtime.numLive).toBe(0);
    quiet.mockRestore();
  });

  it('/flush_cache refuses while requests run', async () => {
    const { app, post } = testApp({ script: endless, delayMs: 1 });
    const pending = post(CHAT_PATH, { ...CHAT, rid: 'x' });
    await tick();
    for (const method of ['GET', 'POST']) expect((await app.request('/flush_cache', { method })).status).toBe(400);
    await post('/abort_request', { rid: 'x' });
    await pending;
    for (const method of ['GET', 'POST']) expect((await app.request('/flush_cache', { method })).status).toBe(200);
  });
});

describe('overload', () => {
  it('answers 429 with Retry-After, and lets none of a refused request run', async () => {
    const { post, runtime } = testApp({ script: endless, delayMs: 1, maxLive: 2 });
    for (const stream of [false, true]) {
      const response = await post(CHAT_PATH, { ...CHAT, n: 3, stream });
      expect(response.status).toBe(429);
      expect(response.headers.get('retry-after')).toBe('1');
      expect(((await response.json()) as Json).error.type).toBe('rate_limit_error');
      expect(runtime.numLive).toBe(0);
    }
  });
});

describe('batches', () => {
  it('may be large, but not larger than the server could ever hold', async () => {
    const warnings: Error[] = [];
    const onWarning = (warning: Error) => warnings.push(warning);
    process.on('warning', onWarning);
    const { post } = testApp({ delayMs: null });
    expect((await post('/v1/completions', { prompt: Array(80).fill('a') })).status).toBe(200);
    expect((await post('/v1/completions', { prompt: Array(81).fill('a') })).status).toBe(400);
    await new Promise((resolve) => setTimeout(resolve, 10));
    process.off('warning', onWarning);
    expect(warnings).toEqual([]);
  });
});

describe('failures in a stream', () => {
  it('before the first token of a stream is a status: a router can ask another server then', async () => {
    const quiet = vi.spyOn(log, 'error').mockImplementation(() => {});
    const { post } = testApp({ script: endless, fail: { index: 0, afterTokens: 0 } });
    const response = await post('/v1/chat/completions', { ...CHAT, stream: true });
    expect(response.status).toBe(500);
    expect(response.headers.get('content-type')).toContain('application/json');
    expect(((await response.json()) as Json).error).toMatchObject({
      message: 'a kernel failed',
      code: 'E_RUNTIME_FAILED',
    });
    quiet.mockRestore();
  });

  it('are an event, after which the stream ends', async () => {
    const quiet = vi.spyOn(log, 'error').mockImplementation(() => {});
    const { post, runtime } = testApp({ script: endless, fail: { index: 0, afterTokens: 3 } });
    const response = await post(CHAT_PATH, { ...CHAT, stream: true });
    expect(response.status).toBe(200);
    const events = parseEvents(await response.text());
    expect(events.at(-1)).toEqual({
      error: { message: 'a kernel failed', type: 'server_error', param: null, code: 'E_RUNTIME_FAILED' },
    });
    expect(events.slice(0, -1).map((event) => event.choices[0].delta.content)).toEqual(['', 'a', 'a', 'a']);
    expect(runtime.numLive).toBe(0);
    quiet.mockRestore();
  });
});

describe('metrics', () => {
  it('count under SGLang’s names', async () => {
    const { app, post, runtime } = testApp({ script: () => [...bytesOf('abc'), EOS] });
    await post('/v1/completions', { prompt: 'xy', n: 2 });
    runtime.emitStep({ prefillSeqs: 1, prefillTokens: 2, cachedTokens: 5 });
    const response = await app.request('/metrics');
    expect(response.headers.get('content-type')).toMatch(/^text\/plain/);
    const text = await response.text();
    const untouched = await (await testApp().app.request('/metrics')).text();
    expect(untouched).toContain('sglang:cached_tokens_total{model_name="fake-model"} 0');
    expect(untouched).toContain('sglang:e2e_request_latency_seconds_count{model_name="fake-model"} 0');
    const value = (name: string) =>
      Number(new RegExp(`^sglang:${name}\\{model_name="fake-model"\\} (\\S+)$`, 'm').exec(text)?.[1]);
    expect(value('prompt_tokens_total')).toBe(6);
    expect(value('generation_tokens_total')).toBe(8);
    expect(value('cached_tokens_total')).toBe(5);
    expect(value('cache_hit_rate')).toBeCloseTo(5 / 7);
    expect(value('kv_evictable_tokens')).toBe(0);
    expect(value('num_requests_total')).toBe(2);
    expect(value('num_running_reqs')).toBe(0);
    expect(value('num_queue_reqs')).toBe(0);
    expect(value('token_usage')).toBe(0);
    expect(value('gen_throughput')).toBe(0);
    expect(value('time_to_first_token_seconds_count')).toBe(2);
    expect(value('inter_token_latency_seconds_count')).toBe(6);
    expect(value('e2e_request_latency_seconds_count')).toBe(2);
    expect(text).toMatch(/^# TYPE sglang:time_to_first_token_seconds histogram$/m);
  });
});
