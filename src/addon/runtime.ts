/** The runtime as the server sees it: submit ids, iterate token events. */
import type { NativeSampling, RuntimeInfo, RuntimeStats, StepStats } from './binding.js';

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
}

export interface SubmitRequest {
  promptIds: Int32Array;
  maxNewTokens: number;
  minNewTokens: number;
  stopTokenIds: Int32Array;
  sampling: NativeSampling;
  promptLogprobs: boolean;
}

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
  flushCache(): boolean;
  /** Called once a step, after its token events have been delivered. */
  onStep(listener: (stats: StepStats) => void): () => void;
  /** Null while the runtime works; the reason once it has failed. */
  readonly failure: Error | null;
  stop(): Promise<void>;
}
