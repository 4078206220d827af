/** One sequence's tokens as text: detokenised, searched for stop strings, and matched up with their log-probabilities. */
import type { TokenEvent } from '../addon/runtime.js';
import type { StreamDecoder, Tokenizer } from '../model/model.js';
import { StopMatcher } from './stop-strings.js';

/** A token, and where its text begins in the generated text, in Unicode characters. */
export interface ScoredToken {
  event: TokenEvent;
  start: number;
}

export interface TextOptions {
  stop: readonly string[];
  skipSpecialTokens: boolean;
  /** The text goes on in the middle of the prompt's, so that a first space is part of it. */
  continuesPrompt: boolean;
  /** Each piece of text is wanted with the tokens behind it, for log-probabilities. */
  tracksTokens: boolean;
}

const NONE: ScoredToken[] = [];

export class SequenceText {
  readonly #decoder: StreamDecoder | null;
  readonly #stops: StopMatcher | null;
  /** Tokens whose text is not out yet; null when nobody asks. */
  #pending: ScoredToken[] | null;
  /** Characters detokenised, and characters handed out. Counted only where tokens are tracked. */
  #decoded = 0;
  #emitted = 0;

  /** Without a tokenizer there is no text: every piece is empty. */
  constructor(tokenizer: Tokenizer | null, options: TextOptions) {
    this.#decoder =
      tokenizer?.stream({ skipSpecialTokens: options.skipSpecialTokens, continues: options.continuesPrompt }) ?? null;
    this.#stops = options.stop.length > 0 ? new StopMatcher(options.stop) : null;
    this.#pending = options.tracksTokens ? [] : null;
  }

  /** The stop string that was found. */
  get matched(): string | null {
    return this.#stops?.matched ?? null;
  }

  /** The text that may go out. `mayStop` false: stop strings are not looked for yet (`min_tokens`). */
  push(event: TokenEvent, mayStop: boolean): string {
    this.#pending?.push({ event, start: this.#decoded });
    return this.#pass(this.#decoder?.push(event.tokenId) ?? '', mayStop);
  }

  /** The tokens of the text handed out since the last call. */
  takeTokens(): ScoredToken[] {
    const pending = this.#pending;
    if (pending === null) return NONE;
    let count = 0;
    while (count < pending.length && (pending[count] as ScoredToken).start < this.#emitted) count++;
    return pending.splice(0, count);
  }

  /** The last of the text: what was held back, and unless a stop string cut them off the tokens left over. */
  end(): { text: string; tokens: ScoredToken[] } {
    if (this.matched !== null) return { text: '', tokens: this.takeTokens() };
    let text = this.#pass(this.#decoder?.end() ?? '', true);
    if (this.matched !== null) return { text, tokens: this.takeTokens() };
    const held = this.#stops?.end() ?? '';
    text += held;
    const tokens = this.#pending ?? NONE;
    this.#pending = this.#pending && [];
    return { text, tokens };
  }

  #pass(piece: string, mayStop: boolean): string {
    if (this.#pending) this.#decoded += countCharacters(piece);
    const out = this.#stops && mayStop ? this.#stops.push(piece) : piece;
    if (this.#pending) this.#emitted += countCharacters(out);
    return out;
  }
}

export function countCharacters(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}
