/** Answers of /v1/completions, whole and streamed. */
import type { TokenEvent } from '../addon/runtime.js';
import type { ServerContext } from './context.js';
import { joinLegacy, type LegacyLogprobs, legacyLogprobs, promptLogprobs } from './logprobs.js';
import { chunkParts, type Envelope, envelope, finishFields, usage } from './openai.js';
import type { StreamSink } from './responses.js';
import type { Finish, GenerationSink } from './sequence-reader.js';
import { countCharacters, type ScoredToken } from './sequence-text.js';
import { type SseStream, sseEvent } from './sse.js';

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
    const completionTokens = this.#finishes.reduce((sum, finish) => sum + finish.numTokens, 0);
    return {
      ...envelope(this.server, this.options.id, 'text_completion'),
      choices: this.#finishes.map((finish, index) => ({
        index,
        text: this.#texts[index],
        logprobs: this.#logprobs[index],
        ...finishFields(finish),
      })),
      usage: usage(this.options.numPromptTokens, completionTokens),
    };
  }

  #addLogprobs(index: number, more: LegacyLogprobs | null | undefined): void {
    const before = this.#logprobs[index];
    if (before && more) this.#logprobs[index] = joinLegacy(before, more);
  }
}

/** Writes the chunks of a streamed answer. */
export class CompletionStream implements StreamSink {
  readonly #chunk: Envelope;
  readonly #parts: { before: string; after: string }[];
  readonly #makers: ChoiceLogprobs[];
  readonly #isBegun: boolean[];
  #completionTokens = 0;

  constructor(
    server: ServerContext,
    private readonly options: CompletionAnswerOptions,
    private readonly stream: SseStream,
  ) {
    this.#chunk = envelope(server, options.id, 'text_completion');
    this.#parts = options.echoes.map((_, index) =>
      chunkParts(this.#chunk, choiceOf(index, '\0', null), '\0', options.includeUsage),
    );
    this.#makers = options.echoes.map((echo) => new ChoiceLogprobs(server, echo));
    this.#isBegun = options.echoes.map((echo) => echo === '');
  }

  prompt(index: number, events: TokenEvent[]): void {
    this.#isBegun[index] = true;
    const logprobs = this.#makers[index]?.ofPrompt(events) ?? null;
    this.stream.write(this.#event(choiceOf(index, this.options.echoes[index] as string, logprobs)));
  }

  delta(index: number, text: string, tokens: ScoredToken[]): void {
    this.#begin(index);
    if (this.options.withLogprobs) {
      this.stream.write(this.#event(choiceOf(index, text, this.#logprobs(index, tokens))));
      return;
    }
    const parts = this.#parts[index] as { before: string; after: string };
    this.stream.write(parts.before + JSON.stringify(text) + parts.after);
  }

  finish(index: number, finish: Finish): void {
    this.#begin(index);
    this.#completionTokens += finish.numTokens;
    const logprobs = finish.tokens.length > 0 ? this.#logprobs(index, finish.tokens) : null;
    this.stream.write(this.#event({ ...choiceOf(index, '', logprobs), ...finishFields(finish) }));
  }

  last(): string {
    if (!this.options.includeUsage) return '';
    return sseEvent({
      ...this.#chunk,
      choices: [],
      usage: usage(this.options.numPromptTokens, this.#completionTokens),
    });
  }

  pressure(): Promise<void> | null {
    return this.stream.pressure();
  }

  /** The echo is a chunk of its own, before the first of the answer. */
  #begin(index: number): void {
    if (this.#isBegun[index]) return;
    this.#isBegun[index] = true;
    this.stream.write(this.#event(choiceOf(index, this.options.echoes[index] as string, null)));
  }

  #logprobs(index: number, tokens: readonly ScoredToken[]): LegacyLogprobs | null {
    return this.options.withLogprobs ? (this.#makers[index]?.ofTokens(tokens) ?? null) : null;
  }

  #event(choice: object): string {
    return sseEvent({ ...this.#chunk, choices: [choice], ...(this.options.includeUsage ? { usage: null } : {}) });
  }
}

function choiceOf(index: number, text: string, logprobs: LegacyLogprobs | null): object {
  return { index, text, logprobs, finish_reason: null };
}
