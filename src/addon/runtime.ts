/** The runtime as the server sees it: submit ids, iterate token events. */
import { JsgError, toJsgError } from '../errors.js';
import {
  FINISH_REASONS,
  loadBinding,
  type NativeBinding,
  type NativeGrammar,
  type NativeRuntime,
  type NativeSampling,
  type RuntimeInfo,
  type RuntimeSpec,
  type RuntimeStats,
  STEP_STATS,
  type StepEvents,
  type StepStats,
} from './binding.js';
import { EventStream } from './event-stream.js';

export type FinishReason = 'stop' | 'length' | 'abort' | 'error';

export interface TokenEvent {
  /** -1: the sequence ended without a further token. */
  tokenId: number;
  /** Null until the last event of the sequence. */
  finishReason: FinishReason | null;
  /** The event scores a prompt token (`promptLogprobs`). */
  isPrompt: boolean;
  /** NaN where not asked for (and for the first prompt token). */
  logprob: number;
  topLogprobs: { tokenId: number; logprob: number }[];
  /**
   * Of the first token that a step which goes on with an answer has for it: 1 and the drafts that the step checked.
   * Otherwise 0, the default.
   */
  checkedCount?: number;
  /** Tokens of the request's prompt that came from the prefix cache; none by default. */
  cachedTokens?: number;
}

export interface SubmitRequest {
  promptIds: Int32Array;
  maxNewTokens: number;
  minNewTokens: number;
  stopTokenIds: Int32Array;
  sampling: NativeSampling;
  promptLogprobs: boolean;
  /** What the answer must follow; none by default. */
  grammar?: NativeGrammar | null;
  /** The higher goes first; 0 by default. */
  priority?: number;
  /** Whose KV may be shared: that of requests with the same number. */
  cacheSalt: number;
}

export type Residency = 'loaded' | 'unloaded' | 'loading';

/**
 * Implemented over the native addon by `NativeEngineRuntime` in this file, and by a scripted stand-in in the server's
 * unit tests.
 */
export interface Runtime {
  readonly info: RuntimeInfo;
  /**
   * Throws E_QUEUE_FULL or E_INVALID_REQUEST at once. Iterating yields every event in order, the last one with a
   * `finishReason`; if the runtime fails the iteration throws E_RUNTIME_FAILED. Aborting the signal, or leaving the
   * loop early, frees the sequence within one step.
   */
  submit(request: SubmitRequest, signal?: AbortSignal): AsyncIterable<TokenEvent>;
  stats(): RuntimeStats;
  /** Requests that have been submitted and have not ended. */
  readonly numLive: number;
  flushCache(): boolean;
  /** As those of NativeRuntime; reject with what they throw. */
  saveCache(to: { path: string; header: Uint8Array }): Promise<number>;
  loadCache(from: { path: string; offset: number }): Promise<number>;
  /** Called once a step, after its token events have been delivered. */
  onStep(listener: (stats: StepStats) => void): () => void;
  /** Null while the runtime works; the reason once it has failed. */
  readonly failure: Error | null;
  /** Whether the model is in memory; always, unless there is a word on it. */
  readonly residency?: Residency;
  stop(): Promise<void>;
}

interface LiveRequest {
  stream: EventStream;
  cachedTokens: number;
  /** Takes the listener off the caller's signal, which may outlive many requests. */
  detach: () => void;
}

const NO_TOP_LOGPROBS: TokenEvent['topLogprobs'] = [];
const MAX_ID = 0xffff_ffff;

/** The runtime over the native addon. */
export class NativeEngineRuntime implements Runtime {
  readonly info: RuntimeInfo;
  readonly #native: NativeRuntime;
  readonly #live = new Map<number, LiveRequest>();
  readonly #listeners = new Set<(stats: StepStats) => void>();
  #lastId = 0;
  #failure: JsgError | null = null;
  #stopping: Promise<void> | null = null;

  /** Loads the model. `onProgress` gets 0..1. Throws E_ADDON_LOAD_FAILED and what loading a model throws. */
  static async start(
    spec: RuntimeSpec,
    onProgress: (fraction: number) => void = () => {},
    binding?: NativeBinding,
  ): Promise<NativeEngineRuntime> {
    const { createRuntime } = binding ?? (await loadBinding());
    let runtime: NativeEngineRuntime | undefined;
    const onStep = (events: StepEvents, numEvents: number, numStarts: number) => {
      // Steps come only after a submission, and so after the assignment below.
      if (runtime) runtime.#deliver(events, numEvents, numStarts);
    };
    try {
      const native = await createRuntime(spec, onStep, onProgress);
      runtime = new NativeEngineRuntime(native);
      return runtime;
    } catch (error) {
      throw toJsgError(error);
    }
  }

  private constructor(native: NativeRuntime) {
    this.#native = native;
    this.info = native.info();
  }

