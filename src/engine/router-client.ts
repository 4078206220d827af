/** The workers of a running sglang-router: listed, added, removed. */
import { fetch } from 'undici';
import { type Endpoint, headersFor } from '../client.js';
import { JsgError } from '../errors.js';

export interface RouterWorker {
  id: string;
  url: string;
  model_id: string;
  is_healthy: boolean;
  /** Requests that it has now. */
  load: number;
}

const TIMEOUT_MS = 10_000;

async function ask(router: Endpoint, method: string, path: string, body?: object): Promise<unknown> {
  const { url, apiKey } = router;
  const init = {
    method,
    headers: headersFor(apiKey),
    signal: AbortSignal.timeout(TIMEOUT_MS),
    ...(body && { body: JSON.stringify(body) }),
  };
  const response = await fetch(url + path, init).catch((error: Error) => {
    const hint = 'Start one with `jsg route --worker URL`, or name it with --router URL.';
    throw new JsgError('E_UNAVAILABLE', `no router answers at ${url}`, { hint, cause: error });
  });
  const text = await response.text();
  if (response.ok) return parse(text);
  if (response.status === 401)
    throw new JsgError('E_UNAUTHORIZED', `${url} asks for an API key`, { hint: '--api-key KEY' });
  if (response.status === 404 || response.status === 405) {
    throw new JsgError(
      'E_NOT_FOUND',
      `what answers at ${url} is no sglang-router (${method} ${path}: ${response.status})`,
    );
  }
  throw new JsgError('E_UNAVAILABLE', `${url}${path} answered ${response.status}: ${text.slice(0, 200)}`);
}

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
};

export async function listWorkers(router: Endpoint): Promise<RouterWorker[]> {
  const answer = (await ask(router, 'GET', '/workers')) as { workers?: RouterWorker[] } | null;
  if (Array.isArray(answer?.workers)) return answer.workers;
  throw new JsgError('E_NOT_FOUND', `what answers at ${router.url} is no sglang-router`);
}

/** The router takes it in when it answers /health. */
export async function addWorker(router: Endpoint, url: string): Promise<void> {
  const known = await listWorkers(router);
  if (known.some((worker) => worker.url === url)) {
    throw new JsgError('E_USAGE', `${url} is a worker of ${router.url} already`);
  }
  await ask(router, 'POST', '/workers', { url, ...(router.apiKey === null ? {} : { api_key: router.apiKey }) });
}

/** It gets no new requests from now on. */
export async function removeWorker(router: Endpoint, url: string): Promise<void> {
  const workers = await listWorkers(router);
  const worker = workers.find((each) => each.url === url);
  if (worker === undefined) {
    const known = workers.map((each) => each.url).join(', ') || 'none';
    throw new JsgError('E_NOT_FOUND', `${url} is no worker of ${router.url}`, { hint: `It has: ${known}.` });
  }
  await ask(router, 'DELETE', `/workers/${encodeURIComponent(worker.id)}`);
}
