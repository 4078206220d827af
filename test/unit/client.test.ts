import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { normaliseUrl, servedModel, serverInfo } from '../../src/client.js';
import { readEvents } from '../../src/server-events.js';

describe('normaliseUrl', () => {
  it.each([
    ['http://127.0.0.1:30000', 'http://127.0.0.1:30000'],
    ['http://127.0.0.1:30000/', 'http://127.0.0.1:30000'],
    ['http://127.0.0.1:30000/v1', 'http://127.0.0.1:30000'],
    ['https://host/prefix/v1/', 'https://host/prefix'],
    ['localhost:8000', 'http://localhost:8000'],
    ['http://[::1]:8000', 'http://[::1]:8000'],
  ])('%s -> %s', (text, url) => {
    expect(normaliseUrl(text)).toBe(url);
  });

  it.each([
    ['http://u:secret@host/v1', 'the URL of host has a user, which would not be sent'],
    ['http://host/v1?version=1', 'the URL of host has a query, which would not be sent'],
    ['http://host/#a', 'the URL of host has a fragment, which would not be sent'],
  ])('refuses %s', (text, message) => {
    expect(() => normaliseUrl(text)).toThrow(expect.objectContaining({ code: 'E_USAGE', message }));
  });

  it.each(['', 'ftp://host', 'http://', 'not a url'])('refuses %j', (text) => {
    expect(() => normaliseUrl(text)).toThrow(expect.objectContaining({ code: 'E_USAGE' }));
  });
});

describe('what a server says of itself', () => {
  let server: Server | undefined;
  afterEach(() => {
    server?.closeAllConnections();
    server?.close();
  });

  async function start(listener: RequestListener): Promise<string> {
    server = createServer(listener);
    await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  it.each<[string, RequestListener, object]>([
    ['no such route', (_, response) => response.writeHead(404).end(), { hint: 'Name one with --model.' }],
    ['an empty list', (_, response) => response.end('{"data":[]}'), { hint: 'Name one with --model.' }],
    [
      'a page',
      (_, response) => response.end('<html>'),
      { message: expect.stringContaining('/v1/models does not answer with JSON') },
    ],
  ])('a list of models that is %s', async (_, listener, fault) => {
    await expect(servedModel({ url: await start(listener), apiKey: null })).rejects.toMatchObject({
      code: 'E_NOT_FOUND',
      ...fault,
    });
  });

  it('a key that is missing and one that is wrong are told apart', async () => {
    const url = await start((_, response) => response.writeHead(401).end());
    const asked = (apiKey: string | null) => servedModel({ url, apiKey });
    await expect(asked(null)).rejects.toThrow(`${url} asks for an API key`);
    await expect(asked('k')).rejects.toThrow(`${url} does not take this API key`);
  });

  it('says why it cannot be reached', async () => {
    const url = await start(() => {});
    await new Promise((resolve) => server?.close(resolve));
    const endpoint = { url, apiKey: null };
    const refused = { code: 'E_UNAVAILABLE', message: `no server answers at ${url} (ECONNREFUSED)` };
    await expect(servedModel(endpoint)).rejects.toMatchObject(refused);
    await expect(serverInfo(endpoint)).rejects.toMatchObject(refused);
    const plain = (await start((_, response) => response.end('{}'))).replace('http:', 'https:');
    await expect(servedModel({ url: plain, apiKey: null })).rejects.toThrow(`${plain} does not speak TLS`);
  });

  it('is given up at a signal', async () => {
    const url = await start(() => {});
    const asked = servedModel({ url, apiKey: null }, AbortSignal.timeout(20));
    await expect(asked).rejects.toMatchObject({ name: 'TimeoutError' });
  });
});

async function events(...chunks: (string | Uint8Array)[]): Promise<string[]> {
  const encoder = new TextEncoder();
  async function* bytes() {
    for (const chunk of chunks) yield typeof chunk === 'string' ? encoder.encode(chunk) : chunk;
  }
  const seen = [];
  for await (const event of readEvents(bytes())) seen.push(event);
  return seen;
}

describe('readEvents', () => {
  it('puts together what the network cut, and stops at [DONE]', async () => {
    expect(await events('data: {"a"', ':1}\n', '\ndata: 2\n\nda', 'ta: [DONE]\n\ndata: 3\n\n')).toEqual([
      '{"a":1}',
      '2',
    ]);
  });

  it('never breaks a character', async () => {
    const bytes = new TextEncoder().encode('data: é\n\n');
    expect(await events(bytes.slice(0, 7), bytes.slice(7))).toEqual(['é']);
  });

  it('skips comments and empty events, takes CRLF and data of several lines', async () => {
    expect(await events(': ping\n\ndata: 1\r\n\r\nevent: x\ndata: a\ndata: b\n\n')).toEqual(['1', 'a\nb']);
  });
});
