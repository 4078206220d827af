/** Answers of /v1/chat/completions, whole and streamed. */
import { ChoiceStream } from './choice-stream.js';
import type { ServerContext } from './context.js';
import { type ChatLogprobs, chatLogprobs } from './logprobs.js';
import { envelope, finishFields, usageOf } from './openai.js';
import type { Finish, GenerationSink } from './sequence-reader.js';
import type { ScoredToken } from './sequence-text.js';
import type { SseStream } from './sse.js';
import { AnswerParser, type AnswerShape } from './tools/answer-parser.js';
import type { Part } from './tools/tool-call-parser.js';

export interface ChatAnswerOptions {
  id: string;
  n: number;
  numPromptTokens: number;
  withLogprobs: boolean;
  includeUsage: boolean;
  shape: AnswerShape;
}

interface ToolCall {
  id: string;
  type: 'function';
  function: { name: string; arguments: string };
}

interface ChatMessageOut {
  role: 'assistant';
  content: string | null;
  reasoning_content?: string;
  tool_calls?: ToolCall[];
  refusal: null;
}

interface ChatChoice {
  index: number;
  message: ChatMessageOut;
  logprobs: ChatLogprobs | null;
  finish_reason: Finish['reason'];
  matched_stop: string | number | null;
}

/** Collects the answer that is sent whole. */
export class ChatAnswer implements GenerationSink {
  readonly #messages: ChatMessageOut[];
  readonly #parsers: AnswerParser[];
  readonly #tokens: ScoredToken[][];
  readonly #finishes: Finish[] = [];

  constructor(
    private readonly server: ServerContext,
    private readonly options: ChatAnswerOptions,
  ) {
    this.#messages = Array.from({ length: options.n }, () => ({ role: 'assistant', content: '', refusal: null }));
    this.#parsers = Array.from({ length: options.n }, () => new AnswerParser(options.shape));
    this.#tokens = Array.from({ length: options.n }, () => []);
  }

  delta(index: number, text: string, tokens: ScoredToken[]): void {
    this.#add(index, (this.#parsers[index] as AnswerParser).push(text));
    this.#tokens[index]?.push(...tokens);
  }

  finish(index: number, finish: Finish): void {
    const parser = this.#parsers[index] as AnswerParser;
    this.#add(index, parser.end());
    this.#tokens[index]?.push(...finish.tokens);
    this.#finishes[index] = finishWithCalls(finish, parser);
  }

  #add(index: number, parts: readonly Part[]): void {
    const message = this.#messages[index] as ChatMessageOut;
    for (const part of parts) {
      if (part.kind === 'text') message.content += part.text;
      else if (part.kind === 'reasoning') message.reasoning_content = (message.reasoning_content ?? '') + part.text;
      else if (part.kind === 'call') message.tool_calls = [...(message.tool_calls ?? []), toolCall(part.id, part.name)];
      else addArguments(message.tool_calls?.[part.index], part.text);
    }
  }

  body(): object {
    const { id, numPromptTokens } = this.options;
    return {
      ...envelope(this.server, id, 'chat.completion'),
      choices: this.#finishes.map((finish, index) => this.#choice(finish, index)),
      usage: usageOf(numPromptTokens, this.#finishes),
    };
  }

  #choice(finish: Finish, index: number): ChatChoice {
    const { tokenizer } = this.server.model;
    const message = this.#messages[index] as ChatMessageOut;
    return {
      index,
      message: message.tool_calls && message.content === '' ? { ...message, content: null } : message,
      logprobs: this.options.withLogprobs && tokenizer ? chatLogprobs(tokenizer, this.#tokens[index] ?? []) : null,
      ...finishFields(finish),
    };
  }
}

function addArguments(call: ToolCall | undefined, text: string): void {
  if (call) call.function.arguments += text;
}

function toolCall(id: string, name: string): ToolCall {
  return { id, type: 'function', function: { name, arguments: '' } };
}

function finishWithCalls(finish: Finish, parser: AnswerParser): Finish {
  return finish.reason === 'stop' && parser.hasCalls ? { ...finish, reason: 'tool_calls' } : finish;
}

/** Writes the chunks of a streamed answer. */
export class ChatStream extends ChoiceStream {
  /** Empty where an answer is text and nothing else. */
  readonly #parsers: AnswerParser[] = [];
  readonly #withLogprobs: boolean;

  constructor(
    private readonly server: ServerContext,
    options: ChatAnswerOptions,
    stream: SseStream,
  ) {
    super(stream, envelope(server, options.id, 'chat.completion.chunk'), options, Array(options.n).fill(false));
    this.#withLogprobs = options.withLogprobs;
    if (options.shape.tools === null && options.shape.reasoning === null) return;
    this.#parsers = Array.from({ length: options.n }, () => new AnswerParser(options.shape));
  }

  override delta(index: number, text: string, tokens: ScoredToken[]): void {
    const parser = this.#parsers[index];
    if (parser) this.#send(index, parser.push(text), tokens);
    else super.delta(index, text, tokens);
  }

  override finish(index: number, finish: Finish): void {
    const parser = this.#parsers[index];
    if (parser) this.#send(index, parser.end(), []);
    super.finish(index, parser ? finishWithCalls(finish, parser) : finish);
  }

  /** A chunk a part; the log-probabilities of the tokens go with the first. */
  #send(index: number, parts: readonly Part[], tokens: ScoredToken[]): void {
    const scored = this.#withLogprobs && tokens.length > 0 ? this.logprobs(index, tokens) : null;
    const deltas = parts.map(deltaOf);
    if (deltas.length === 0 && scored) deltas.push({});
    if (deltas.length > 0) this.begin(index);
    for (const [at, delta] of deltas.entries()) this.write(choiceOf(index, delta, at === 0 ? scored : null));
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

function deltaOf(part: Part): object {
  switch (part.kind) {
    case 'text':
      return { content: part.text };
    case 'reasoning':
      return { reasoning_content: part.text };
    case 'call':
      return { tool_calls: [{ index: part.index, ...toolCall(part.id, part.name) }] };
    case 'arguments':
      return { tool_calls: [{ index: part.index, function: { arguments: part.text } }] };
  }
}

function choiceOf(index: number, delta: object, logprobs: object | null): object {
  return { index, delta, logprobs, finish_reason: null };
}
