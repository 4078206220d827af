/** When a request runs, and when it ends: priorities, deadlines, full queues. */
import { describe, expect, it } from 'vitest';
import { bytesOf, EOS } from './fake-model.js';
import { CHAT, type Json, readEvents, testApp } from './test-app.js';

const CHAT_PATH = '/v1/chat/completions';

/** Tokens without an end. */
function* endless(): Generator<number> {
  while (true) yield* bytesOf('a');
}

describe('priority', () => {
  it.each([
    ['is not heard by default', undefined, 0],
    ['goes to the runtime', 'high-first', 7],
    ['is turned round where low values go first', 'low-first', -7],
  ] as const)('%s', async (_, priorityOrder, expected) => {
    const { post, runtime } = testApp({ server: { priorityOrder: priorityOrder ?? null } });
    for (const [path, body] of [
      [CHAT_PATH, CHAT],
      ['/v1/completions', { prompt: 'a' }],
      ['/generate', { text: 'a' }],
    ] as const) {
      expect((await post(path, { ...body, priority: 7 })).status).toBe(200);
      expect(runtime.submitted.at(-1)?.priority).toBe(expected);
    }
    await post('/generate', { text: 'a', sampling_params: { priority: 7 } });
    expect(runtime.submitted.at(-1)?.priority).toBe(expected);
  });

  it('is a whole number', async () => {
    const { post } = testApp();
    const response = await post(CHAT_PATH, { ...CHAT, priority: 'high' });
    expect(response.status).toBe(400);
    expect(((await response.json()) as Json).error.param).toBe('priority');
  });
});

describe('timeout', () => {
  it('ends an answer with what there is of it', async () => {
    const { post, runtime } = testApp({ script: endless, delayMs: 5 });
    const body: Json = await (await post(CHAT_PATH, { ...CHAT, max_tokens: 400, timeout: 0.1 })).json();
    expect(body.choices[0]).toMatchObject({
      finish_reason: 'abort',
      message: { content: expect.stringMatching(/^a+$/) },
    });
    const events = await readEvents(await post(CHAT_PATH, { ...CHAT, max_tokens: 400, timeout: 0.1, stream: true }));
    expect(events.at(-1).choices[0].finish_reason).toBe('abort');
    const generated: Json = await (await post('/generate', { text: 'a', timeout: 0.1 })).json();
    expect(generated.meta_info.finish_reason.type).toBe('abort');
    expect(runtime.numLive).toBe(0);
  });

  it('is an error where no token has come', async () => {
    const { post, runtime, app } = testApp({ script: endless, delayMs: 300 });
    for (const stream of [false, true]) {
      const response = await post(CHAT_PATH, { ...CHAT, timeout: 0.02, stream });
      expect(response.status).toBe(504);
      const { error } = (await response.json()) as Json;
      expect(error).toMatchObject({ code: 'E_TIMEOUT', type: 'timeout_error' });
      expect(error.message).toContain('0.02 s');
    }
    expect(runtime.numLive).toBe(0);
    expect(app.lifecycle.numActive).toBe(0);
  });

  it('leaves alone what ends in time', async () => {
    const { post } = testApp({ script: () => [...bytesOf('ok'), EOS] });
    const body: Json = await (await post(CHAT_PATH, { ...CHAT, timeout: 60 })).json();
    expect(body.choices[0]).toMatchObject({ finish_reason: 'stop', message: { content: 'ok' } });
    expect((await post(CHAT_PATH, { ...CHAT, timeout: 0 })).status).toBe(400);
  });
});

describe('a full server', () => {
  it('says so before it reads the request', async () => {
    const { post } = testApp({
      script: endless,
      server: { maxRunningRequests: 1, maxQueuedRequests: 1 },
    });
    const streams = [];
    for (let i = 0; i < 2; i++) streams.push(await post(CHAT_PATH, { ...CHAT, stream: true }));
    // Not even JSON.
    for (const path of [CHAT_PATH, '/v1/completions', '/generate', '/v1/messages', '/v1/responses']) {
      const refused = await post(path, '{');
      expect(refused.status).toBe(429);
      expect(refused.headers.get('retry-after')).toBe('1');
    }
    for (const stream of streams) await stream.body?.cancel();
  });

  it('says so where too many tokens wait', async () => {
    const { post, runtime } = testApp({ server: { maxQueuedTokens: 1000 } });
    runtime.queuedTokens = 999;
    expect((await post(CHAT_PATH, CHAT)).status).toBe(200);
    runtime.queuedTokens = 1000;
    const refused = await post(CHAT_PATH, CHAT);
    expect(refused.status).toBe(429);
    expect(((await refused.json()) as Json).error.message).toContain('1000 prompt tokens wait');
  });
});
