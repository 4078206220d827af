/** One sequence of a request, from the runtime's token events to pieces of text in a sink. */
import type { SubmitRequest, TokenEvent } from '../addon/runtime.js';
import { JsgError } from '../errors.js';
import type { ServerContext } from './context.js';
import type { SequenceTimer } from './metrics.js';
import { type ScoredToken, SequenceText, type TextOptions } from './sequence-text.js';

/** One sequence to run: what the runtime gets, and how its tokens become text. */
export interface SequencePlan extends TextOptions {
  submit: SubmitRequest;
  /** The first choice of its prompt: what it finds in the prefix cache is what was there before the request. */
  countsCache: boolean;
  /** After which its request ends; null: when it is done. */
  timeoutSeconds: number | null;
}

export interface Finish {
  /** `tool_calls`: it stopped, and calls tools. */
  reason: 'stop' | 'length' | 'abort' | 'tool_calls';
  /** The stop string or stop token that ended it. */
  matched: string | number | null;
  numTokens: number;
  /** Prompt tokens from the prefix cache; 0 where a choice before it has counted them. */
  cachedTokens: number;
  /** Tokens whose text came out with the end. */
  tokens: ScoredToken[];
}

/** Where a generation goes. `index` is the sequence's place in the plans. */
export interface GenerationSink {
  /** The scored prompt, before anything else of this sequence; only with `promptLogprobs`. */
  prompt?(index: number, tokens: TokenEvent[]): void;
  /** Each generated token as it comes, the one that stopped it included; before its text. */
  token?(index: number, event: TokenEvent): void;
  /** Text to add; empty only where `wantsEveryToken`. `tokens`: those it is made of, if tracked. */
  delta(index: number, text: string, tokens: ScoredToken[]): void;
  finish(index: number, finish: Finish): void;
  /** True: `delta` is called for tokens that add no text too. */
  readonly wantsEveryToken?: boolean;
  /** A promise while the reader is behind: nothing more is taken from the runtime until it resolves. */
  pressure?(): Promise<void> | null;
}

export class SequenceReader {
  readonly #text: SequenceText;
  readonly #timer: SequenceTimer;
  /** Collected until the prompt is scored; null from then on. */
  #promptTokens: TokenEvent[] | null;
  #numTokens = 0;
  #cachedTokens = 0;

  constructor(
    private readonly server: ServerContext,
    private readonly plan: SequencePlan,
    private readonly index: number,
    private readonly sink: GenerationSink,
  ) {
    this.#text = new SequenceText(server.model.tokenizer, plan);
    this.#timer = server.metrics.sequence(plan.submit.promptIds.length);
    this.#promptTokens = plan.submit.promptLogprobs ? [] : null;
  }

  /** Tokens that have come. */
  get numTokens(): number {
    return this.#numTokens;
  }

  /** Resolves when the sequence has ended. Throws what the runtime throws, and an error that `signal` was aborted with. */
  async read(events: AsyncIterable<TokenEvent>, signal: AbortSignal): Promise<void> {
    const finish = await this.#readToEnd(events).finally(() => this.#timer.end());
    if (finish.reason === 'abort' && signal.reason instanceof JsgError) throw signal.reason;
    this.sink.finish(this.index, finish);
  }

  async #readToEnd(events: AsyncIterable<TokenEvent>): Promise<Finish> {
    for await (const event of events) {
      if (this.plan.countsCache) this.#cachedTokens = event.cachedTokens ?? 0;
      if (event.isPrompt) this.#promptTokens?.push(event);
      if (!event.isPrompt || event.finishReason !== null) this.#endPrompt();
      if (!event.isPrompt && event.tokenId >= 0) this.#addToken(event);
      // Leaving the loop cancels the sequence in the runtime.
      if (this.#text.matched !== null) return this.#end('stop', null);
      const { finishReason } = event;
      if (finishReason === 'error') throw new JsgError('E_RUNTIME_FAILED', 'the sequence ended with an error');
      if (finishReason !== null) return this.#end(finishReason, finishReason === 'stop' ? event.tokenId : null);
      const pressure = this.sink.pressure?.();
      if (pressure) await pressure;
    }
    return this.#end('abort', null);
  }

  #endPrompt(): void {
    if (this.#promptTokens === null) return;
    this.sink.prompt?.(this.index, this.#promptTokens);
    this.#promptTokens = null;
  }

  #addToken(event: TokenEvent): void {
    if (this.#numTokens === 0) this.server.lifecycle.tokenProduced();
    this.#numTokens++;
    this.#timer.token();
    this.sink.token?.(this.index, event);
    // A token that stops the sequence is no part of its text.
    if (event.finishReason === 'stop') return;
    const delta = this.#text.push(event, this.#numTokens > this.plan.submit.minNewTokens);
    if (delta !== '' || this.sink.wantsEveryToken) this.sink.delta(this.index, delta, this.#text.takeTokens());
  }

  #end(reason: Finish['reason'], stopToken: number | null): Finish {
    const rest = this.#text.end();
    if (rest.text !== '') this.sink.delta(this.index, rest.text, rest.tokens);
    const tokens = rest.text === '' ? rest.tokens : [];
    const { matched } = this.#text;
    const counts = { numTokens: this.#numTokens, cachedTokens: this.#cachedTokens };
    // The last of the text may complete a stop string too.
    return matched === null
      ? { reason, matched: stopToken, ...counts, tokens }
      : { reason: 'stop', matched, ...counts, tokens };
  }
}
