/** Answers of SGLang's /generate: whole, or streamed with the text and ids so far in every chunk. */
import type { TokenEvent } from '../addon/runtime.js';
import type { JsgError } from '../errors.js';
import type { ServerContext } from './context.js';
import { DraftCounts } from './draft-counts.js';
import { failedStream } from './openai.js';
import type { StreamSink } from './responses.js';
import type { Finish, GenerationSink } from './sequence-reader.js';
import type { ScoredToken } from './sequence-text.js';
import { SSE_DONE, type SseStream, sseEvent } from './sse.js';
import { finiteLogprob, textOfToken } from './token-text.js';

/** One sequence of the request. */
export interface GenerateItem {
  id: string;
  numPromptTokens: number;
  maxNewTokens: number;
  logprobs: LogprobOptions | null;
}

export interface LogprobOptions {
  /** First prompt token to report; -1: none. */
  startLen: number;
  topCount: number;
  withText: boolean;
}

/** `[logprob, token id, text]`; null logprob for the first token of a prompt. */
type TokenLogprob = [number | null, number, string | null];

/** One sequence as it grows. */
class Item {
  text = '';
  readonly ids: number[] = [];
  numTokens = 0;
  cachedTokens = 0;
  finish: Finish | null = null;
  readonly #begin = performance.now();
  readonly #drafts = new DraftCounts();
  readonly #inputLogprobs: TokenLogprob[] = [];
  readonly #inputTop: (TokenLogprob[] | null)[] = [];
  readonly #outputLogprobs: TokenLogprob[] = [];
  readonly #outputTop: TokenLogprob[][] = [];

  constructor(
    private readonly server: ServerContext,
    private readonly spec: GenerateItem,
  ) {}

  prompt(events: readonly TokenEvent[]): void {
    const { logprobs } = this.spec;
    if (!logprobs || logprobs.startLen < 0) return;
    for (const event of events.slice(logprobs.startLen)) {
      this.#inputLogprobs.push(this.#entry(event.tokenId, event.logprob));
      this.#inputTop.push(Number.isNaN(event.logprob) ? null : this.#top(event));
    }
  }

  token(event: TokenEvent): void {
    this.ids.push(event.tokenId);
    this.numTokens++;
    this.cachedTokens = event.cachedTokens ?? 0;
    this.#drafts.push(event);
    if (!this.spec.logprobs) return;
    this.#outputLogprobs.push(this.#entry(event.tokenId, event.logprob));
    this.#outputTop.push(this.#top(event));
  }

  toJSON(): object {
    const ids = { output_ids: this.ids, meta_info: this.#metaInfo() };
    return this.server.model.tokenizer ? { text: this.text, ...ids } : ids;
  }

  #metaInfo(): object {
    return {
      id: this.spec.id,
      finish_reason: this.finish && finishReason(this.finish, this.spec.maxNewTokens),
      prompt_tokens: this.spec.numPromptTokens,
      ...this.#logprobInfo(),
      completion_tokens: this.numTokens,
      cached_tokens: this.cachedTokens,
      ...(this.server.options.speculates ? this.#drafts.toMetaInfo() : {}),
      ...(this.finish ? { e2e_latency: (performance.now() - this.#begin) / 1000 } : {}),
    };
  }

  #logprobInfo(): object {
    const { logprobs } = this.spec;
    if (!logprobs) return {};
    return {
      input_token_logprobs: this.#inputLogprobs,
      output_token_logprobs: this.#outputLogprobs,
      ...(logprobs.topCount > 0 ? { input_top_logprobs: this.#inputTop, output_top_logprobs: this.#outputTop } : {}),
    };
  }

  #top(event: TokenEvent): TokenLogprob[] {
    return event.topLogprobs.map((top) => this.#entry(top.tokenId, top.logprob));
  }

  #entry(id: number, logprob: number): TokenLogprob {
    const { tokenizer } = this.server.model;
    const text = this.spec.logprobs?.withText && tokenizer ? textOfToken(tokenizer, id) : null;
    return [Number.isNaN(logprob) ? null : finiteLogprob(logprob), id, text];
  }
}

function finishReason({ reason, matched }: Finish, maxNewTokens: number): object {
  if (reason === 'length') return { type: 'length', length: maxNewTokens };
  if (reason === 'stop') return { type: 'stop', matched };
  return { type: 'abort', message: 'the request was aborted' };
}

export class GenerateAnswer implements GenerationSink {
  readonly items: Item[];

  constructor(server: ServerContext, specs: readonly GenerateItem[]) {
    this.items = specs.map((spec) => new Item(server, spec));
  }

  prompt(index: number, events: TokenEvent[]): void {
    this.items[index]?.prompt(events);
  }

  token(index: number, event: TokenEvent): void {
    this.items[index]?.token(event);
  }

  delta(index: number, text: string, _tokens: ScoredToken[]): void {
    (this.items[index] as Item).text += text;
  }

  finish(index: number, finish: Finish): void {
    (this.items[index] as Item).finish = finish;
  }

  /** `isList`: the request asked for several. */
  body(isList: boolean): unknown {
    return isList ? this.items : this.items[0];
  }
}

export class GenerateStream extends GenerateAnswer implements StreamSink {
  /** Every token is a chunk, whether its text is out already or not. */
  readonly wantsEveryToken = true;

  constructor(
    server: ServerContext,
    specs: readonly GenerateItem[],
    private readonly isList: boolean,
    private readonly stream: SseStream,
  ) {
    super(server, specs);
  }

  override delta(index: number, text: string, tokens: ScoredToken[]): void {
    super.delta(index, text, tokens);
    this.#write(index);
  }

  override finish(index: number, finish: Finish): void {
    super.finish(index, finish);
    this.#write(index);
  }

  pressure(): Promise<void> | null {
    return this.stream.pressure();
  }

  last(): string {
    return SSE_DONE;
  }

  failed(error: JsgError): string {
    return failedStream(error);
  }

  #write(index: number): void {
    const item = (this.items[index] as Item).toJSON();
    this.stream.write(sseEvent(this.isList ? { index, ...item } : item));
  }
}
