/**
 * A runtime that gives its memory back after so long without requests, and is loaded again by the next one, which waits.
 * Whoever serves with it sees one runtime all the time.
 */
import type { RuntimeInfo, RuntimeStats, StepStats } from '../addon/binding.js';
import type { Residency, Runtime, SubmitRequest, TokenEvent } from '../addon/runtime.js';
import { JsgError, toJsgError } from '../errors.js';
import { log } from '../log.js';

export interface IdleOptions {
  /** Without requests. */
  unloadAfterMs: number;
  /** The same model again. What it throws is what the waiting requests are told. */
  reload: () => Promise<Runtime>;
  /** Has the runtime to itself before it is unloaded. Must not throw. */
  beforeUnload?: (runtime: Runtime) => Promise<void>;
  /** The cache is flushed while there is no runtime: what that left for the next one goes. Must not throw. */
  forgetSaved?: () => Promise<void>;
  /** Requests that may wait for the model; those beyond them are refused. */
  maxWaiting: number;
}

export class IdleRuntime implements Runtime {
  readonly info: RuntimeInfo;
  readonly #listeners = new Set<(stats: StepStats) => void>();
  #loaded: Runtime | null = null;
  #loading: Promise<Runtime> | null = null;
  #unloading: Promise<void> = Promise.resolve();
  #stopping: Promise<void> | null = null;
  #timer: NodeJS.Timeout | undefined;
  #lastUsedMs = 0;
  #numWaiting = 0;
  /** Steps of the runtimes before this one. */
  #pastSteps = 0;

  constructor(
    first: Runtime,
    private readonly options: IdleOptions,
  ) {
    this.info = first.info;
    this.#take(first);
  }

  get residency(): Residency {
    if (this.#loaded) return 'loaded';
    return this.#loading ? 'loading' : 'unloaded';
  }

  get failure(): Error | null {
    return this.#loaded?.failure ?? null;
  }

  submit(request: SubmitRequest, signal?: AbortSignal): AsyncIterable<TokenEvent> {
    if (this.#stopping) throw new JsgError('E_UNAVAILABLE', 'the runtime is stopping');
    this.#lastUsedMs = performance.now();
    if (this.#loaded) return this.#loaded.submit(request, signal);
    if (this.#numWaiting >= this.options.maxWaiting) {
      throw new JsgError('E_QUEUE_FULL', `${this.#numWaiting} requests wait for the model to be loaded again`);
    }
    this.#numWaiting++;
    const runtime = this.#load();
    runtime.catch(() => {}).finally(() => this.#numWaiting--);
    return this.#submitLater(runtime, request, signal);
  }

  get numLive(): number {
    return this.#numWaiting + (this.#loaded?.numLive ?? 0);
  }

  stats(): RuntimeStats {
    const stats = this.#loaded?.stats() ?? NOTHING;
    return { ...stats, numQueued: stats.numQueued + this.#numWaiting, steps: stats.steps + this.#pastSteps };
  }

  flushCache(): boolean {
    if (this.#loaded) return this.#numWaiting === 0 && this.#loaded.flushCache();
    if (this.#loading) return false;
    this.#unloading = this.#unloading.then(() => this.options.forgetSaved?.());
    return true;
  }

  async saveCache(to: { path: string; header: Uint8Array }): Promise<number> {
    return this.#whileLoaded().saveCache(to);
  }

  async loadCache(from: { path: string; offset: number }): Promise<number> {
    return this.#whileLoaded().loadCache(from);
  }

  #whileLoaded(): Runtime {
    if (this.#loaded) return this.#loaded;
    throw new JsgError('E_UNAVAILABLE', 'the model is not loaded');
  }

  onStep(listener: (stats: StepStats) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#end();
    return this.#stopping;
  }

  async #end(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#unloading;
    // A load cannot be cut short; what it brings is stopped at once.
    await this.#loading?.catch(() => {});
    await this.#loaded?.stop();
  }

  async *#submitLater(
    loading: Promise<Runtime>,
    request: SubmitRequest,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<TokenEvent> {
    const runtime = await Promise.race([loading, aborted(signal)]);
    if (runtime === null) {
      yield { tokenId: -1, finishReason: 'abort', isPrompt: false, logprob: Number.NaN, topLogprobs: [] };
      return;
    }
    yield* runtime.submit(request, signal);
  }

  /** Once for all that wait. After a failure the next request tries again. */
  #load(): Promise<Runtime> {
    this.#loading ??= this.#reload().finally(() => {
      this.#loading = null;
    });
    return this.#loading;
  }

  async #reload(): Promise<Runtime> {
    await this.#unloading;
    const begunMs = performance.now();
    log.info('loading the model again, for a request');
    let runtime: Runtime;
    try {
      runtime = await this.options.reload();
    } catch (error) {
      const { message, hint } = toJsgError(error);
      log.error(`the model could not be loaded again: ${message}`);
      throw new JsgError('E_UNAVAILABLE', `the model could not be loaded again: ${message}`, {
        ...(hint === undefined ? {} : { hint }),
        cause: error,
      });
    }
    if (this.#stopping) {
      await runtime.stop();
      throw new JsgError('E_UNAVAILABLE', 'the server is shutting down');
    }
    log.info(`loaded in ${((performance.now() - begunMs) / 1000).toFixed(2)} s`);
    this.#take(runtime);
    return runtime;
  }

  #take(runtime: Runtime): void {
    this.#loaded = runtime;
    runtime.onStep((stats) => {
      this.#lastUsedMs = performance.now();
      for (const listener of this.#listeners) listener(stats);
    });
    this.#lastUsedMs = performance.now();
    this.#watch();
  }

  /** Looks again when it might have been idle for long enough. */
  #watch(): void {
    const restMs = this.#lastUsedMs + this.options.unloadAfterMs - performance.now();
    this.#timer = setTimeout(() => this.#unloadIfIdle(), Math.max(restMs, 10)).unref();
  }

  #unloadIfIdle(): void {
    const runtime = this.#loaded;
    if (this.#stopping || !runtime || runtime.failure) return;
    if (runtime.numLive > 0 || performance.now() < this.#lastUsedMs + this.options.unloadAfterMs) {
      this.#watch();
      return;
    }
    this.#loaded = null;
    this.#pastSteps += runtime.stats().steps;
    this.#unloading = this.#unload(runtime);
  }

  async #unload(runtime: Runtime): Promise<void> {
    await this.options.beforeUnload?.(runtime);
    const before = process.memoryUsage.rss();
    try {
      await runtime.stop();
    } catch (error) {
      log.error(`unloading the model: ${toJsgError(error).message}`);
    }
    const freed = Math.max(0, before - process.memoryUsage.rss()) / 2 ** 20;
    const seconds = this.options.unloadAfterMs / 1000;
    log.info(`no request for ${seconds} s: the model is unloaded, ${freed.toFixed(0)} MiB less resident`);
  }
}

const NOTHING: RuntimeStats = {
  numRunning: 0,
  numQueued: 0,
  usedTokens: 0,
  totalTokens: 0,
  queuedTokens: 0,
  evictableTokens: 0,
  leakedBlocks: 0,
  steps: 0,
};

function aborted(signal: AbortSignal | undefined): Promise<null> {
  return new Promise((resolve) => {
    if (signal?.aborted) resolve(null);
    else signal?.addEventListener('abort', () => resolve(null), { once: true });
  });
}
