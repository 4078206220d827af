/** The app on a real port: what HTTP clients do, and what they should not. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { bindError, type ListenOptions, listen, type RunningServer } from '../../../src/server/listen.js';
import { bytesOf } from './fake-model.js';
import { RawClient, until } from './raw-client.js';
import { CHAT, type Json, parseEvents, type TestApp, type TestAppOptions, testApp } from './test-app.js';

const CHAT_PATH = '/v1/chat/completions';
const endless = function* () {
  for (;;) yield 0x61;
};

const running: RunningServer[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((server) => server.close()));
});

async function start(
  options: TestAppOptions = {},
  limits: Partial<ListenOptions> = {},
): Promise<TestApp & { server: RunningServer }> {
  const test = testApp(options);
  const server = await listen(test.app, { host: '127.0.0.1', port: 0, ...limits });
  running.push(server);
  return { ...test, server };
}

const postTo = (server: RunningServer, body: object, init: RequestInit = {}) =>
  fetch(server.url + CHAT_PATH, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    ...init,
  });

describe('over a socket', () => {
  it('answers whole and streamed', async () => {
    const { server } = await start();
    expect(server.url).toBe(`http://127.0.0.1:${server.port}`);
    const whole: Json = await (await postTo(server, CHAT)).json();
    const response = await postTo(server, { ...CHAT, stream: true });
    const events = parseEvents(await response.text());
    const text = events.map((event) => event.choices[0].delta.content ?? '').join('');
    expect(text).toBe(whole.choices[0].message.content);
    expect(text).toBe('Hello, world!');
  });

  it('sends each token when it comes', async () => {
    const { server } = await start({ script: endless, delayMs: 20 });
    const client = new AbortController();
    const response = await postTo(server, { ...CHAT, stream: true }, { signal: client.signal });
    const reader = response.body?.getReader();
    const sizes: number[] = [];
    for (let i = 0; i < 5; i++) sizes.push((await reader?.read())?.value?.length ?? 0);
    client.abort();
    // Far from a buffer's worth: an event or two a piece.
    expect(Math.max(...sizes)).toBeLessThan(600);
  });

  it('says that a port is taken', async () => {
    const { server } = await start();
    const { app } = testApp();
    await expect(listen(app, { host: '127.0.0.1', port: server.port })).rejects.toMatchObject({
      code: 'E_PORT_IN_USE',
      hint: expect.stringContaining('--port'),
    });
  });
});

describe('a client that goes away', () => {
  it.each([
    ['from a stream', { ...CHAT, n: 3, stream: true }],
    ['from a whole answer', { ...CHAT, n: 3 }],
  ])('%s: its sequences end', async (_, body) => {
    const { server, runtime, app } = await start({ script: endless, delayMs: 1 });
    const client = await RawClient.connect(server.port);
    client.post(CHAT_PATH, body);
    await until('it runs', () => runtime.numLive === 3);
    client.socket.destroy();
    await until('it has ended', () => runtime.numLive === 0 && app.lifecycle.numActive === 0);
    expect(runtime.numCancelled).toBe(3);
  });

  it.each([true, false])('behind several requests at once: all of them end (stream: %s)', async (stream) => {
    const { server, runtime, app } = await start({ script: endless, delayMs: 1 });
    const client = await RawClient.connect(server.port);
    for (let i = 0; i < 12; i++) client.post(CHAT_PATH, { ...CHAT, stream });
    await until('they run', () => runtime.numLive === 12);
    client.socket.destroy();
    await until('they have ended', () => runtime.numLive === 0 && app.lifecycle.numActive === 0);
    const begin = performance.now();
    expect(await server.drain(5000)).toBe(0);
    expect(performance.now() - begin).toBeLessThan(1000);
  });

  it('in the middle of its request: nothing runs, nothing is logged', async () => {
    const stderr = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    const { server, runtime } = await start();
    const client = await RawClient.connect(server.port);
    client.send(
      `POST ${CHAT_PATH} HTTP/1.1`,
      'Host: x',
      'Content-Type: application/json',
      'Content-Length: 100',
      '',
      '{"a',
    );
    await new Promise((resolve) => setTimeout(resolve, 50));
    client.socket.resetAndDestroy();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(runtime.submitted).toHaveLength(0);
    expect(stderr).not.toHaveBeenCalled();
    stderr.mockRestore();
  });

  it('many at once, at random times: nothing is left over', async () => {
    const { server, runtime, app } = await start({ script: () => bytesOf('word '.repeat(100)), delayMs: 1 });
    const clients = await Promise.all(Array.from({ length: 100 }, () => RawClient.connect(server.port)));
    await Promise.all(
      clients.map(async (client, i) => {
        client.post(CHAT_PATH, { ...CHAT, stream: i % 2 === 0, max_tokens: 300 });
        await new Promise((resolve) => setTimeout(resolve, (i * 37) % 150));
        client.socket.destroy();
      }),
    );
    await until('all have ended', () => runtime.numLive === 0 && app.lifecycle.numActive === 0);
  });
});

describe('limits', () => {
  it('refuses large headers', async () => {
    const { server } = await start();
    const client = await RawClient.connect(server.port);
    client.send('GET /health HTTP/1.1', 'Host: x', `X-Large: ${'x'.repeat(20_000)}`, '', '');
    await client.closed;
    expect(client.status).toBe(431);
    expect(client.json).toMatchObject({ error: { message: expect.stringContaining('16384') } });
  });

  it('refuses a large body by its declared length, without reading it', async () => {
    const { server } = await start();
    const client = await RawClient.connect(server.port);
    client.send(
      `POST ${CHAT_PATH} HTTP/1.1`,
      'Host: x',
      'Content-Type: application/json',
      'Content-Length: 5000000',
      '',
      '',
    );
    await until('it has answered', () => client.status === 413);
    expect(client.json).toMatchObject({ error: { type: 'invalid_request_error' } });
    await client.closed;
  });

  it('refuses a large body in chunks as soon as it is too large', async () => {
    const { server } = await start();
    const client = await RawClient.connect(server.port);
    client.send(
      `POST ${CHAT_PATH} HTTP/1.1`,
      'Host: x',
      'Content-Type: application/json',
      'Transfer-Encoding: chunked',
      '',
      '',
    );
    const chunk = `10000\r\n${'x'.repeat(65_536)}\r\n`;
    for (let i = 0; i < 80 && !client.status; i++) {
      client.socket.write(chunk);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await until('it has answered', () => client.status === 413);
    await client.closed;
  });

  it('gives a client that sends a large body regardless its answer', async () => {
    const { server } = await start();
    const response = await postTo(server, { ...CHAT, pad: 'x'.repeat(6_000_000) });
    expect(response.status).toBe(413);
    expect(((await response.json()) as Json).error.message).toContain('4194304');
  });

  it.each([
    ['too large', CHAT_PATH, [], 413],
    ['too large, the last of its connection', CHAT_PATH, ['Connection: close'], 413],
    ['for nobody, the last of its connection', '/nowhere', ['Connection: close'], 404],
    ['behind large headers', CHAT_PATH, [`X-Large: ${'x'.repeat(20_000)}`], 431],
  ])('and one that reads nothing before all of it is sent: %s', async (_, path, headers, status) => {
    const { server } = await start();
    const client = await RawClient.connect(server.port);
    client.socket.pause();
    const faults: Error[] = [];
    client.socket.on('error', (error) => faults.push(error));
    await new Promise<void>((resolve) => {
      client.post(path, { ...CHAT, pad: 'x'.repeat(6_000_000) }, ...headers);
      client.socket.write('', () => resolve());
    });
    client.socket.resume();
    await client.closed;
    expect([client.status, faults]).toEqual([status, []]);
  });

  it.each([
    ['headers', ['GET /health HTTP/1.1', 'Host: x', 'X-Slow: ']],
    [
      'a body',
      [`POST ${CHAT_PATH} HTTP/1.1`, 'Host: x', 'Content-Type: application/json', 'Content-Length: 50', '', '{'],
    ],
  ])('cuts off %s that come too slowly', async (_, lines) => {
    const { server } = await start({}, { headersTimeoutMs: 200, requestTimeoutMs: 200 });
    const client = await RawClient.connect(server.port);
    client.send(...lines);
    await client.closed;
    expect(client.status).toBe(408);
    expect(client.json).toMatchObject({ error: { type: 'invalid_request_error' } });
  });

  it('does not cut off a stream that takes longer than a request may', async () => {
    const { server } = await start({ script: () => bytesOf('x'.repeat(30)), delayMs: 50 }, { requestTimeoutMs: 200 });
    const response = await postTo(server, { ...CHAT, stream: true, max_tokens: 30 });
    const events = parseEvents(await response.text());
    expect(events.at(-1).choices[0].finish_reason).toBe('length');
  });

  it.each([
    ['no HTTP', ['hello', '', '']],
    ['no host', ['GET /health HTTP/1.1', '', '']],
    ['a host that is none', ['GET /health HTTP/1.1', 'Host: a b', '', '']],
    ['two lengths', ['POST /generate HTTP/1.1', 'Host: x', 'Content-Length: 1', 'Content-Length: 2', '', 'xx']],
    [
      'a length and chunks',
      ['POST /generate HTTP/1.1', 'Host: x', 'Content-Length: 5', 'Transfer-Encoding: chunked', '', '0', '', ''],
    ],
    [
      'bad chunks',
      [
        'POST /generate HTTP/1.1',
        'Host: x',
        'Content-Type: application/json',
        'Transfer-Encoding: chunked',
        '',
        'zz',
        '',
        '',
      ],
    ],
  ])('answers 400 to %s', async (_, lines) => {
    const { server } = await start();
    const client = await RawClient.connect(server.port);
    client.send(...lines);
    await until('it has answered', () => client.received.includes('}'));
    expect(client.status).toBe(400);
    expect(client.json).toMatchObject({ error: { type: 'invalid_request_error', param: null } });
    client.socket.destroy();
  });

  it.each([
    ['a probe that names no host', ['GET /health HTTP/1.0', '', ''], 200],
    ['a proxy', ['GET /health HTTP/1.0', 'Host: x', '', ''], 200],
    ['a request without a body', ['POST /v1/embeddings HTTP/1.0', '', ''], 400],
  ])('speaks HTTP/1.0: %s', async (_, lines, status) => {
    const { app, server } = await start();
    await app.lifecycle.warmUp();
    const client = await RawClient.connect(server.port);
    client.send(...lines);
    await client.closed;
    expect(client.status).toBe(status);
    expect(client.json).toBeTypeOf('object');
  });

  it('streams to HTTP/1.0, the end of which is the end of the connection', async () => {
    const { server } = await start();
    const body = JSON.stringify({ ...CHAT, stream: true });
    const client = await RawClient.connect(server.port);
    const head = ['Content-Type: application/json', `Content-Length: ${body.length}`, '', body];
    client.send(`POST ${CHAT_PATH} HTTP/1.0`, ...head);
    await client.closed;
    expect(client.received).not.toContain('chunked');
    expect(parseEvents(client.received.split('\r\n\r\n')[1] as string).length).toBeGreaterThan(5);
  });

  it('says what it cannot expect', async () => {
    const { server } = await start();
    const client = await RawClient.connect(server.port);
    client.post(CHAT_PATH, CHAT, 'Expect: a-miracle');
    await client.closed;
    expect(client.status).toBe(417);
    expect(client.received).toContain('"type":"invalid_request_error"');
  });

  it('answers over a limit within 20 ms', async () => {
    const { server } = await start();
    const bodies = [
      { ...CHAT, n: 1000 },
      { messages: Array(20_000).fill({}) },
      { ...CHAT, stop: Array(1000).fill('x') },
    ];
    await postTo(server, { ...CHAT, n: 100 });
    for (const body of bodies) {
      const times: number[] = [];
      // The best of a few: the machine may be busy with other things.
      for (let i = 0; i < 5; i++) {
        const begin = performance.now();
        expect((await postTo(server, body)).status).toBe(400);
        times.push(performance.now() - begin);
      }
      expect(Math.min(...times)).toBeLessThan(20);
    }
  });
});

describe('a slow client', () => {
  it('holds back only its own stream, and no more than a little of that', async () => {
    let produced = 0;
    const script = function* () {
      for (; produced < 50_000; produced++) yield 0x61;
    };
    const contextLength = 200_000;
    const { server, runtime } = await start({
      script,
      server: { contextLength },
      totalTokens: contextLength,
      delayMs: null,
    });
    const client = await RawClient.connect(server.port);
    client.socket.pause();
    client.post(CHAT_PATH, { ...CHAT, stream: true, max_tokens: 50_000 });
    await until('something came', () => produced > 100);
    let last = -1;
    await until('it has stopped', () => {
      const isStill = produced === last;
      last = produced;
      return isStill;
    });
    // The kernel's buffers on both ends, and 64 KiB of ours, at some 200 bytes an event.
    expect(produced).toBeLessThan(40_000);
    client.socket.resume();
    await until('all came', () => client.received.includes('[DONE]'), 8000);
    expect(client.received.match(/"content":"a"/g)).toHaveLength(50_000);
    expect(runtime.numLive).toBe(0);
  });
});

describe('a client that does not take its answer', () => {
  it('is cut off', async () => {
    const contextLength = 10_000_000;
    const options = { server: { contextLength }, totalTokens: contextLength };
    const { server, runtime } = await start(options, { answerTimeoutMs: 100 });
    const client = await RawClient.connect(server.port);
    client.post('/v1/completions', { prompt: 'x'.repeat(3_000_000), echo: true, max_tokens: 0, n: 8 });
    await until('some of it came', () => client.status === 200, 5000);
    client.socket.pause();
    await new Promise((resolve) => setTimeout(resolve, 500));
    const begin = performance.now();
    expect(await server.drain(5000)).toBe(0);
    expect(performance.now() - begin).toBeLessThan(1000);
    client.socket.resume();
    await client.closed;
    expect(client.received.length).toBeLessThan(24_000_000);
    expect(runtime.numLive).toBe(0);
  });
});

describe('draining', () => {
  it('lets streams finish, and refuses what is new', async () => {
    const { server, app } = await start({ script: () => bytesOf('x'.repeat(20)), delayMs: 10 });
    await app.lifecycle.warmUp();
    const response = await postTo(server, { ...CHAT, stream: true, max_tokens: 20 });
    const drained = server.drain(5000);
    expect((await fetch(`${server.url}/health`)).status).toBe(503);
    expect((await postTo(server, CHAT)).status).toBe(503);
    const events = parseEvents(await response.text());
    expect(events.at(-1).choices[0].finish_reason).toBe('length');
    expect(await drained).toBe(0);
    await expect(fetch(`${server.url}/health`)).rejects.toThrow();
  });

  it('cuts off what takes too long, with an error in the stream', async () => {
    const { server, runtime } = await start({ script: endless, delayMs: 5 });
    const response = await postTo(server, { ...CHAT, stream: true });
    const text = response.text();
    const begin = performance.now();
    expect(await server.drain(100)).toBe(1);
    expect(performance.now() - begin).toBeLessThan(1000);
    expect(parseEvents(await text).at(-1)).toMatchObject({ error: { type: 'service_unavailable' } });
    expect(runtime.numLive).toBe(0);
  });

  it('cuts off a client that reads nothing', async () => {
    const { server, runtime } = await start({ script: endless, delayMs: null, server: { contextLength: 4096 } });
    const client = await RawClient.connect(server.port);
    client.socket.pause();
    client.post(CHAT_PATH, { ...CHAT, stream: true, n: 8 });
    await until('it runs', () => runtime.submitted.length === 8);
    await server.drain(50);
    expect(runtime.numLive).toBe(0);
    client.socket.destroy();
  });

  it('ends at once with idle connections open', async () => {
    const { server } = await start();
    await (await fetch(`${server.url}/v1/models`)).text();
    const idle = await RawClient.connect(server.port);
    const begin = performance.now();
    expect(await server.drain(5000)).toBe(0);
    expect(performance.now() - begin).toBeLessThan(2000);
    await idle.closed;
    await server.close();
  });
});

it('listens where it is told', async () => {
  const { app } = testApp();
  const other = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => other.once('listening', resolve));
  const { port } = other.address() as AddressInfo;
  await expect(listen(app, { host: '127.0.0.1', port })).rejects.toMatchObject({ code: 'E_PORT_IN_USE' });
  await expect(listen(app, { host: '192.0.2.1', port: 0 })).rejects.toMatchObject({ code: 'E_USAGE' });
  other.close();
  const server = await listen(app, { host: '0.0.0.0', port: 0 });
  running.push(server);
  expect(server.url).toBe(`http://127.0.0.1:${server.port}`);
  expect((await fetch(`${server.url}/v1/models`)).status).toBe(200);
});

it('a privileged port is a matter of rights', () => {
  const error = Object.assign(new Error('x'), { code: 'EACCES' });
  expect(bindError(error, '127.0.0.1', 80)).toMatchObject({ hint: 'Choose a port above 1023.' });
});
