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
  const stray = [
    ['a user', url.username || url.password],
    ['a query', url.search],
    ['a fragment', url.hash],
  ].find(([, part]) => part !== '');
  if (stray !== undefined) {
    // Not the text itself: it may hold a password.
    throw new JsgError('E_USAGE', `the URL of ${url.host} has ${stray[0]}, which would not be sent`, {
      hint: 'A key goes by --api-key.',
    });
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
      throw signal?.aborted ? error : unreachable(url, error);
    },
  );
  if (response.ok) return response;
  if (response.status === 401) {
    const said = apiKey === null ? `${url} asks for an API key` : `${url} does not take this API key`;
    throw new JsgError('E_UNAUTHORIZED', said, { hint: '--api-key KEY' });
  }
  const fault = faultText(await response.text());
  throw new JsgError(codeOf(response.status), `${url}${path} answered ${response.status}: ${fault}`);
}

/** Codes of the system say more than their messages; undici's own say less: `other side closed`. */
export function reasonOf({ code = '', message }: NodeJS.ErrnoException): string {
  return code === '' || code.startsWith('UND_') ? message || code : code;
}

/** `error`: of fetch, whose cause tells what happened. */
function unreachable(url: string, error: Error): JsgError {
  const cause = (error.cause ?? error) as NodeJS.ErrnoException;
  const { code = '', message = '' } = cause;
  const fail = (said: string, hint: string) => new JsgError('E_UNAVAILABLE', said, { hint, cause: error });
  if (/CERT|SIGNATURE/.test(code)) {
    return fail(
      `the certificate of ${url} is not trusted (${message || code})`,
      'NODE_EXTRA_CA_CERTS=FILE in the environment names one to trust.',
    );
  }
  if (/SSL|EPROTO/.test(code))
    return fail(`${url} does not speak TLS (${code})`, 'Is it http:// rather than https://?');
  const reason = reasonOf(cause);
  return fail(
    `no server answers at ${url}${reason === '' ? '' : ` (${reason})`}`,
    'Start one with `jsg launch`, or check the URL.',
  );
}

/** What a server says of itself it says soon, however busy it is. */
const TELLS_WITHIN_MS = 30_000;

/** The JSON of a GET; throws E_TIMEOUT, and E_NOT_FOUND for what is no JSON. */
async function tell(endpoint: Endpoint, path: string, signal?: AbortSignal): Promise<unknown> {
  const limit = AbortSignal.timeout(TELLS_WITHIN_MS);
  try {
    return await (await ask(endpoint, path, undefined, signal ? AbortSignal.any([signal, limit]) : limit)).json();
  } catch (error) {
    if (limit.aborted && !signal?.aborted) {
      throw new JsgError('E_TIMEOUT', `${endpoint.url}${path} gave no answer within ${TELLS_WITHIN_MS / 1000} s`);
    }
    if (!(error instanceof SyntaxError)) throw error;
    const said = `${endpoint.url}${path} does not answer with JSON`;
    throw new JsgError('E_NOT_FOUND', said, { hint: 'Is it the URL of an OpenAI-compatible server?', cause: error });
  }
}

export interface ServedModel {
  id: string;
  /** `owned_by`, as far as it tells who wrote the server: `jsg`, `sglang`, `vllm`, `llamacpp`; null: it does not. */
  owner: string | null;
}

/** The first model that the server lists; throws E_NOT_FOUND where it lists none. */
export async function servedModel(endpoint: Endpoint, signal?: AbortSignal): Promise<ServedModel> {
  const path = '/v1/models';
  const listed = (await tell(endpoint, path, signal).catch((error) => {
    if (!(error instanceof JsgError) || error.code !== 'E_NOT_FOUND' || error.hint) throw error;
    throw new JsgError('E_NOT_FOUND', error.message, { hint: NAME_ONE, cause: error });
  })) as { data?: { id?: string; owned_by?: string }[] } | null;
  const first = listed?.data?.[0];
  if (first?.id) return { id: first.id, owner: first.owned_by ?? null };
  throw new JsgError('E_NOT_FOUND', `${endpoint.url}${path} lists no model`, { hint: NAME_ONE });
}

const NAME_ONE = 'Name one with --model.';

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

/** The message of an error's body as OpenAI, vLLM or FastAPI write it, else the beginning of the body. */
export function faultText(body: string): string {
  try {
    const { error, message = error, detail = message } = JSON.parse(body) as Record<string, unknown>;
    const said = (error as { message?: unknown } | null)?.message ?? detail;
    if (typeof said === 'string') return said;
  } catch {
    // no JSON
  }
  return body.slice(0, 200).replaceAll('\n', ' ');
}

function codeOf(status: number): ErrorCode {
  if (status === 404 || status === 405) return 'E_NOT_FOUND';
  if (status === 429) return 'E_QUEUE_FULL';
  return status < 500 ? 'E_INVALID_REQUEST' : 'E_UNAVAILABLE';
}

/** What `/get_server_info` tells; null where there is no such route, so the server is none of SGLang's kind. */
export async function serverInfo(endpoint: Endpoint, signal?: AbortSignal): Promise<Record<string, unknown> | null> {
  try {
    return (await tell(endpoint, '/get_server_info', signal)) as Record<string, unknown>;
  } catch (error) {
    const isNone = error instanceof JsgError && error.code !== 'E_UNAVAILABLE' && error.code !== 'E_UNAUTHORIZED';
    if (isNone) return null;
    throw error;
  }
}
