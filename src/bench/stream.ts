/** One streamed completion, observed as a client sees it. */
import { performance } from 'node:perf_hooks';
import { request } from 'undici';
import { headersFor } from '../client.js';
import { JsgError } from '../errors.js';
import { readEvents } from '../server-events.js';
import type { Trace } from './figures.js';
import type { Target } from './target.js';

interface Chunk {
  choices?: {
    text?: string;
    delta?: { content?: string | null; reasoning_content?: string | null };
    finish_reason?: string | null;
  }[];
  usage?: { prompt_tokens?: number; completion_tokens?: number } | null;
  error?: { message?: string };
}

/**
 * Settles on a route: text completions where the server has them (no template around the prompt), else chat. The request
 * that finds out also warms the server up. False: it is chat.
 */
export async function chooseEndpoint(target: Target, prompt: string, maxTokens: number): Promise<boolean> {
  try {
    await traceCompletion(target, prompt, maxTokens);
    return true;
  } catch (error) {
    if (!(error instanceof JsgError) || error.code !== 'E_NOT_FOUND') throw error;
  }
  target.route = '/v1/chat/completions';
  await traceCompletion(target, prompt, maxTokens);
  return false;
}

/** Greedy, up to `maxTokens`; a server that understands `ignore_eos` decodes them all. */
export async function traceCompletion(target: Target, prompt: string, maxTokens: number): Promise<Trace> {
  const body = JSON.stringify(requestBody(target, prompt, maxTokens));
  try {
    return await observe(target, body);
  } catch (error) {
    if (error instanceof JsgError) throw error;
    throw new JsgError('E_UNAVAILABLE', `the connection to ${target.url} was lost`, { cause: error });
  }
}

function requestBody(target: Target, prompt: string, maxTokens: number): object {
  const isChat = target.route === '/v1/chat/completions';
  return {
    model: target.model,
    ...(isChat ? { messages: [{ role: 'user', content: prompt }] } : { prompt }),
    max_tokens: maxTokens,
    temperature: 0,
    stream: true,
    stream_options: { include_usage: true },
    ...(target.isSglangLike ? { ignore_eos: true } : {}),
  };
}

async function observe(target: Target, body: string): Promise<Trace> {
  const { url, route, apiKey, agent } = target;
  const startMs = performance.now();
  const response = await request(url + route, { method: 'POST', dispatcher: agent, headers: headersFor(apiKey), body });
  if (response.statusCode !== 200) throw refused(target, response.statusCode, await response.body.text());
  const pieceMs: number[] = [];
  let usage: Chunk['usage'];
  for await (const data of readEvents(response.body)) {
    const chunk = JSON.parse(data) as Chunk;
    if (chunk.error) throw new JsgError('E_RUNTIME_FAILED', `the server failed: ${chunk.error.message}`);
    const isLoneEnd = pieceMs.length === 0 && chunk.choices?.[0]?.finish_reason;
    if (textOf(chunk) !== '' || isLoneEnd) pieceMs.push(performance.now());
    usage = chunk.usage ?? usage;
  }
  if (pieceMs.length === 0) throw new JsgError('E_RUNTIME_FAILED', 'the server streamed no text');
  // Without usage, pieces are the best count there is: most servers send one token a piece.
  const completionTokens = usage?.completion_tokens ?? pieceMs.length;
  return { startMs, pieceMs, promptTokens: usage?.prompt_tokens ?? Number.NaN, completionTokens };
}

function textOf(chunk: Chunk): string {
  const choice = chunk.choices?.[0];
  return choice?.text ?? choice?.delta?.content ?? choice?.delta?.reasoning_content ?? '';
}

function refused(target: Target, status: number, body: string): JsgError {
  const code = status === 401 ? 'E_UNAUTHORIZED' : status === 404 ? 'E_NOT_FOUND' : 'E_RUNTIME_FAILED';
  return new JsgError(code, `POST ${target.route} answered ${status}: ${body.slice(0, 200).replaceAll('\n', ' ')}`);
}
