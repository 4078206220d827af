/** The server under measurement: what it serves, and what it can be asked. */
import { Agent } from 'undici';
import { type Endpoint, servedModel, serverInfo } from '../client.js';

export interface Target extends Endpoint {
  model: string;
  route: '/v1/completions' | '/v1/chat/completions';
  /** It answers SGLang's own routes, so `ignore_eos` is understood. */
  isSglangLike: boolean;
  /** Bytes of weights that a step reads, and of keys and values a position; null: the server does not tell. */
  weightBytes: number | null;
  kvBytesPerToken: number | null;
  /** What computes, as the server tells it: `avx512-vnni, 2 threads`; null: it does not. */
  runtime: string | null;
  agent: Agent;
}

/** Asks a server what it is; `model` null: the first it lists. Throws E_UNAVAILABLE, E_UNAUTHORIZED, E_NOT_FOUND. */
export async function discoverTarget(endpoint: Endpoint, model: string | null): Promise<Target> {
  const name = model ?? (await servedModel(endpoint));
  const info = await serverInfo(endpoint);
  const runtime = (info?.runtime ?? {}) as Partial<Record<string, unknown>>;
  const number = (key: string) => (typeof runtime[key] === 'number' ? runtime[key] : null);
  return {
    ...endpoint,
    model: name,
    route: '/v1/completions',
    isSglangLike: info !== null,
    weightBytes: number('weightBytes'),
    kvBytesPerToken: number('kvBytesPerToken'),
    runtime: typeof runtime.isa === 'string' ? `${runtime.isa}, ${number('numThreads')} threads` : null,
    // No time limit: a long prompt on a slow machine is a figure, not a fault.
    agent: new Agent({ headersTimeout: 0, bodyTimeout: 0, connections: 256 }),
  };
}
