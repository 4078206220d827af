/** One streamed request, observed as a client sees it. A failure is an observation too: nothing is thrown. */
import type { IncomingHttpHeaders } from 'node:http';
import { StringDecoder } from 'node:string_decoder';
import type { Dispatcher } from 'undici';
import { faultText, headersFor, reasonOf } from '../client.js';
import { SseParser } from '../server-events.js';
import { parseChunk, type Usage } from './chunk.js';
import type { Clock } from './clock.js';
import type { Target } from './target.js';
import type { Failure, Trace } from './trace.js';

export interface Sent {
  trace: Trace;
  /** The answer's text, where it was asked for. */
  text: string;
}

export interface SendOptions {
  clock: Clock;
  /** When the request was due; without it, when it is sent. */
  startMs?: number;
  signal?: AbortSignal | undefined;
  timeoutMs?: number | undefined;
  keepText?: boolean;
  /** Told of each read that brought text, with the number of its pieces. */
  onPieces?: ((atMs: number, count: number) => void) | undefined;
}

/** Posts `body` to the target's route. */
export function send(target: Target, body: string, options: SendOptions): Promise<Sent> {
  return new Promise((resolve) => new Observer(target, options, resolve).dispatch(body));
}

const MAX_FAULT_CHARS = 300;
const MAX_FAULT_BODY = 10_000;
/** An answer is whole with `[DONE]`; a connection that stays open behind it is waited for no longer. */
const CLOSES_WITHIN_MS = 1000;

class Observer implements Dispatcher.DispatchHandler {
  readonly #decoder = new StringDecoder('utf8');
  readonly #parser = new SseParser((data) => this.#onData(data));
  readonly #pieceMs: number[] = [];
  readonly #startMs: number;
  #sentMs: number;
  /** Time of the read at hand: all its pieces came then. */
  #nowMs = 0;
  #status = 0;
  #headers: IncomingHttpHeaders = {};
  #faultBody = '';
  #text = '';
  #firstChars = 0;
  #numChars = 0;
  #finishReason: string | null = null;
  #usage: Usage | null = null;
  /** When the stream said that it is done. */
  #doneMs: number | null = null;
  #failure: Failure | null = null;
  #abort: ((reason: Error) => void) | null = null;
  #timer: NodeJS.Timeout | undefined;
  #isSettled = false;

  constructor(
    private readonly target: Target,
    private readonly options: SendOptions,
    private readonly resolve: (sent: Sent) => void,
  ) {
    this.#sentMs = options.clock.now();
    this.#startMs = options.startMs ?? this.#sentMs;
  }

  dispatch(body: string): void {
    const { url, route, apiKey, agent } = this.target;
    const { origin, pathname } = new URL(url + route);
    const { signal, timeoutMs } = this.options;
    if (signal?.aborted) {
      this.#fail('cancelled', 'it was not sent');
      return;
    }
    signal?.addEventListener('abort', this.#onAbort, { once: true });
    if (timeoutMs !== undefined)
      this.#timer = setTimeout(() => this.#cut('timeout', `no whole answer within ${timeoutMs / 1000} s`), timeoutMs);
    agent.dispatch({ origin, path: pathname, method: 'POST', headers: headersFor(apiKey), body }, this);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#abort = (reason) => controller.abort(reason);
    if (this.#failure !== null) controller.abort(new Error(this.#failure.kind));
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    this.#status = status;
    this.#headers = headers;
  }

  onResponseData(_controller: Dispatcher.DispatchController, bytes: Buffer): void {
    if (this.#status !== 200) {
      if (this.#faultBody.length < MAX_FAULT_BODY) this.#faultBody += this.#decoder.write(bytes);
      return;
    }
    const before = this.#pieceMs.length;
    this.#nowMs = this.options.clock.now();
    this.#parse(() => this.#parser.push(this.#decoder.write(bytes)));
    const count = this.#pieceMs.length - before;
    if (count > 0) this.options.onPieces?.(this.#nowMs, count);
  }

  onResponseEnd(): void {
    this.#nowMs = this.options.clock.now();
    this.#parse(() => this.#parser.end());
    this.#failure ??= this.#faultOfEnd();
    this.#settle();
  }

  #faultOfEnd(): Failure | null {
    if (this.#status !== 200) {
      const message = faultText(this.#faultBody).replace(/\s+/g, ' ').trim().slice(0, MAX_FAULT_CHARS);
      const retryAfter = this.#headers['retry-after'];
      const later = retryAfter === undefined ? '' : ` (Retry-After: ${retryAfter})`;
      return { kind: `http ${this.#status}`, message: message + later };
    }
    const hasEnd = this.#doneMs !== null || this.#finishReason !== null;
    const type = this.#headers['content-type'] ?? '';
    if (!hasEnd && this.#pieceMs.length === 0 && type !== '' && !type.startsWith('text/event-stream')) {
      return { kind: 'stream', message: `the answer is ${type}, not a stream of events` };
    }
    if (!hasEnd) return { kind: 'cut off', message: 'the stream ended without its end' };
    return this.#pieceMs.length === 0 ? { kind: 'empty', message: 'the server streamed no text' } : null;
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    // An answer that was whole when the connection broke is an answer.
    if (this.#doneMs !== null) this.onResponseEnd();
    else this.#fail('connection', reasonOf(error));
  }

  #parse(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#cut('stream', `not JSON: ${(error as Error).message}`);
    }
  }

  #onData(data: string): void {
    if (this.#doneMs !== null) return;
    if (data === '[DONE]') {
      this.#doneMs = this.#nowMs;
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#abort?.(new Error('done')), CLOSES_WITHIN_MS);
      return;
    }
    const { text, finishReason, usage, error } = parseChunk(data);
    if (error !== null) {
      this.#cut('stream', error.slice(0, MAX_FAULT_CHARS));
      return;
    }
    // An answer of a single token without text shows itself by its end alone.
    if (text !== '' || (finishReason !== null && this.#pieceMs.length === 0)) this.#pieceMs.push(this.#nowMs);
    if (this.#numChars === 0) this.#firstChars = text.length;
    this.#numChars += text.length;
    if (this.options.keepText) this.#text += text;
    this.#finishReason = finishReason ?? this.#finishReason;
    this.#usage = usage ?? this.#usage;
  }

  readonly #onAbort = () => this.#cut('cancelled', 'the run was ended');

  /** Ends the request from this side; what was whole before stays an answer. */
  #cut(kind: string, message: string): void {
    if (this.#doneMs === null) this.#failure ??= { kind, message };
    if (this.#abort === null) this.#settle();
    else this.#abort(new Error(kind));
  }

  #fail(kind: string, message: string): void {
    this.#failure ??= { kind, message };
    this.#settle();
  }

  #settle(): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    clearTimeout(this.#timer);
    this.options.signal?.removeEventListener('abort', this.#onAbort);
    // Text without tokens was not counted.
    const counted = this.#usage?.completionTokens || null;
    this.resolve({
      text: this.#text,
      trace: {
        startMs: this.#startMs,
        sentMs: this.#sentMs,
        pieceMs: this.#pieceMs,
        firstShare: this.#numChars === 0 ? 1 : this.#firstChars / this.#numChars,
        endMs: this.#doneMs ?? this.options.clock.now(),
        promptTokens: this.#usage?.promptTokens ?? null,
        cachedTokens: this.#usage?.cachedTokens ?? null,
        completionTokens: counted ?? this.#pieceMs.length,
        countedBy: counted === null ? 'pieces' : 'usage',
        finishReason: this.#finishReason,
        failure: this.#failure,
      },
    });
  }
}
