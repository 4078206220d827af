/** What every client of an OpenAI-compatible server needs: its URL, its headers, its stream of events. */
import { fetch, type Response } from 'undici';
import { type ErrorCode, JsgError } from './errors.js';
import { readEvents } from './server-events.js';

export interface Endpoint {
  /** Without a trailing slash and without `/v1`. */
  url: string;
  apiKey: string | null;
}

/** `http://host:1/v1/` -> `http://host:1`; throws E_USAGE for what is no http URL. */
export function normaliseUrl(text: string): string {
  const withScheme = /^[a-z]+:\/\//i.test(text) ? text : `http://${text}`;
  const url = URL.canParse(withScheme) ? new URL(withScheme) : null;
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new JsgError('E_USAGE', `'${text}' is not a URL`, { hint: 'For example http://127.0.0.1:30000' });
  }
  return `${url.origin}${url.pathname.replace(/\/+$/, '').replace(/\/v1$/, '')}`;
}

export function headersFor(apiKey: string | null): Record<string, string> {
  return { 'content-type': 'application/json', ...(apiKey === null ? {} : { authorization: `Bearer ${apiKey}` }) };
}

/** A GET or POST; throws E_UNAVAILABLE where nobody answers, and the fault of an answer that is not 2xx. */
async function ask(endpoint: Endpoint, path: string, body?: object, signal?: AbortSignal): Promise<Response> {
  const { url, apiKey } = endpoint;
  const send = body === undefined ? { method: 'GET' } : { method: 'POST', body: JSON.stringify(body) };
  const response = await fetch(url + path, { ...send, headers: headersFor(apiKey), signal: signal ?? null }).catch(
    (error: Error) => {
      if (error.name === 'AbortError') throw error;
      const hint = 'Start one with `jsg launch`, or check the URL.';
      throw new JsgError('E_UNAVAILABLE', `no server answers at ${url}`, { hint, cause: error });
    },
  );
  if (response.ok) return response;
  if (response.status === 401)
    throw new JsgError('E_UNAUTHORIZED', `${url} asks for an API key`, { hint: '--api-key KEY' });
  const fault = faultText(await response.text());
  throw new JsgError(codeOf(response.status), `${url}${path} answered ${response.status}: ${fault}`);
}

export interface ServedModel {
  id: string;
  /** `owned_by`, as far as it tells who wrote the server: `jsg`, `sglang`, `vllm`, `llamacpp`; null: it does not. */
  owner: string | null;
}

/** The first model that the server lists. */
export async function servedModel(endpoint: Endpoint): Promise<ServedModel> {
  const listed = (await (await ask(endpoint, '/v1/models')).json()) as {
    data?: { id?: string; owned_by?: string }[];
  } | null;
  const first = listed?.data?.[0];
  if (first?.id) return { id: first.id, owner: first.owned_by ?? null };
  throw new JsgError('E_NOT_FOUND', `${endpoint.url}/v1/models lists no model`, { hint: 'Name one with --model.' });
}

/** The pieces of text of one streamed chat completion. */
export async function* streamChat(endpoint: Endpoint, body: object, signal?: AbortSignal): AsyncGenerator<string> {
  const response = await ask(endpoint, '/v1/chat/completions', { ...body, stream: true }, signal);
  if (response.body === null) return;
  try {
    for await (const data of readEvents(response.body)) {
      const chunk = JSON.parse(data) as { choices?: { delta?: { content?: string } }[]; error?: { message: string } };
      if (chunk.error) throw new JsgError('E_RUNTIME_FAILED', chunk.error.message);
      yield chunk.choices?.[0]?.delta?.content ?? '';
    }
  } catch (error) {
    if (error instanceof JsgError || signal?.aborted) throw error;
    throw new JsgError('E_UNAVAILABLE', `the connection to ${endpoint.url} was lost`, { cause: error });
  }
}

/** The message of an OpenAI-shaped error body, else the beginning of the body. */
function faultText(body: string): string {
  try {
    return (JSON.parse(body) as { error: { message: string } }).error.message;
  } catch {
    return body.slice(0, 200).replaceAll('\n', ' ');
  }
}

function codeOf(status: number): ErrorCode {
  if (status === 404 || status === 405) return 'E_NOT_FOUND';
  if (status === 429) return 'E_QUEUE_FULL';
  return status < 500 ? 'E_INVALID_REQUEST' : 'E_UNAVAILABLE';
}

/** What `/get_server_info` tells; null where there is no such route, so the server is none of SGLang's kind. */
export async function serverInfo(endpoint: Endpoint): Promise<Record<string, unknown> | null> {
  try {
    return (await (await ask(endpoint, '/get_server_info')).json()) as Record<string, unknown>;
  } catch (error) {
    if (error instanceof JsgError && (error.code === 'E_UNAVAILABLE' || error.code === 'E_UNAUTHORIZED')) throw error;
    return null;
  }
}
