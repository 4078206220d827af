/** Does a mirror answer, and how fast? Asked of all of them side by side. */
import { HttpClient, HttpFault, LIMITS } from './http.js';
import type { Mirror } from './mirrors.js';

export interface MirrorHealth extends Mirror {
  /** Whether it serves the platform's index. */
  isUp: boolean;
  /** Until the answer's head was here, in ms; null: there was none. */
  latencyMs: number | null;
  /** HTTP status; null: no answer. */
  status: number | null;
  /** Null: nothing is wrong. */
  fault: string | null;
}

/** Every index of the platform has it; its root page is large and slow. */
const PROBE = 'torch/';
const PROBE_MS = 6_000;

export async function checkMirrors(mirrors: Mirror[], signal?: AbortSignal): Promise<MirrorHealth[]> {
  const http = new HttpClient({ ...LIMITS, firstByteMs: PROBE_MS });
  try {
    return await Promise.all(mirrors.map((mirror) => check(http, mirror, signal)));
  } finally {
    await http.close();
  }
}

async function check(http: HttpClient, mirror: Mirror, signal?: AbortSignal): Promise<MirrorHealth> {
  const started = performance.now();
  const ask = async (url: string) => {
    const limit = AbortSignal.timeout(PROBE_MS);
    const response = await http.open(url, {}, signal === undefined ? limit : AbortSignal.any([signal, limit]));
    await response.body?.cancel();
    return response.status;
  };
  const since = () => Math.round(performance.now() - started);
  try {
    const status = await ask(`${mirror.simpleUrl}${PROBE}`);
    return { ...mirror, isUp: true, latencyMs: since(), status, fault: null };
  } catch (error) {
    signal?.throwIfAborted();
    const latencyMs = since();
    const status = error instanceof HttpFault ? error.status : null;
    // An index may lack torch and have the rest.
    const isThere = status === 404 && (await ask(mirror.simpleUrl).catch(() => null)) !== null;
    if (isThere) return { ...mirror, isUp: true, latencyMs, status: 200, fault: null };
    const fault = error instanceof HttpFault ? error.message : `no answer within ${PROBE_MS / 1000} s`;
    const why = status === 404 ? 'HTTP 404: it has no such path' : fault;
    return { ...mirror, isUp: false, latencyMs: status === null ? null : latencyMs, status, fault: why };
  }
}
