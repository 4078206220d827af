/**
 * Whether the server is up, and which requests are alive. Starting until the model has produced a token, then ready,
 * then draining for good; failed whenever the runtime says so.
 */
import { setMaxListeners } from 'node:events';
import type { Runtime } from '../addon/runtime.js';
import { JsgError } from '../errors.js';
import type { Caller } from './api-keys.js';

export type Phase = 'starting' | 'ready' | 'draining' | 'failed';

/** Reasons for an abort that nobody needs an error for. */
export const CLIENT_GONE = 'client gone';
export const ABORT_ASKED = 'abort asked';
export const TIME_OVER = 'time over';

export class Lifecycle {
  #tokenSeen = false;
  #draining = false;
  /** The requests alive, each with the ids that `/abort_request` knows it by. */
  readonly #active = new Map<AbortController, { ids: readonly string[]; caller: Caller }>();
  #idleWaiters: (() => void)[] = [];

  constructor(
    private readonly runtime: Pick<Runtime, 'failure'>,
    /** Produces one token, after which the server is ready. Throws what the runtime throws. */
    readonly warmUp: () => Promise<void>,
  ) {}

  get phase(): Phase {
    if (this.runtime.failure) return 'failed';
    if (this.#draining) return 'draining';
    return this.#tokenSeen ? 'ready' : 'starting';
  }

  get numActive(): number {
    return this.#active.size;
  }

  tokenProduced(): void {
    this.#tokenSeen = true;
  }

  /** Throws E_UNAVAILABLE where no new request may begin. */
  admit(): void {
    if (this.runtime.failure)
      throw new JsgError('E_UNAVAILABLE', 'the runtime has failed; the server must be restarted');
    if (this.#draining) throw new JsgError('E_UNAVAILABLE', 'the server is shutting down');
  }

  /** A request comes alive; its controller ends all its sequences. */
  begin(ids: readonly string[], caller: Caller): AbortController {
    const controller = new AbortController();
    // One listener a sequence, and a batch may have many.
    setMaxListeners(0, controller.signal);
    this.#active.set(controller, { ids, caller });
    return controller;
  }

  end(controller: AbortController): void {
    this.#active.delete(controller);
    if (this.#active.size === 0) for (const wake of this.#idleWaiters.splice(0)) wake();
  }

  /** Ends the caller's request of this id, or without an id all that are the caller's: how many were told to end. */
  abort(caller: Caller, requestId?: string): number {
    let count = 0;
    for (const [controller, active] of [...this.#active]) {
      if (active.caller.namespace !== caller.namespace) continue;
      if (requestId !== undefined && !active.ids.includes(requestId)) continue;
      controller.abort(ABORT_ASKED);
      count++;
    }
    return count;
  }

  /** Everybody's; clients get the error. */
  abortAll(error: JsgError): void {
    for (const controller of [...this.#active.keys()]) controller.abort(error);
  }

  /** From now on not ready, and nothing new is admitted. */
  startDraining(): void {
    this.#draining = true;
  }

  /** Resolves when no request is alive. */
  idle(): Promise<void> {
    if (this.#active.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idleWaiters.push(resolve));
  }
}
