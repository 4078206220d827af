/** Answers of /v1/completions, whole and streamed. */
import type { TokenEvent } from '../addon/runtime.js';
import { ChoiceStream } from './choice-stream.js';
import type { ServerContext } from './context.js';
import { joinLegacy, type LegacyLogprobs, legacyLogprobs, promptLogprobs } from './logprobs.js';
import { envelope, finishFields, usageOf } from './openai.js';
import type { Finish, GenerationSink } from './sequence-reader.js';
import { countCharacters, type ScoredToken } from './sequence-text.js';
import type { SseStream } from './sse.js';

export interface CompletionAnswerOptions {
  id: string;
  /** Of each sequence: what its text begins with, the prompt for `echo`, else nothing. */
  echoes: string[];
  /** All prompts together, each once. */
  numPromptTokens: number;
  withLogprobs: boolean;
  includeUsage: boolean;
}

/** The log-probabilities of one choice as they come: the echoed prompt's, then the answer's. */
class ChoiceLogprobs {
  readonly #base: number;

  constructor(
    private readonly server: ServerContext,
    private readonly echo: string,
  ) {
    this.#base = countCharacters(echo);
  }

  ofPrompt(events: readonly TokenEvent[]): LegacyLogprobs | null {
    const { tokenizer, bosTokenId } = this.server.model;
    return tokenizer && promptLogprobs(tokenizer, events, this.echo, bosTokenId);
  }

  ofTokens(tokens: readonly ScoredToken[]): LegacyLogprobs | null {
    const { tokenizer } = this.server.model;
    return tokenizer && legacyLogprobs(tokenizer, tokens, this.#base);
  }
}

/** Collects the answer that is sent whole. */
export class CompletionAnswer implements GenerationSink {
  readonly #texts: string[];
  readonly #makers: ChoiceLogprobs[];
  readonly #logprobs: (LegacyLogprobs | null)[];
  readonly #finishes: Finish[] = [];

  constructor(
    private readonly server: ServerContext,
    private readonly options: CompletionAnswerOptions,
  ) {
    this.#texts = [...options.echoes];
    this.#makers = options.echoes.map((echo) => new ChoiceLogprobs(server, echo));
    this.#logprobs = this.#makers.map((maker) => (options.withLogprobs ? maker.ofTokens([]) : null));
  }

  prompt(index: number, events: TokenEvent[]): void {
    this.#addLogprobs(index, this.#makers[index]?.ofPrompt(events));
  }

  delta(index: number, text: string, tokens: ScoredToken[]): void {
    this.#texts[index] += text;
    if (tokens.length > 0) this.#addLogprobs(index, this.#makers[index]?.ofTokens(tokens));
  }

  finish(index: number, finish: Finish): void {
    if (finish.tokens.length > 0) this.#addLogprobs(index, this.#makers[index]?.ofTokens(finish.tokens));
    this.#finishes[index] = finish;
  }

  body(): object {
    return {
      ...envelope(this.server, this.options.id, 'text_completion'),
      choices: this.#finishes.map((finish, index) => ({
        index,
        text: this.#texts[index],
        logprobs: this.#logprobs[index],
        ...finishFields(finish),
      })),
      usage: usageOf(this.options.numPromptTokens, this.#finishes),
    };
  }

  #addLogprobs(index: number, more: LegacyLogprobs | null | undefined): void {
    const before = this.#logprobs[index];
    if (before && more) this.#logprobs[index] = joinLegacy(before, more);
  }
}

/** Writes the chunks of a streamed answer. */
export class CompletionStream extends ChoiceStream {
  readonly #makers: ChoiceLogprobs[];

  constructor(
    server: ServerContext,
    private readonly options: CompletionAnswerOptions,
    stream: SseStream,
  ) {
    const isBegun = options.echoes.map((echo) => echo === '');
    super(stream, envelope(server, options.id, 'text_completion'), options, isBegun);
    this.#makers = options.echoes.map((echo) => new ChoiceLogprobs(server, echo));
  }

  prompt(index: number, events: TokenEvent[]): void {
    const logprobs = this.#makers[index]?.ofPrompt(events) ?? null;
    this.open(index, this.choice(index, this.options.echoes[index] as string, logprobs));
  }

  protected override choice(index: number, text: string | null, logprobs: object | null): object {
    return { index, text: text ?? '', logprobs, finish_reason: null };
  }

  /** The echo is a chunk of its own, before the first of the answer. */
  protected override opening(index: number): object {
    return this.choice(index, this.options.echoes[index] as string, null);
  }

  protected override logprobs(index: number, tokens: readonly ScoredToken[]): LegacyLogprobs | null {
    return this.#makers[index]?.ofTokens(tokens) ?? null;
  }
}