  get failure(): Error | null {
    return this.#failure;
  }

  submit(request: SubmitRequest, signal?: AbortSignal): AsyncIterable<TokenEvent> {
    if (this.#failure) throw this.#failure;
    if (this.#stopping) throw new JsgError('E_UNAVAILABLE', 'the runtime is stopping');
    if (signal?.aborted) return abortedStream();

    const id = this.#newId();
    try {
      this.#native.submit({ ...request, id, grammar: request.grammar ?? null, priority: request.priority ?? 0 });
    } catch (error) {
      throw toJsgError(error);
    }
    const cancel = () => this.#native.cancel(id);
    const detach = () => signal?.removeEventListener('abort', cancel);
    const stream = new EventStream(() => {
      detach();
      cancel();
    });
    signal?.addEventListener('abort', cancel, { once: true });
    this.#live.set(id, { stream, cachedTokens: 0, detach });
    return stream;
  }

  get numLive(): number {
    return this.#live.size;
  }

  stats(): RuntimeStats {
    return this.#native.stats();
  }

  flushCache(): boolean {
    return this.#native.flushCache();
  }

  async saveCache(to: { path: string; header: Uint8Array }): Promise<number> {
    return atRest(() => this.#native.saveCache(to));
  }

  async loadCache(from: { path: string; offset: number }): Promise<number> {
    return atRest(() => this.#native.loadCache(from));
  }

  onStep(listener: (stats: StepStats) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#native.stop();
    return this.#stopping;
  }

  /** Once a step, on the event loop that also writes the answers: nothing here waits, one object is made per token. */
  #deliver(events: StepEvents, numEvents: number, numStarts: number): void {
    if (events.error) this.#failure = toFailure(events.error);
    this.#noteStarts(events, numStarts);
    let top = 0;
    for (let i = 0; i < numEvents; i++) {
      const id = events.ids[i] as number;
      const numTop = events.topCounts[i] as number;
      const finish = FINISH_REASONS[events.finish[i] as number] ?? 'error';
      const live = this.#live.get(id);
      if (live) {
        if (finish === 'error') {
          live.stream.fail(this.#failure ?? new JsgError('E_RUNTIME_FAILED', 'the runtime ended the request'));
        } else if (finish === 'grammar') {
          live.stream.fail(grammarFailure());
        } else {
          live.stream.push({
            tokenId: events.tokens[i] as number,
            finishReason: finish === 'none' ? null : finish,
            isPrompt: events.isPrompt[i] === 1,
            logprob: events.logprobs[i] as number,
            topLogprobs: numTop === 0 ? NO_TOP_LOGPROBS : topLogprobs(events, top, numTop),
            checkedCount: events.checkedCounts[i] as number,
            cachedTokens: live.cachedTokens,
          });
        }
        // Only now may the id be given to another request, whether or not somebody still reads.
        if (finish !== 'none') {
          live.detach();
          this.#live.delete(id);
        }
      }
      top += numTop;
    }
    if (this.#listeners.size === 0) return;
    const stats = toStats(events.stats);
    for (const listener of this.#listeners) listener(stats);
  }

  #noteStarts({ startIds, startCached }: StepEvents, numStarts: number): void {
    for (let i = 0; i < numStarts; i++) {
      const live = this.#live.get(startIds[i] as number);
      if (live) live.cachedTokens = startCached[i] as number;
    }
  }

  #newId(): number {
    do this.#lastId = this.#lastId === MAX_ID ? 1 : this.#lastId + 1;
    while (this.#live.has(this.#lastId));
    return this.#lastId;
  }
}

async function atRest<T>(act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    throw toJsgError(error);
  }
}

function grammarFailure(): JsgError {
  return new JsgError('E_GRAMMAR_LIMIT', 'the answer cannot follow its grammar any further: it is too ambiguous', {
    hint: 'or no token of the model fits it; simplify the schema, expression or grammar',
  });
}

function abortedStream(): EventStream {
  const stream = new EventStream(() => {});
  stream.push({ tokenId: -1, finishReason: 'abort', isPrompt: false, logprob: Number.NaN, topLogprobs: [] });
  return stream;
}

function toStats(figures: Float64Array): StepStats {
  const stats = {} as StepStats;
  for (let i = 0; i < STEP_STATS.length; i++) stats[STEP_STATS[i] as keyof StepStats] = figures[i] as number;
  return stats;
}

function toFailure({ code, message }: { code: string; message: string }): JsgError {
  return toJsgError(Object.assign(new Error(message), { code }));
}

function topLogprobs({ topIds, topLogprobs }: StepEvents, from: number, num: number): TokenEvent['topLogprobs'] {
  return Array.from({ length: num }, (_, i) => ({
    tokenId: topIds[from + i] as number,
    logprob: topLogprobs[from + i] as number,
  }));
}
