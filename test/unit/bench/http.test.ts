/** The client on a real connection: what a server says of itself, and how a stream comes through. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { CLOCK } from '../../../src/bench/clock.js';
import { requestBody } from '../../../src/bench/request-body.js';
import { send } from '../../../src/bench/send.js';
import { discoverTarget, settleTarget, type Target } from '../../../src/bench/target.js';

interface Script {
  owner?: string;
  hasCompletions?: boolean;
  hasModels?: boolean;
  /** Refuses bodies that hold this field. */
  refuses?: string;
  serverInfo?: object;
  /** Writes the stream itself. */
  stream?: (response: ServerResponse, numTokens: number) => Promise<void>;
}

let server: Server | undefined;
let targets: Target[] = [];
afterEach(async () => {
  await Promise.all(targets.map(({ agent }) => agent.destroy()));
  targets = [];
  server?.close();
});

async function start(script: Script): Promise<string> {
  server = createServer((request, response) => void answer(script, request, response));
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function answer(script: Script, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = request.url ?? '';
  if (url === '/v1/models' && script.hasModels !== false) {
    return void response.end(JSON.stringify({ data: [{ id: 'scripted', owned_by: script.owner }] }));
  }
  if (url === '/get_server_info' && script.serverInfo) return void response.end(JSON.stringify(script.serverInfo));
  const isThere = url === '/v1/chat/completions' || (url === '/v1/completions' && script.hasCompletions !== false);
  if (!isThere) return void response.writeHead(404).end('{"error": {"message": "no such route"}}');
  let text = '';
  for await (const chunk of request) text += chunk;
  const body = JSON.parse(text) as Record<string, unknown>;
  if (script.refuses !== undefined && script.refuses in body) {
    return void response.writeHead(400).end(`{"error": {"message": "unknown field ${script.refuses}"}}`);
  }
  await (script.stream ?? plain)(response, body.max_tokens as number);
}

const event = (chunk: object) => `data: ${JSON.stringify(chunk)}\n\n`;
const END = event({ choices: [{ text: '', finish_reason: 'length' }] });

async function plain(response: ServerResponse, numTokens: number): Promise<void> {
  for (let i = 0; i < numTokens; i++) response.write(event({ choices: [{ text: 'a', delta: { content: 'a' } }] }));
  response.write(END);
  response.write(event({ choices: [], usage: { prompt_tokens: 5, completion_tokens: numTokens } }));
  response.end('data: [DONE]\n\n');
}

async function targetOf(script: Script, model: string | null = null): Promise<Target> {
  const target = await discoverTarget({ url: await start(script), apiKey: null }, model);
  targets.push(target);
  return target;
}

const settle = (target: Target) => settleTarget(target, { wanted: null, maxTokens: 3 });
const ask = (target: Target, options: Partial<Parameters<typeof send>[2]> = {}) =>
  send(target, requestBody(target, [{ role: 'user', content: 'hi' }], 4), { clock: CLOCK, ...options });

describe('discoverTarget', () => {
  it('learns who serves, and what is understood', async () => {
    const runtime = { weightBytes: 1e6, kvBytesPerToken: 100, isa: 'sm_87', numThreads: 1, loadMs: 2500 };
    expect(await targetOf({ owner: 'jsg', serverInfo: { runtime } })).toMatchObject({
      model: 'scripted',
      server: 'jsg',
      hasIgnoreEos: true,
      weightBytes: 1e6,
      kvBytesPerToken: 100,
      loadS: 2.5,
      runtime: 'sm_87, 1 threads',
    });
  });

  it.each([
    ['vllm', true],
    ['llamacpp', true],
    ['somebody', false],
  ])('%s understands ignore_eos: %s', async (owner, hasIgnoreEos) => {
    expect(await targetOf({ owner })).toMatchObject({ server: owner, hasIgnoreEos, weightBytes: null });
  });

  it('takes a model that is named from a server that lists none', async () => {
    expect(await targetOf({ hasModels: false }, 'mine')).toMatchObject({ model: 'mine', server: null });
    await expect(targetOf({ hasModels: false })).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
  });

  it('is given up when the run is ended', async () => {
    const url = await start({ hasModels: false });
    const discovered = discoverTarget({ url, apiKey: null }, null, AbortSignal.abort());
    await expect(discovered).rejects.toMatchObject({ code: 'E_INTERRUPTED' });
  });

  it('says when nobody answers', async () => {
    const url = await start({});
    await new Promise((resolve) => server?.close(resolve));
    await expect(discoverTarget({ url, apiKey: null }, null)).rejects.toMatchObject({ code: 'E_UNAVAILABLE' });
  });
});

describe('settleTarget', () => {
  it('goes by chat where there are no text completions, and says so', async () => {
    const target = await targetOf({ hasCompletions: false });
    expect((await settle(target)).join()).toContain('no /v1/completions: measured over /v1/chat/completions');
    expect(target.route).toBe('/v1/chat/completions');
  });

  it('leaves stream_options out where they are refused', async () => {
    const target = await targetOf({ refuses: 'stream_options' });
    expect(await settle(target)).toEqual([]);
    expect(target.hasStreamOptions).toBe(false);
  });

  it('fails where the server refuses all the same', async () => {
    const target = await targetOf({ refuses: 'max_tokens' });
    await expect(settle(target)).rejects.toMatchObject({ code: 'E_INVALID_REQUEST' });
  });
});

describe('send', () => {
  it('sees text, usage and the order of time', async () => {
    const { trace, text } = await ask(await targetOf({}), { keepText: true });
    expect(trace).toMatchObject({ promptTokens: 5, completionTokens: 4, countedBy: 'usage', failure: null });
    expect(text).toBe('aaaa');
    const times = [trace.startMs, trace.sentMs, ...trace.pieceMs, trace.endMs];
    expect(times).toEqual([...times].sort((a, b) => a - b));
  });

  it('times what it sees: a pause of the server is a gap of at least its length', async () => {
    const stream = async (response: ServerResponse) => {
      response.write(event({ choices: [{ text: 'a' }] }));
      await sleep(120);
      response.write(event({ choices: [{ text: 'b' }] }));
      response.end(END);
    };
    const { trace } = await ask(await targetOf({ stream }));
    expect((trace.pieceMs[1] ?? 0) - (trace.pieceMs[0] ?? 0)).toBeGreaterThan(100);
    expect(trace).toMatchObject({ countedBy: 'pieces', completionTokens: 2 });
  });

  it.each<[string, (response: ServerResponse) => void, string]>([
    ['breaks', (response) => response.destroy(), 'connection'],
    ['ends without its end', (response) => response.end(), 'cut off'],
    ['is not JSON', (response) => response.end('data: {oops\n\n'), 'stream'],
    ['holds an error', (response) => response.end(event({ error: { message: 'out of memory' } })), 'stream'],
  ])('a stream that %s', async (_, end, kind) => {
    const stream = async (response: ServerResponse) => {
      response.write(event({ choices: [{ text: 'a' }] }));
      await sleep(10);
      end(response);
    };
    const { trace } = await ask(await targetOf({ stream }));
    expect(trace.failure?.kind).toBe(kind);
    expect(trace.failure?.message).not.toContain('UND_');
    expect(trace.pieceMs).toHaveLength(1);
  });

  it('an answer is whole with its [DONE], whatever becomes of the connection', async () => {
    const whole = `${event({ choices: [{ text: 'a' }] })}${END}data: [DONE]\n\n`;
    const ends: ((response: ServerResponse) => void)[] = [() => {}, (response) => response.destroy()];
    for (const end of ends) {
      const stream = async (response: ServerResponse) => {
        response.write(whole);
        await sleep(30);
        end(response);
      };
      const { trace } = await ask(await targetOf({ stream }));
      expect(trace).toMatchObject({ failure: null, completionTokens: 1 });
      // Not when the connection was given up, a second later.
      expect(trace.endMs - (trace.pieceMs[0] ?? 0)).toBeLessThan(500);
    }
  });

  it.each([
    ['{"error": {"message": "too many\\nrequests"}}', 'too many requests (Retry-After: 3)'],
    ['{"object": "error", "message": "full"}', 'full (Retry-After: 3)'],
    ['{"detail": "busy"}', 'busy (Retry-After: 3)'],
    ['<html>\n  busy', '<html> busy (Retry-After: 3)'],
  ])('a refusal is told in the words of its body: %s', async (body, message) => {
    const target = await targetOf({});
    server?.removeAllListeners('request');
    server?.on('request', (_, response: ServerResponse) => response.writeHead(429, { 'retry-after': '3' }).end(body));
    expect((await ask(target)).trace.failure).toEqual({ kind: 'http 429', message });
  });

  it('an answer that is no stream is told as such', async () => {
    const stream = async (response: ServerResponse) => {
      response.setHeader('content-type', 'application/json');
      response.end('{"choices":[{"text":"a"}],"usage":{"completion_tokens":1}}');
    };
    const { trace } = await ask(await targetOf({ stream }));
    const message = 'the answer is application/json, not a stream of events';
    expect(trace.failure).toEqual({ kind: 'stream', message });
  });

  it('a usage of no tokens beside text counts nothing', async () => {
    const stream = async (response: ServerResponse) => {
      response.write(event({ choices: [{ text: 'a' }], usage: { completion_tokens: 0 } }));
      response.end(END);
    };
    expect((await ask(await targetOf({ stream }))).trace).toMatchObject({ completionTokens: 1, countedBy: 'pieces' });
  });

  it('an answer without text is one token by its end, or a failure', async () => {
    const silent = await ask(await targetOf({ stream: async (response) => void response.end(END) }));
    expect(silent.trace).toMatchObject({ failure: null, completionTokens: 1 });
    const empty = await ask(await targetOf({ stream: async (response) => void response.end('data: [DONE]\n\n') }));
    expect(empty.trace.failure?.kind).toBe('empty');
  });

  it('gives up after its time, and when it is told to', async () => {
    const hang = {
      stream: async (response: ServerResponse) => void response.write(event({ choices: [{ text: 'a' }] })),
    };
    expect((await ask(await targetOf(hang), { timeoutMs: 80 })).trace.failure?.kind).toBe('timeout');
    const abort = new AbortController();
    setTimeout(() => abort.abort(), 50);
    expect((await ask(await targetOf(hang), { signal: abort.signal })).trace.failure?.kind).toBe('cancelled');
    expect((await ask(await targetOf(hang), { signal: AbortSignal.abort() })).trace.failure?.kind).toBe('cancelled');
  });
});
