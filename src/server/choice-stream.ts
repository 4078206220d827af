/** The chunks of a streamed OpenAI answer: what chat and legacy completions have in common. */
import type { JsgError } from '../errors.js';
import { chunkParts, type Envelope, failedStream, finishFields, usageOf } from './openai.js';
import type { StreamSink } from './responses.js';
import type { Finish } from './sequence-reader.js';
import type { ScoredToken } from './sequence-text.js';
import { SSE_DONE, type SseStream, sseEvent } from './sse.js';

export interface ChoiceStreamOptions {
  /** All prompts together, each once. */
  numPromptTokens: number;
  withLogprobs: boolean;
  includeUsage: boolean;
}

export abstract class ChoiceStream implements StreamSink {
  /** Of each choice: the parts of a plain text chunk. */
  readonly #parts: { before: string; after: string }[];
  readonly #finishes: Finish[] = [];

  /** @param isBegun of each choice: it needs no opening chunk */
  constructor(
    private readonly stream: SseStream,
    private readonly chunk: Envelope,
    private readonly shared: ChoiceStreamOptions,
    private readonly isBegun: boolean[],
  ) {
    this.#parts = isBegun.map((_, index) =>
      chunkParts(chunk, this.choice(index, '\0', null), '\0', shared.includeUsage),
    );
  }

  /** A choice that adds `text`; null: the last one, which adds none. Called by the constructor: uses no field. */
  protected abstract choice(index: number, text: string | null, logprobs: object | null): object;
  /** The choice of the first chunk. */
  protected abstract opening(index: number): object;
  /** Called where log-probabilities are asked for. */
  protected abstract logprobs(index: number, tokens: readonly ScoredToken[]): object | null;

  delta(index: number, text: string, tokens: ScoredToken[]): void {
    this.begin(index);
    if (this.shared.withLogprobs) {
      this.write(this.choice(index, text, this.logprobs(index, tokens)));
      return;
    }
    const parts = this.#parts[index] as { before: string; after: string };
    this.stream.write(parts.before + JSON.stringify(text) + parts.after);
  }

  finish(index: number, finish: Finish): void {
    this.begin(index);
    this.#finishes.push(finish);
    const hasLogprobs = this.shared.withLogprobs && finish.tokens.length > 0;
    const logprobs = hasLogprobs ? this.logprobs(index, finish.tokens) : null;
    this.write({ ...this.choice(index, null, logprobs), ...finishFields(finish) });
  }

  last(): string {
    if (!this.shared.includeUsage) return SSE_DONE;
    const total = usageOf(this.shared.numPromptTokens, this.#finishes);
    return sseEvent({ ...this.chunk, choices: [], usage: total }) + SSE_DONE;
  }

  failed(error: JsgError): string {
    return failedStream(error);
  }

  pressure(): Promise<void> | null {
    return this.stream.pressure();
  }

  protected open(index: number, choice: object): void {
    this.isBegun[index] = true;
    this.write(choice);
  }

  protected begin(index: number): void {
    if (!this.isBegun[index]) this.open(index, this.opening(index));
  }

  protected write(choice: object): void {
    const usageField = this.shared.includeUsage ? { usage: null } : {};
    this.stream.write(sseEvent({ ...this.chunk, choices: [choice], ...usageField }));
  }
}
