/** What the server and its machine do now: asked once a second while the page is seen. */
import { computed, signal } from '@preact/signals';
import { ask, isKeyRefused, RequestFailed } from './api.js';
import { figuresOf, parseMetrics, rate, type ServerFigures, share } from './metrics.js';

interface Bytes {
  used_bytes: number;
  total_bytes: number;
}

/** GET /v1/status */
export interface Status {
  status: string;
  /** With --idle-unload its memory is given back, and the next request loads it. */
  model: 'loaded' | 'loading' | 'unloaded';
  served_model_name: string;
  profile: string | null;
  uptime_seconds: number;
  memory: Bytes | null;
  gpu_memory: Bytes | null;
  power: { watts: number; of: string } | null;
  temperature: { celsius: number; of: string; throttles_at: number | null } | null;
}

/** GET /get_server_info, as far as it is shown. */
export interface ServerInfo {
  device?: string | null;
  dtype?: string | null;
  torchao_config?: string | null;
  kv_cache_dtype?: string | null;
  context_length?: number | null;
  model_path?: string | null;
  runtime?: { isa?: string; numThreads?: number; weightBytes?: number };
}

/** `locked`: it asks for a key; `silent`: nobody answers. */
export type Health = 'connecting' | 'ready' | 'starting' | 'draining' | 'failed' | 'locked' | 'silent';

/** Readings kept for the little curves. */
const NUM_KEPT = 60;
const INTERVAL_MS = 1000;
/** A server that says nothing for so long does not answer. */
const TIMEOUT_MS = 4000;

/** One reading; null: not known. */
export interface Reading {
  tokensPerSecond: number | null;
  requests: number | null;
  kvShare: number | null;
  cacheShare: number | null;
  memoryShare: number | null;
  watts: number | null;
  celsius: number | null;
}

export const health = signal<Health>('connecting');
export const status = signal<Status | null>(null);
export const modelName = computed(() => status.value?.served_model_name ?? '');
export const isLoading = computed(() => status.value?.model === 'loading');
export const serverInfo = signal<ServerInfo | null>(null);
export const contextLength = signal<number | null>(null);
export const figures = signal<ServerFigures | null>(null);
/** Oldest first. */
export const readings = signal<readonly Reading[]>([]);

let previous: { figures: ServerFigures; atMs: number } | null = null;

/** For as long as the page lives. */
export function watchServer(): void {
  const tick = async () => {
    if (document.visibilityState === 'visible') await look();
    setTimeout(tick, INTERVAL_MS);
  };
  document.addEventListener('visibilitychange', () => {
    // What happened meanwhile is no rate of one second.
    previous = null;
  });
  void tick();
}

async function look(): Promise<void> {
  // What was refused is refused again; the dialog asks for another key.
  if (isKeyRefused.value) return;
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  try {
    const [state, text] = await Promise.all([
      ask('v1/status', { signal }).then((response) => response.json() as Promise<Status>),
      ask('metrics', { signal }).then((response) => response.text()),
    ]);
    if (serverInfo.value === null || health.value === 'silent') await readServerInfo(signal);
    status.value = state;
    take(figuresOf(parseMetrics(text)), state);
    health.value = state.status as Health;
  } catch (error) {
    previous = null;
    health.value = error instanceof RequestFailed && error.fault.status === 401 ? 'locked' : 'silent';
  }
}

async function readServerInfo(signal: AbortSignal): Promise<void> {
  serverInfo.value = (await (await ask('get_server_info', { signal })).json()) as ServerInfo;
  const models = (await (await ask('v1/models', { signal })).json()) as { data: { max_model_len?: number }[] };
  contextLength.value = models.data[0]?.max_model_len ?? null;
}

function take(now: ServerFigures, state: Status): void {
  const atMs = performance.now();
  const seconds = previous === null ? 0 : (atMs - previous.atMs) / 1000;
  const memory = state.gpu_memory ?? state.memory;
  const reading: Reading = {
    tokensPerSecond: previous && rate(previous.figures.generatedTokens, now.generatedTokens, seconds),
    requests: now.running === null ? null : now.running + (now.queued ?? 0),
    kvShare: share(now.usedTokens, now.totalTokens),
    cacheShare: share(now.cachedTokens, now.promptTokens),
    memoryShare: memory && share(memory.used_bytes, memory.total_bytes),
    watts: state.power?.watts ?? null,
    celsius: state.temperature?.celsius ?? null,
  };
  previous = { figures: now, atMs };
  figures.value = now;
  readings.value = [...readings.value.slice(1 - NUM_KEPT), reading];
}
