/** Keeps a server of another program alive: start, readiness, silence, crash, another start, an orderly end. */
import { setTimeout as sleep } from 'node:timers/promises';
import { explain } from '../doctor/failures.js';
import { JsgError } from '../errors.js';
import { log } from '../log.js';
import { Backoff } from './backoff.js';
import { Child, type ChildSpec } from './child.js';
import type { Running } from './engine.js';
import { outcomeOf } from './outcome.js';
import type { RotatingLog } from './rotating-log.js';

export interface Supervised {
  /** `SGLang` */
  name: string;
  command: Omit<ChildSpec, 'onLine'>;
  /** What no log may hold. */
  secrets: readonly string[];
  log: RotatingLog;
  /** A start begins: forget the last one. */
  onStart(): void;
  onLine(line: string): void;
  /** Where a start is: `loading weights (99 %)`. */
  describeStart(): string;
  /** Whether it serves now; asked again and again while it starts. Must not throw. */
  isReady(): Promise<boolean>;
  onReady(): void;
  /** It is gone, or about to be started again. */
  onDown(): void;
  startupTimeoutMs: number;
  drainTimeoutMs: number;
  restarts: boolean;
}

const POLL_MS = 200;
/** Lines that a crash is explained by. */
const TAIL_LINES = 2000;
const SHOWN_LINES = 8;
/** What a server that never served has to end in. */
const ABANDON_MS = 3000;
/** Our own questions in its access log are no sign of life. */
const OWN_QUESTIONS = /"GET \/(?:health|readiness)/;

interface Attempt {
  child: Child;
  tail: string[];
  lastSignMs: number;
  readyMs: number | null;
  /** Null: it was not ended for its silence. */
  hungForMs: number | null;
}

export class Supervisor {
  #attempt: Attempt | null = null;
  #stopping: Promise<void> | null = null;
  readonly #backoff = new Backoff();

  constructor(private readonly server: Supervised) {}

  /**
   * Resolves when the server serves for the first time. Throws what it failed of, and leaves nothing running then; an
   * abort of `signal` ends the start.
   */
  async start(signal?: AbortSignal): Promise<Pick<Running, 'done' | 'stop'>> {
    const onAbort = () => void this.#stop();
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      if (signal?.aborted) throw interrupted();
      await this.#startUntilReady();
    } finally {
      signal?.removeEventListener('abort', onAbort);
    }
    const done = this.#watch();
    // It may fail before anybody has begun to listen.
    done.catch(() => {});
    return { done, stop: () => this.#stop() };
  }

  /** Rejects when it is given up. */
  async #startUntilReady(): Promise<void> {
    for (;;) {
      const attempt = this.#spawn();
      if (await this.#becomesReady(attempt)) {
        attempt.readyMs = performance.now();
        this.server.onReady();
        return;
      }
      await this.#afterEnd(attempt);
    }
  }

  async #watch(): Promise<void> {
    for (;;) {
      const attempt = this.#attempt as Attempt;
      await attempt.child.ended;
      if (this.#stopping !== null) return this.#stopping;
      try {
        await this.#afterEnd(attempt);
        await this.#startUntilReady();
      } catch (error) {
        // Told to stop between two starts.
        if (this.#stopping !== null) return this.#stopping;
        throw error;
      }
    }
  }

  #spawn(): Attempt {
    if (this.#stopping !== null) throw interrupted();
    const { server } = this;
    server.onStart();
    const attempt: Omit<Attempt, 'child'> = {
      tail: [],
      lastSignMs: performance.now(),
      readyMs: null,
      hungForMs: null,
    };
    const onLine = (line: string) => {
      const clean = server.secrets.reduce((text, secret) => text.replaceAll(secret, '***'), line);
      server.log.write(clean);
      attempt.tail.push(clean);
      if (attempt.tail.length > TAIL_LINES) attempt.tail.shift();
      if (!OWN_QUESTIONS.test(clean)) attempt.lastSignMs = performance.now();
      server.onLine(clean);
    };
    this.#attempt = Object.assign(attempt, { child: new Child({ ...server.command, onLine }) });
    return this.#attempt;
  }

  async #becomesReady(attempt: Attempt): Promise<boolean> {
    let isGone = false;
    void attempt.child.ended.then(() => {
      isGone = true;
    });
    while (!isGone && this.#stopping === null) {
      if (await this.server.isReady()) return !isGone;
      const silentMs = performance.now() - attempt.lastSignMs;
      if (silentMs >= this.server.startupTimeoutMs) {
        attempt.hungForMs = silentMs;
        return false;
      }
      await Promise.race([sleep(POLL_MS), attempt.child.ended]);
    }
    return false;
  }

  /** Cleans up; returns when the next start is due, throws where there is to be none. */
  async #afterEnd(attempt: Attempt): Promise<void> {
    const { server } = this;
    const { readyMs, hungForMs, tail } = attempt;
    const servedMs = readyMs === null ? 0 : performance.now() - readyMs;
    const during = readyMs === null ? server.describeStart() : 'serving';
    server.onDown();
    await attempt.child.endAll();
    const end = await attempt.child.ended;
    if (this.#stopping !== null) {
      await this.#stopping;
      throw interrupted();
    }
    if (end.startError !== null) {
      throw new JsgError('E_ENGINE_FAILED', `${server.name} could not be started: ${end.startError}`);
    }
    const lastLines = tail.slice(-SHOWN_LINES);
    const { error, mayRecover } = outcomeOf({ ...end, hungForMs }, server.name, during, explain(tail), {
      path: server.log.path,
      lastLines,
    });
    const waitMs = server.restarts && mayRecover ? this.#backoff.next(servedMs) : null;
    if (waitMs === null) throw error;
    log.error(`${error.message}; starting it again in ${waitMs / 1000} s (${this.#backoff.failures} of 5)`);
    const stopped = () => this.#stopping !== null;
    for (const until = performance.now() + waitMs; performance.now() < until && !stopped(); ) await sleep(POLL_MS);
  }

  #stop(): Promise<void> {
    this.#stopping ??= this.#end();
    return this.#stopping;
  }

  async #end(): Promise<void> {
    const child = this.#attempt?.child;
    this.server.onDown();
    if (child === undefined) return;
    child.terminate();
    // A start that is given up has nothing to drain.
    const isServing = this.#attempt?.readyMs !== null;
    const waitMs = isServing ? this.server.drainTimeoutMs : Math.min(ABANDON_MS, this.server.drainTimeoutMs);
    const late = await Promise.race([child.ended.then(() => false), sleep(waitMs, true, { ref: false })]);
    if (late && isServing) log.warning(`${this.server.name} did not end within ${waitMs / 1000} s: it is ended now`);
    await child.endAll();
    this.server.log.close();
  }
}

function interrupted(): JsgError {
  return new JsgError('E_UNAVAILABLE', 'the start was interrupted');
}
