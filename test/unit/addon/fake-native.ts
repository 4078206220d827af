import {
  CONTRACT,
  type NativeBinding,
  type NativeRequest,
  type NativeRuntime,
  type RuntimeSpec,
  STEP_STATS,
  type StepEvents,
} from '../../../src/addon/binding.js';

export interface FakeEvent {
  id: number;
  token?: number;
  finish?: number;
  isPrompt?: boolean;
  logprob?: number;
  checked?: number;
  top?: [number, number][];
}

/** An addon whose steps the test plays by hand. */
export class FakeNative implements NativeRuntime {
  submitted: NativeRequest[] = [];
  cancelled: number[] = [];
  numStops = 0;
  refusal: Error | null = null;
  #onStep: (events: StepEvents, numEvents: number, numStarts: number) => void = () => {};

  readonly binding: NativeBinding = {
    version: '0',
    contract: CONTRACT,
    isas: () => [],
    hasCuda: false,
    cudaDevice: () => null,
    hasGrammars: false,
    createGrammarCompiler: () => Promise.reject(new Error('no grammars')),
    quantizeMatrix: () => Promise.reject(new Error('no quantizing')),
    measureReadBandwidth: async () => 1,
    createRuntime: async (_spec, onStep, onProgress) => {
      onProgress(1);
      this.#onStep = onStep;
      return this;
    },
  };

  info() {
    return {
      isa: 'fake',
      numThreads: 1,
      weightBytes: 1,
      kvBytesPerToken: 1,
      totalTokens: 64,
      loadMs: 1,
      numGraphs: 0,
      warmUpMs: 0,
    };
  }
  submit(request: NativeRequest) {
    if (this.refusal) throw this.refusal;
    this.submitted.push(request);
  }
  cancel(id: number) {
    this.cancelled.push(id);
  }
  stats() {
    return {
      numRunning: 0,
      numQueued: 0,
      usedTokens: 0,
      totalTokens: 64,
      evictableTokens: 0,
      queuedTokens: 0,
      leakedBlocks: 0,
      steps: 0,
    };
  }
  flushCache() {
    return true;
  }
  async saveCache() {
    return 0;
  }
  async loadCache() {
    return 0;
  }
  async stop() {
    this.numStops++;
    this.step(this.submitted.map(({ id }) => ({ id, finish: 3 })));
  }

  /** `starts`: ids of requests, and what they found in the prefix cache. */
  step(events: FakeEvent[], error: StepEvents['error'] = null, starts: [number, number][] = []): void {
    // As the addon's: with room for more.
    const room: FakeEvent[] = [...events, { id: 1, token: 9, finish: 1 }];
    const top = room.flatMap((event) => event.top ?? []);
    this.#onStep(
      {
        ids: Uint32Array.from(room, ({ id }) => id),
        tokens: Int32Array.from(room, ({ token }) => token ?? -1),
        finish: Uint8Array.from(room, ({ finish }) => finish ?? 0),
        isPrompt: Uint8Array.from(room, ({ isPrompt }) => (isPrompt ? 1 : 0)),
        logprobs: Float32Array.from(room, ({ logprob }) => logprob ?? Number.NaN),
        topCounts: Uint8Array.from(room, (event) => event.top?.length ?? 0),
        checkedCounts: Uint8Array.from(room, (event) => event.checked ?? 0),
        topIds: Int32Array.from(top, ([id]) => id),
        topLogprobs: Float32Array.from(top, ([, logprob]) => logprob),
        startIds: Uint32Array.from([...starts, [1, 99]], ([id]) => id as number),
        startCached: Int32Array.from([...starts, [1, 99]], ([, tokens]) => tokens as number),
        stats: Float64Array.from(STEP_STATS, (name) => (name === 'decodeSeqs' ? events.length : 0)),
        error,
      },
      events.length,
      starts.length,
    );
  }
}

/** The fake does not look at it. */
export const anySpec = {} as RuntimeSpec;
