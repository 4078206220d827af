/** A runtime that says what a script tells it to, and remembers what it was asked. */
import type { RuntimeInfo, RuntimeStats, StepStats } from '../../../src/addon/binding.js';
import type { FinishReason, Runtime, SubmitRequest, TokenEvent } from '../../../src/addon/runtime.js';
import { JsgError } from '../../../src/errors.js';
import { bytesOf, EOS } from './fake-model.js';

export interface FakeRuntimeOptions {
  /** Tokens that the `index`-th submission generates; may be endless. Default: `Hello, world!` and the end. */
  script?: (request: SubmitRequest, index: number) => Iterable<number>;
  /** Between two tokens. 0: one a turn of the event loop. Null: all at once. */
  delayMs?: number | null;
  /** Submissions beyond this many alive are refused. */
  maxLive?: number;
  /** The submission with this index throws after so many tokens. */
  fail?: { index: number; afterTokens: number };
  totalTokens?: number;
  /** What the `index`-th submission finds in the prefix cache. */
  cached?: (index: number) => number;
}

export class FakeRuntime implements Runtime {
  readonly submitted: SubmitRequest[] = [];
  numLive = 0;
  numCancelled = 0;
  queuedTokens = 0;
  failure: Error | null = null;
  readonly #listeners = new Set<(stats: StepStats) => void>();
  readonly #script: NonNullable<FakeRuntimeOptions['script']>;

  constructor(private readonly options: FakeRuntimeOptions = {}) {
    this.#script = options.script ?? (() => [...bytesOf('Hello, world!'), EOS]);
  }

  get info(): RuntimeInfo {
    const totalTokens = this.options.totalTokens ?? 4096;
    return {
      isa: 'fake',
      numThreads: 1,
      weightBytes: 1,
      kvBytesPerToken: 1,
      totalTokens,
      loadMs: 0,
      numGraphs: 0,
      warmUpMs: 0,
    };
  }

  submit(request: SubmitRequest, signal?: AbortSignal): AsyncIterable<TokenEvent> {
    if (this.failure) throw new JsgError('E_RUNTIME_FAILED', this.failure.message);
    if (this.numLive >= (this.options.maxLive ?? Number.POSITIVE_INFINITY)) {
      throw new JsgError('E_QUEUE_FULL', 'too many requests are waiting');
    }
    const index = this.submitted.length;
    this.submitted.push(request);
    this.numLive++;
    // As in the real runtime, an abort counts at once, whether anyone iterates or not.
    const sequence = { isOver: false };
    const end = (isCancelled: boolean) => {
      if (sequence.isOver) return;
      sequence.isOver = true;
      this.numLive--;
      if (isCancelled) this.numCancelled++;
    };
    if (signal?.aborted) end(true);
    signal?.addEventListener('abort', () => end(true));
    return this.#run(request, index, sequence, end);
  }

  async *#run(
    request: SubmitRequest,
    index: number,
    sequence: { isOver: boolean },
    end: (isCancelled: boolean) => void,
  ): AsyncGenerator<TokenEvent> {
    const cachedTokens = this.options.cached?.(index) ?? 0;
    const abort: TokenEvent = { ...token(-1, 'abort'), logprob: Number.NaN };
    try {
      if (request.promptLogprobs) {
        const { promptIds, maxNewTokens } = request;
        for (const [at, id] of promptIds.entries()) {
          const isLast = at === promptIds.length - 1 && maxNewTokens === 0;
          const event = token(id, isLast ? 'length' : null, request);
          yield { ...event, isPrompt: true, ...(at === 0 ? { logprob: Number.NaN, topLogprobs: [] } : {}) };
        }
        if (maxNewTokens === 0) return;
      }
      let count = 0;
      for (const id of this.#script(request, index)) {
        await this.#tick();
        if (sequence.isOver) return yield abort;
        if (this.options.fail?.index === index && this.options.fail.afterTokens === count) {
          throw new JsgError('E_RUNTIME_FAILED', 'a kernel failed');
        }
        count++;
        const isStop = count > request.minNewTokens && request.stopTokenIds.includes(id);
        const finish = isStop ? 'stop' : count === request.maxNewTokens ? 'length' : null;
        yield { ...token(id, finish, request), cachedTokens };
        if (finish) return end(false);
      }
      if (sequence.isOver) return yield abort;
      yield token(-1, 'error');
    } finally {
      end(!sequence.isOver);
    }
  }

  async #tick(): Promise<void> {
    const { delayMs = 0 } = this.options;
    if (delayMs === null) return;
    await new Promise((resolve) => (delayMs === 0 ? setImmediate(resolve) : setTimeout(resolve, delayMs)));
  }

  stats(): RuntimeStats {
    const { totalTokens } = this.info;
    return {
      numRunning: this.numLive,
      numQueued: 0,
      usedTokens: this.numLive * 16,
      totalTokens,
      queuedTokens: this.queuedTokens,
      evictableTokens: 0,
      leakedBlocks: 0,
      steps: 0,
    };
  }

  flushCache(): boolean {
    return this.numLive === 0;
  }

  async saveCache(): Promise<number> {
    return 0;
  }

  async loadCache(): Promise<number> {
    return 0;
  }

  onStep(listener: (stats: StepStats) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  emitStep(stats: Partial<StepStats>): void {
    for (const listener of this.#listeners) listener({ ...IDLE_STEP, ...stats });
  }

  async stop(): Promise<void> {}
}

export const IDLE_STEP: StepStats = {
  prefillSeqs: 0,
  prefillTokens: 0,
  cachedTokens: 0,
  decodeSeqs: 0,
  draftTokens: 0,
  acceptedTokens: 0,
  numRunning: 0,
  numQueued: 0,
  usedTokens: 0,
  totalTokens: 4096,
  numRetracted: 0,
  elapsedUs: 1000,
  cudaGraph: 0,
};

/** Logprob -id/1000, and the alternatives id+1, id+2, ... */
function token(id: number, finishReason: FinishReason | null, request?: SubmitRequest): TokenEvent {
  const count = request?.sampling.topLogprobs ?? -1;
  return {
    tokenId: id,
    finishReason,
    isPrompt: false,
    logprob: count < 0 ? Number.NaN : -id / 1000,
    topLogprobs: Array.from({ length: Math.max(count, 0) }, (_, i) => ({ tokenId: (id + i) % 256, logprob: -i - 0.5 })),
  };
}
