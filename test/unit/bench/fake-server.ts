/** An OpenAI-compatible server on a clock of its own, in place of a network: what it takes is written down, not waited for. */
import type { Agent, Dispatcher } from 'undici';
import { ROUTES } from '../../../src/bench/request-body.js';
import type { Target } from '../../../src/bench/target.js';
import type { FakeClock } from './fake-clock.js';

export interface Script {
  /** Time to the first token: so much and so much for each prompt token. */
  prefillMs?: number;
  prefillTokenMs?: number;
  /** Time of a token after the first, by its number. */
  stepMs?: number | ((i: number) => number);
  /** Tokens in one chunk. */
  tokensPerChunk?: number;
  /** Chunks in one read of the network. */
  chunksPerRead?: number;
  hasUsage?: boolean;
  /** Ends every answer after so many tokens, unless told to ignore the end. */
  endAfter?: number;
  /** Tokens that a prompt has beside its words: its template. */
  promptOverhead?: number;
  /** A request waits until the one before has its answer. */
  isOneByOne?: boolean;
  /** What happens to the n-th request instead of an answer. */
  fault?: (n: number) => Fault | null;
}

export type Fault = { status: number } | { breakAfter: number } | { refuse: true } | { error: string } | { hang: true };

export interface Asked {
  path: string;
  body: {
    prompt?: string;
    messages?: { role: string; content: string }[];
    max_tokens: number;
    ignore_eos?: boolean;
    stream_options?: object;
  };
}

export class FakeServer {
  readonly asked: Asked[] = [];
  #last = Promise.resolve();

  constructor(
    private readonly clock: FakeClock,
    private readonly script: Script,
  ) {}

  target(what: Partial<Target> = {}): Target {
    return {
      url: 'http://fake',
      apiKey: null,
      model: 'fake',
      route: ROUTES.completions,
      server: null,
      hasIgnoreEos: false,
      hasStreamOptions: true,
      extraBody: {},
      weightBytes: null,
      kvBytesPerToken: null,
      loadS: null,
      modelPath: null,
      runtime: null,
      agent: { dispatch: this.#dispatch } as unknown as Agent,
      ...what,
    };
  }

  readonly #dispatch = (options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean => {
    const before = this.script.isOneByOne ? this.#last : Promise.resolve();
    this.#last = before.then(() => this.#answer(options, handler));
    return true;
  };

  async #answer(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): Promise<void> {
    const body = JSON.parse(String(options.body)) as Asked['body'];
    const fault = this.script.fault?.(this.asked.length) ?? null;
    this.asked.push({ path: options.path, body });
    let isAborted = false;
    const controller = {
      abort: (reason: Error) => {
        if (isAborted) return;
        isAborted = true;
        handler.onResponseError?.(controller, reason);
      },
    } as Dispatcher.DispatchController;
    const sleep = (ms: number) => this.clock.sleepUntil(this.clock.now() + ms);
    const fail = (code: string) => handler.onResponseError?.(controller, Object.assign(new Error(code), { code }));
    if (fault !== null && 'refuse' in fault) {
      await sleep(1);
      return void fail('ECONNREFUSED');
    }
    handler.onRequestStart?.(controller, {});
    if (fault !== null && 'hang' in fault) return;
    const end = () => !isAborted && handler.onResponseEnd?.(controller, {});
    if (fault !== null && 'status' in fault) {
      handler.onResponseStart?.(controller, fault.status, {});
      handler.onResponseData?.(controller, Buffer.from('{"error":{"message":"no room"}}'));
      return void end();
    }
    handler.onResponseStart?.(controller, 200, {});
    const text = body.prompt ?? (body.messages ?? []).map(({ content }) => content).join(' ');
    const promptTokens = (this.script.promptOverhead ?? 0) + text.split(/\s+/).length;
    const { prefillMs = 0, prefillTokenMs = 0, stepMs = 10, tokensPerChunk = 1, chunksPerRead = 1 } = this.script;
    await sleep(prefillMs + prefillTokenMs * promptTokens);
    const numTokens = body.ignore_eos ? body.max_tokens : Math.min(body.max_tokens, this.script.endAfter ?? Infinity);
    let [pending, numPending] = ['', 0];
    const flush = () => {
      if (pending !== '' && !isAborted) handler.onResponseData?.(controller, Buffer.from(pending));
      [pending, numPending] = ['', 0];
    };
    const write = (chunk: object) => {
      pending += `data: ${JSON.stringify(chunk)}\n\n`;
      if (++numPending >= chunksPerRead) flush();
    };
    for (let i = 0; i < numTokens && !isAborted; i++) {
      if (i > 0) await sleep(typeof stepMs === 'number' ? stepMs : stepMs(i));
      if (fault !== null && 'breakAfter' in fault && i === fault.breakAfter) return void fail('ECONNRESET');
      if (fault !== null && 'error' in fault && i === 2) write({ error: { message: fault.error } });
      const isWhole = (i + 1) % tokensPerChunk === 0 || i === numTokens - 1;
      if (isWhole) write({ choices: [body.messages ? { delta: { content: 'a' } } : { text: 'a' }] });
    }
    flush();
    write({ choices: [{ text: '', finish_reason: 'length' }] });
    if (this.script.hasUsage !== false)
      write({ choices: [], usage: { prompt_tokens: promptTokens, completion_tokens: numTokens } });
    flush();
    if (!isAborted) handler.onResponseData?.(controller, Buffer.from('data: [DONE]\n\n'));
    end();
  }
}
