/**
 * Server-sent events with back-pressure. Writes of one turn of the event loop go out together: with many streams the
 * cost is the system call, not the text.
 */
import { LIMITS } from './limits.js';

export const SSE_HEADERS = {
  'Content-Type': 'text/event-stream; charset=utf-8',
  'Cache-Control': 'no-cache',
  // nginx would hold events back otherwise.
  'X-Accel-Buffering': 'no',
} as const;

export const SSE_DONE = 'data: [DONE]\n\n';

export function sseEvent(payload: unknown): string {
  return `data: ${JSON.stringify(payload)}\n\n`;
}

/** An event with its type beside it, as newer APIs have it. */
export function typedEvent(payload: { type: string; [field: string]: unknown }): string {
  return `event: ${payload.type}\ndata: ${JSON.stringify(payload)}\n\n`;
}

export interface SseOptions {
  /** The client went away, or took nothing for `stallMs` while something waited for it. */
  onGone(): void;
  /** Ends the connection of a client that takes nothing; without it the stream fails. */
  hangUp?: (() => void) | undefined;
  backlogBytes?: number;
  stallMs?: number;
}

export class SseStream {
  readonly body: ReadableStream<Uint8Array>;
  /** Resolves when something was written, or nothing will be. */
  readonly begun: Promise<void>;
  #begin!: () => void;
  #controller!: ReadableStreamDefaultController<Uint8Array>;
  /** Whether something was written. */
  hasBegun = false;
  #pending = '';
  /** The reader asked and has not been answered. */
  #wanted = false;
  #flushScheduled = false;
  #ended = false;
  #closed = false;
  #stallTimer: NodeJS.Timeout | null = null;
  #waiting: { promise: Promise<void>; resolve: () => void } | null = null;
  readonly #backlogBytes: number;
  readonly #stallMs: number;

  constructor(private readonly options: SseOptions) {
    this.#backlogBytes = options.backlogBytes ?? LIMITS.streamBacklogBytes;
    this.#stallMs = options.stallMs ?? LIMITS.streamStallMs;
    const begun = withResolver();
    this.begun = begun.promise;
    this.#begin = begun.resolve;
    this.body = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        pull: () => {
          this.#wanted = true;
          if (this.#pending !== '' || this.#ended) this.#scheduleFlush();
        },
        cancel: () => this.#close(),
      },
      { highWaterMark: 0 },
    );
  }

  /** Whole events: `data: ...\n\n`. Nothing happens once the client is gone. */
  write(events: string): void {
    if (this.#closed || this.#ended) return;
    this.#pending += events;
    this.hasBegun = true;
    this.#begin();
    if (this.#wanted) this.#scheduleFlush();
    else this.#stallTimer ??= setTimeout(() => this.#stall(), this.#stallMs).unref();
  }

  end(): void {
    this.#ended = true;
    this.#begin();
    if (this.#wanted) this.#scheduleFlush();
  }

  /** Resolves when the reader has caught up; null while it keeps up. */
  pressure(): Promise<void> | null {
    if (this.#pending.length <= this.#backlogBytes || this.#closed) return null;
    this.#waiting ??= withResolver();
    return this.#waiting.promise;
  }

  #scheduleFlush(): void {
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    setImmediate(() => this.#flush());
  }

  #flush(): void {
    this.#flushScheduled = false;
    if (this.#closed || !this.#wanted) return;
    if (this.#stallTimer) clearTimeout(this.#stallTimer);
    this.#stallTimer = null;
    if (this.#pending !== '') {
      const bytes = Buffer.from(this.#pending);
      this.#pending = '';
      this.#wanted = false;
      this.#controller.enqueue(bytes);
      this.#release();
    }
    if (this.#ended) {
      this.#closed = true;
      this.#controller.close();
    }
  }

  #stall(): void {
    if (this.#closed) return;
    this.#close();
    if (this.options.hangUp) this.options.hangUp();
    else this.#controller.error(new Error('the client stopped reading'));
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#begin();
    this.#pending = '';
    if (this.#stallTimer) clearTimeout(this.#stallTimer);
    this.#stallTimer = null;
    this.#release();
    this.options.onGone();
  }

  #release(): void {
    this.#waiting?.resolve();
    this.#waiting = null;
  }
}

function withResolver(): { promise: Promise<void>; resolve: () => void } {
  let resolve!: () => void;
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
