/** The server under measurement: what it serves, and what it can be asked. */
import { Agent } from 'undici';
import { type Endpoint, type ServedModel, servedModel, serverInfo } from '../client.js';
import { JsgError } from '../errors.js';
import { CLOCK } from './clock.js';
import { type EndpointName, type Message, ROUTES, requestBody } from './request-body.js';
import { type SendOptions, send } from './send.js';
import type { Trace } from './trace.js';

export interface Target extends Endpoint {
  model: string;
  route: (typeof ROUTES)[EndpointName];
  /** Who wrote the server, as far as it tells: `jsg`, `sglang`, `vllm`, `llamacpp`; null: it does not. */
  server: string | null;
  /** `ignore_eos` is understood: answers have the length that was asked for. */
  hasIgnoreEos: boolean;
  /** `stream_options` is understood: token counts come with the stream. */
  hasStreamOptions: boolean;
  /** Fields that a person wants in every request. */
  extraBody: Record<string, unknown>;
  /** Bytes of weights that a step reads, and of keys and values a position; null: the server does not tell. */
  weightBytes: number | null;
  kvBytesPerToken: number | null;
  /** Seconds that loading the weights took; null: the server does not tell. */
  loadS: number | null;
  /** Where the model lies, as the server tells; null: it does not. */
  modelPath: string | null;
  /** What computes, as the server tells it: `avx512-vnni, 2 threads`; null: it does not. */
  runtime: string | null;
  agent: Agent;
}

/** They take `ignore_eos` on OpenAI's routes. */
const IGNORE_EOS = ['jsg', 'sglang', 'vllm', 'llamacpp'];

/**
 * Asks a server what it is; `model` null: the first it lists. Throws E_UNAVAILABLE, E_UNAUTHORIZED, E_NOT_FOUND, E_TIMEOUT,
 * and E_INTERRUPTED at `signal`.
 */
export async function discoverTarget(
  endpoint: Endpoint,
  model: string | null,
  signal?: AbortSignal | undefined,
): Promise<Target> {
  try {
    return await askWhatItIs(endpoint, model, signal);
  } catch (error) {
    if (!signal?.aborted) throw error;
    throw new JsgError('E_INTERRUPTED', 'the run was ended before anything was measured', { cause: error });
  }
}

async function askWhatItIs(endpoint: Endpoint, model: string | null, signal?: AbortSignal): Promise<Target> {
  const listed = servedModel(endpoint, signal);
  const served = await (model === null ? listed : listed.catch(unlisted));
  const info = await serverInfo(endpoint, signal);
  const runtime = (info?.runtime ?? {}) as Partial<Record<string, unknown>>;
  const number = (key: string) => (typeof runtime[key] === 'number' ? runtime[key] : null);
  const server = served?.owner ?? (info === null ? null : 'sglang');
  return {
    ...endpoint,
    model: model ?? served?.id ?? '',
    route: ROUTES.completions,
    server,
    hasIgnoreEos: info !== null || IGNORE_EOS.includes(server ?? ''),
    hasStreamOptions: true,
    extraBody: {},
    weightBytes: number('weightBytes'),
    kvBytesPerToken: number('kvBytesPerToken'),
    loadS: typeof runtime.loadMs === 'number' ? runtime.loadMs / 1000 : null,
    modelPath: typeof info?.model_path === 'string' ? info.model_path : null,
    runtime: typeof runtime.isa === 'string' ? `${runtime.isa}, ${number('numThreads')} threads` : null,
    // No time limit: a long prompt on a slow machine is a figure, not a fault. As many connections as there are requests.
    agent: new Agent({ headersTimeout: 0, bodyTimeout: 0, connections: null, pipelining: 1 }),
  };
}

/** A named model needs no list; a server that does not answer is another matter. */
function unlisted(error: unknown): ServedModel | null {
  if (error instanceof JsgError && error.code === 'E_NOT_FOUND') return null;
  throw error;
}

/** The runtime names its instruction set, on a GPU as `sm_87`: 87. Null: it computes on the CPU, or does not tell. */
export function gpuOf({ runtime }: Pick<Target, 'runtime'>): number | null {
  const sm = /^sm_(\d+)/.exec(runtime ?? '')?.[1];
  return sm === undefined ? null : Number(sm);
}

interface Trial extends Pick<SendOptions, 'signal' | 'timeoutMs'> {
  wanted: EndpointName | null;
  maxTokens: number;
}

/**
 * Settles on what the server understands: its route (`wanted`; null: text completions where there are such, which put no
 * template around a prompt, else chat), and whether it counts tokens in streams. The requests that find out warm the server up.
 * Returns what is to be said of it; throws what the server refuses.
 */
export async function settleTarget(target: Target, { wanted, maxTokens, signal, timeoutMs }: Trial): Promise<string[]> {
  const notes: string[] = [];
  const tryOut = () => sendTrial(target, maxTokens, { signal, timeoutMs });
  if (wanted !== null) target.route = ROUTES[wanted];
  let trace = await tryOut();
  if (wanted === null && isMissing(trace)) {
    target.route = ROUTES.chat;
    notes.push(`no ${ROUTES.completions}: measured over ${ROUTES.chat}`);
    trace = await tryOut();
  }
  if (/^http 4(00|22)$/.test(trace.failure?.kind ?? '')) {
    target.hasStreamOptions = false;
    trace = await tryOut();
  }
  requireWell(target, trace);
  return notes;
}

const isMissing = ({ failure }: Trace) => failure !== null && ['http 404', 'http 405'].includes(failure.kind);

async function sendTrial(
  target: Target,
  maxTokens: number,
  options: Pick<SendOptions, 'signal' | 'timeoutMs'>,
): Promise<Trace> {
  const messages: Message[] = [{ role: 'user', content: 'Tell me about the weather in the mountains.' }];
  return (await send(target, requestBody(target, messages, maxTokens), { clock: CLOCK, ...options })).trace;
}

const CODES = {
  'http 400': 'E_INVALID_REQUEST',
  'http 401': 'E_UNAUTHORIZED',
  'http 404': 'E_NOT_FOUND',
  'http 413': 'E_INVALID_REQUEST',
  'http 422': 'E_INVALID_REQUEST',
  'http 429': 'E_QUEUE_FULL',
  connection: 'E_UNAVAILABLE',
  timeout: 'E_TIMEOUT',
} as const;

/** Throws what a request that has to go well met with. */
export function requireWell({ url, route }: Pick<Target, 'url' | 'route'>, { failure }: Trace): void {
  if (failure === null) return;
  const { kind, message } = failure;
  if (kind === 'cancelled') throw new JsgError('E_INTERRUPTED', 'the run was ended before anything was measured');
  const code = CODES[kind as keyof typeof CODES] ?? 'E_RUNTIME_FAILED';
  const status = /^http (\d+)$/.exec(kind)?.[1];
  const said =
    status !== undefined
      ? `POST ${route} answered ${status}: ${message}`
      : kind === 'connection' || kind === 'cut off'
        ? `the connection to ${url} was lost (${message})`
        : `${url}${route}: ${message}`;
  throw new JsgError(kind === 'cut off' ? 'E_UNAVAILABLE' : code, said);
}
