import type { TokenEvent } from './runtime.js';

type Result = IteratorResult<TokenEvent, undefined>;

interface Waiter {
  resolve(result: Result): void;
  reject(error: Error): void;
}

const DONE: Result = { value: undefined, done: true };

/**
 * The events of one request between the runtime, which pushes, and the loop that reads them: what is queued is handed out
 * at once, without a turn of the event loop.
 */
export class EventStream implements AsyncIterableIterator<TokenEvent> {
  #queue: TokenEvent[] = [];
  #head = 0;
  #waiters: Waiter[] = [];
  #ended = false;
  #error: Error | null = null;
  readonly #onLeave: () => void;

  /** `onLeave`: the reader left before the end. */
  constructor(onLeave: () => void) {
    this.#onLeave = onLeave;
  }

  /** The event with a finish reason is the last. */
  push(event: TokenEvent): void {
    if (this.#ended) return;
    if (event.finishReason !== null) this.#ended = true;
    const waiter = this.#waiters.shift();
    if (waiter) waiter.resolve({ value: event, done: false });
    else this.#queue.push(event);
    if (this.#ended) this.#release();
  }

  /** The reader gets what is queued, then the error. */
  fail(error: Error): void {
    if (this.#ended) return;
    this.#ended = true;
    const waiter = this.#waiters.shift();
    if (waiter) waiter.reject(error);
    else this.#error = error;
    this.#release();
  }

  next(): Promise<Result> {
    const event = this.#queue[this.#head];
    if (event !== undefined) {
      this.#head++;
      if (this.#head === this.#queue.length) {
        this.#queue.length = 0;
        this.#head = 0;
      }
      return Promise.resolve({ value: event, done: false });
    }
    if (this.#error !== null) {
      const error = this.#error;
      this.#error = null;
      return Promise.reject(error);
    }
    if (this.#ended) return Promise.resolve(DONE);
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }));
  }

  /** Called by `for await` when the loop is left by break, return or throw. */
  return(): Promise<Result> {
    const left = !this.#ended;
    this.#ended = true;
    this.#error = null;
    this.#queue = [];
    this.#head = 0;
    this.#release();
    if (left) this.#onLeave();
    return Promise.resolve(DONE);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #release(): void {
    for (const waiter of this.#waiters.splice(0)) waiter.resolve(DONE);
  }
}
