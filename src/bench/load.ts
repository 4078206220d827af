/** Loading a model: from the start of the process to its first token, with the files in the page cache or not. */
import { performance } from 'node:perf_hooks';
import type { Source } from '../device/source.js';
import { type JsgError, toJsgError } from '../errors.js';
import { CLOCK } from './clock.js';
import { cachedShare, dropCache, warmCache } from './page-cache.js';
import { requestBody } from './request-body.js';
import type { LoadRow } from './result.js';
import { send } from './send.js';
import type { ServerProcess } from './server-process.js';
import { discoverTarget, requireWell, type Target } from './target.js';

export interface LoadOptions {
  caches: LoadRow['cache'][];
  repeats: number;
  /** Of the weights; empty: there are none (random weights). */
  files: string[];
  bytes: number | null;
  apiKey: string | null;
  start(): Promise<ServerProcess>;
  source: Source;
  onProgress(what: string, fraction: number): void;
  /** Told of the server of the first start. */
  onTarget(target: Target): void;
  signal: AbortSignal;
}

export interface LoadFigures {
  load: LoadRow[];
  notes: string[];
  /** What ended the run before its time. */
  failure: JsgError | null;
}

export async function measureLoad(options: LoadOptions): Promise<LoadFigures> {
  const { caches, repeats, files, source, signal } = options;
  const starts = caches.flatMap((cache) => Array.from({ length: repeats }, () => cache));
  const figures: LoadFigures = { load: [], notes: [], failure: null };
  for (const [i, cache] of starts.entries()) {
    if (signal.aborted) break;
    options.onProgress(`a start with a ${cache} page cache`, i / starts.length);
    if (cache === 'warm') await warmCache(files, signal).catch(() => {});
    else if (!(await dropCache(source, files))) figures.notes.push('the page cache could not be dropped: no GNU dd');
    if (signal.aborted) break;
    const cached = files.length === 0 ? null : await cachedShare(source, files);
    try {
      figures.load.push(await measureStart(options, cache, cached));
    } catch (error) {
      // A start that failed or was given up takes none of those before it away.
      if (figures.load.length === 0) throw error;
      if (!signal.aborted) figures.failure = toJsgError(error);
      break;
    }
  }
  figures.notes.push(...doubtsOf(figures.load));
  figures.notes = [...new Set(figures.notes)];
  return figures;
}

async function measureStart(options: LoadOptions, cache: LoadRow['cache'], cached: number | null): Promise<LoadRow> {
  const { bytes, apiKey, signal } = options;
  const server = await options.start();
  try {
    const target = await discoverTarget({ url: server.url, apiKey }, null, signal);
    options.onTarget(target);
    const messages = [{ role: 'user', content: 'Hello' }];
    const { trace } = await send(target, requestBody(target, messages, 1), { clock: CLOCK, signal });
    requireWell(target, trace);
    const seconds = (atMs: number) => (atMs - server.startedMs) / 1000;
    const { loadS } = target;
    await target.agent.close();
    return {
      cache,
      cachedShare: cached,
      bytes,
      readyS: seconds(server.readyMs),
      firstTokenS: seconds(trace.pieceMs[0] ?? performance.now()),
      loadS,
      bytesPerSecond: bytes === null || loadS === null || loadS === 0 ? null : bytes / loadS,
    };
  } finally {
    await server.stop();
  }
}

function doubtsOf(rows: readonly LoadRow[]): string[] {
  const isDoubtful = ({ cache, cachedShare: share }: LoadRow) =>
    share !== null && (cache === 'cold' ? share > 0.05 : share < 0.95);
  return [
    ...(rows.some(({ cachedShare: share, bytes }) => share === null && bytes !== null)
      ? ["how much was in the page cache is not known: util-linux's fincore is not there"]
      : []),
    ...(rows.some(isDoubtful) ? ['the page cache was not as it should be: see the share that was in it'] : []),
  ];
}
