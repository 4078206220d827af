/** Answers of /v1/chat/completions, whole and streamed. */
import { ChoiceStream } from './choice-stream.js';
import type { ServerContext } from './context.js';
import { type ChatLogprobs, chatLogprobs } from './logprobs.js';
import { envelope, finishFields, usage } from './openai.js';
import type { Finish, GenerationSink } from './sequence-reader.js';
import type { ScoredToken } from './sequence-text.js';
import type { SseStream } from './sse.js';

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
export class ChatStream extends ChoiceStream {
  constructor(
    private readonly server: ServerContext,
    options: ChatAnswerOptions,
    stream: SseStream,
  ) {
    super(stream, envelope(server, options.id, 'chat.completion.chunk'), options, Array(options.n).fill(false));
  }

  protected override choice(index: number, text: string | null, logprobs: object | null): object {
    return choiceOf(index, text === null ? {} : { content: text }, logprobs);
  }

  /** The role comes with the first token, so that the time to it is the time to a token. */
  protected override opening(index: number): object {
    return choiceOf(index, { role: 'assistant', content: '' }, null);
  }

  protected override logprobs(_index: number, tokens: readonly ScoredToken[]): ChatLogprobs | null {
    const { tokenizer } = this.server.model;
    return tokenizer && chatLogprobs(tokenizer, tokens);
  }
}

function choiceOf(index: number, delta: object, logprobs: object | null): object {
  return { index, delta, logprobs, finish_reason: null };
}
