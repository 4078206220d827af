/** The measurement against a scripted server whose speed is known. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { measure, type Workload } from '../../../src/bench/measure.js';
import { discoverTarget } from '../../../src/bench/target.js';

interface Body {
  prompt?: string;
  messages?: { content: string }[];
  max_tokens: number;
  ignore_eos?: boolean;
}

interface Script {
  stepMs: number;
  hasCompletions?: boolean;
  hasUsage?: boolean;
  serverInfo?: object;
  /** Breaks the connection after this many tokens. */
  breakAfter?: number;
  /** Ends every stream after this many tokens, unless told to ignore the end. */
  endAfter?: number;
}

let server: Server | undefined;
afterEach(() => server?.close());
const seen: { url: string; body: Body }[] = [];

async function start(script: Script): Promise<string> {
  seen.length = 0;
  server = createServer((request, response) => void answer(script, request, response));
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function answer(script: Script, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = request.url ?? '';
  if (url === '/v1/models') return void response.end(JSON.stringify({ data: [{ id: 'scripted' }] }));
  if (url === '/get_server_info' && script.serverInfo) return void response.end(JSON.stringify(script.serverInfo));
  const isChat = url === '/v1/chat/completions';
  if (!isChat && !(url === '/v1/completions' && script.hasCompletions !== false)) {
    return void response.writeHead(404).end('{"error": {"message": "no such route"}}');
  }
  let text = '';
  for await (const chunk of request) text += chunk;
  const body = JSON.parse(text) as Body;
  seen.push({ url, body });
  const prompt = body.prompt ?? body.messages?.[0]?.content ?? '';
  const promptTokens = Math.round(prompt.split(' ').length * 1.25);
  const numTokens = Math.min(body.max_tokens, body.ignore_eos ? body.max_tokens : (script.endAfter ?? body.max_tokens));
  const send = (chunk: object) => response.write(`data: ${JSON.stringify(chunk)}\n\n`);
  for (let i = 0; i < numTokens; i++) {
    await sleep(script.stepMs);
    if (i === script.breakAfter) return void response.destroy();
    send({ choices: [isChat ? { delta: { content: 'a' } } : { text: 'a' }] });
  }
  send({ choices: [isChat ? { delta: {}, finish_reason: 'length' } : { text: '', finish_reason: 'length' }] });
  if (script.hasUsage !== false)
    send({ choices: [], usage: { prompt_tokens: promptTokens, completion_tokens: numTokens } });
  response.end('data: [DONE]\n\n');
}

const workload: Workload = { batches: [1, 2], promptTokens: 200, maxTokens: 10, repeats: 1 };
const run = async (url: string, readBandwidthGBs: number | null = null) =>
  measure(await discoverTarget({ url, apiKey: null }, null), workload, readBandwidthGBs, () => {});

describe('measure', () => {
  it('finds the rates, the bytes and the share', async () => {
    const runtime = { weightBytes: 1e6, kvBytesPerToken: 100, isa: 'x', numThreads: 1 };
    const figures = await run(await start({ stepMs: 20, serverInfo: { runtime } }), 1);
    const [one, two] = figures.decode;
    expect(one?.tokensPerSecond).toBeGreaterThan(25);
    expect(one?.tokensPerSecond).toBeLessThan(51);
    expect((two?.tokensPerSecond ?? 0) / (one?.tokensPerSecond ?? 1)).toBeGreaterThan(1.5);
    expect(one?.bytesPerToken).toBeGreaterThan(1e6);
    expect(two?.bytesPerToken).toBeLessThan(0.6e6);
    expect(one?.share).toBeCloseTo(((one?.tokensPerSecond ?? 0) * (one?.bytesPerToken ?? 0)) / 1e9, 9);
    expect(figures.notes).toEqual([]);
  });

  it('scales the prompt of the prefill to the tokens asked for', async () => {
    const { prefill } = await run(await start({ stepMs: 1 }));
    expect(prefill?.promptTokens).toBeGreaterThan(190);
    expect(prefill?.promptTokens).toBeLessThan(210);
  });

  it('never sends a prompt twice, nor two with the same beginning', async () => {
    await run(await start({ stepMs: 1 }));
    const beginnings = seen.map(({ body }) => body.prompt?.split(' ').slice(0, 1).join(' '));
    expect(new Set(beginnings).size).toBe(seen.length);
  });

  it("asks a server of SGLang's kind to go on past the end, and no other", async () => {
    await run(await start({ stepMs: 1, serverInfo: {}, endAfter: 3 }));
    expect(seen.every(({ body }) => body.ignore_eos === true)).toBe(true);
    const { notes } = await run(await start({ stepMs: 1, endAfter: 3 }));
    expect(seen.some(({ body }) => 'ignore_eos' in body)).toBe(false);
    expect(notes.join()).toContain('batch 2: 2 of 2 streams ended before 10 tokens');
  });

  it('goes by chat where there are no text completions, and says so', async () => {
    const { decode, notes } = await run(await start({ stepMs: 1, hasCompletions: false }));
    expect(decode[0]?.tokensPerSecond).toBeGreaterThan(0);
    expect(notes.join()).toContain('/v1/chat/completions');
  });

  it('counts pieces where the server sends no usage, and says so', async () => {
    const { decode, prefill, notes } = await run(await start({ stepMs: 1, hasUsage: false }));
    expect(decode[0]?.tokensPerSecond).toBeGreaterThan(0);
    expect(prefill).toBeNull();
    expect(notes.join()).toContain('sends no usage');
  });

  it('says when a stream breaks', async () => {
    await expect(run(await start({ stepMs: 1, breakAfter: 3 }))).rejects.toMatchObject({
      code: 'E_UNAVAILABLE',
      message: expect.stringContaining('was lost'),
    });
  });

  it('says when nobody answers', async () => {
    const url = await start({ stepMs: 1 });
    await new Promise((resolve) => server?.close(resolve));
    await expect(run(url)).rejects.toMatchObject({ code: 'E_UNAVAILABLE' });
  });
});
