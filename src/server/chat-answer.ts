/** Answers of /v1/chat/completions, whole and streamed. */
import type { ServerContext } from './context.js';
import { type ChatLogprobs, chatLogprobs } from './logprobs.js';
import { chunkParts, type Envelope, envelope, finishFields, usage } from './openai.js';
import type { StreamSink } from './responses.js';
import type { Finish, GenerationSink } from './sequence-reader.js';
import type { ScoredToken } from './sequence-text.js';
import { type SseStream, sseEvent } from './sse.js';

export interface ChatAnswerOptions {
  id: string;
  n: number;
  numPromptTokens: number;
  withLogprobs: boolean;
  includeUsage: boolean;
}

interface ChatChoice {
  index: number;
  message: { role: 'assistant'; content: string; refusal: null };
  logprobs: ChatLogprobs | null;
  finish_reason: Finish['reason'];
  matched_stop: string | number | null;
}

/** Collects the answer that is sent whole. */
export class ChatAnswer implements GenerationSink {
  readonly #texts: string[];
  readonly #tokens: ScoredToken[][];
  readonly #finishes: Finish[] = [];

  constructor(
    private readonly server: ServerContext,
    private readonly options: ChatAnswerOptions,
  ) {
    this.#texts = Array(options.n).fill('');
    this.#tokens = Array.from({ length: options.n }, () => []);
  }

  delta(index: number, text: string, tokens: ScoredToken[]): void {
    this.#texts[index] += text;
    this.#tokens[index]?.push(...tokens);
  }

  finish(index: number, finish: Finish): void {
    this.#tokens[index]?.push(...finish.tokens);
    this.#finishes[index] = finish;
  }

  body(): object {
    const { id, numPromptTokens } = this.options;
    const completionTokens = this.#finishes.reduce((sum, finish) => sum + finish.numTokens, 0);
    return {
      ...envelope(this.server, id, 'chat.completion'),
      choices: this.#finishes.map((finish, index) => this.#choice(finish, index)),
      usage: usage(numPromptTokens, completionTokens),
    };
  }

  #choice(finish: Finish, index: number): ChatChoice {
    const { tokenizer } = this.server.model;
    return {
      index,
      message: { role: 'assistant', content: this.#texts[index] as string, refusal: null },
      logprobs: this.options.withLogprobs && tokenizer ? chatLogprobs(tokenizer, this.#tokens[index] ?? []) : null,
      ...finishFields(finish),
    };
  }
}

/** Writes the chunks of a streamed answer. */
export class ChatStream implements StreamSink {
  readonly #chunk: Envelope;
  /** Of each choice: the parts of a plain text chunk. */
  readonly #parts: { before: string; after: string }[];
  readonly #isBegun: boolean[];
  #completionTokens = 0;

  constructor(
    private readonly server: ServerContext,
    private readonly options: ChatAnswerOptions,
    private readonly stream: SseStream,
  ) {
    this.#chunk = envelope(server, options.id, 'chat.completion.chunk');
    this.#isBegun = Array(options.n).fill(false);
    this.#parts = this.#isBegun.map((_, index) =>
      chunkParts(this.#chunk, choiceOf(index, { content: '\0' }, null), '\0', options.includeUsage),
    );
  }

  delta(index: number, text: string, tokens: ScoredToken[]): void {
    this.#begin(index);
    if (this.options.withLogprobs) {
      this.stream.write(this.#event(choiceOf(index, { content: text }, this.#logprobs(tokens))));
      return;
    }
    const parts = this.#parts[index] as { before: string; after: string };
    this.stream.write(parts.before + JSON.stringify(text) + parts.after);
  }

  finish(index: number, finish: Finish): void {
    this.#begin(index);
    this.#completionTokens += finish.numTokens;
    const logprobs = finish.tokens.length > 0 ? this.#logprobs(finish.tokens) : null;
    this.stream.write(this.#event({ ...choiceOf(index, {}, logprobs), ...finishFields(finish) }));
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

  /** The role comes with the first token, so that the time to it is the time to a token. */
  #begin(index: number): void {
    if (this.#isBegun[index]) return;
    this.#isBegun[index] = true;
    this.stream.write(this.#event(choiceOf(index, { role: 'assistant', content: '' }, null)));
  }

  #event(choice: object): string {
    return sseEvent({ ...this.#chunk, choices: [choice], ...(this.options.includeUsage ? { usage: null } : {}) });
  }

  #logprobs(tokens: readonly ScoredToken[]): ChatLogprobs | null {
    const { tokenizer } = this.server.model;
    return tokenizer && this.options.withLogprobs ? chatLogprobs(tokenizer, tokens) : null;
  }
}

function choiceOf(index: number, delta: object, logprobs: ChatLogprobs | null): object {
  return { index, delta, logprobs, finish_reason: null };
}
