/** Reasoning models think before they answer: what they think, told apart from the answer. */
import type { Part } from './tool-call-parser.js';

export const REASONING_PARSER_NAMES = ['deepseek-r1', 'qwen3'] as const;
export type ReasoningParserName = (typeof REASONING_PARSER_NAMES)[number];

export const THINK_BEGIN = '<think>';
export const THINK_END = '</think>';

/** Whether an answer begins inside the thoughts, whether or not it says so. DeepSeek-R1 always thinks. */
export function beginsInside(parser: ReasoningParserName, prompt: string): boolean {
  const thinks =
    prompt.lastIndexOf(THINK_BEGIN) > prompt.lastIndexOf(THINK_END) && prompt.trimEnd().endsWith(THINK_BEGIN);
  // A template that has closed the thoughts already wants none.
  return thinks || (parser === 'deepseek-r1' && !prompt.trimEnd().endsWith(THINK_END));
}

/** White space around thoughts and before the answer is dropped, as SGLang does. */
export class ReasoningParser {
  #state: 'begin' | 'inside' | 'gap' | 'outside';
  #held = '';

  constructor(isInside: boolean) {
    this.#state = 'begin';
    this.#isInside = isInside;
  }
  readonly #isInside: boolean;

  push(text: string): Part[] {
    if (this.#state === 'outside') return text === '' ? [] : [{ kind: 'text', text }];
    this.#held += text;
    return this.#advance(false);
  }

  end(): Part[] {
    return this.#advance(true);
  }

  #advance(isLast: boolean): Part[] {
    const parts: Part[] = [];
    if (this.#state === 'begin' && !this.#begin(isLast)) return parts;
    if (this.#state === 'inside') this.#passThoughts(parts, isLast);
    if (this.#state === 'gap') {
      this.#held = this.#held.trimStart();
      if (this.#held !== '') this.#state = 'outside';
    }
    if (this.#state === 'outside' && this.#held !== '') {
      parts.push({ kind: 'text', text: this.#held });
      this.#held = '';
    }
    return parts;
  }

  /** False: it can't be told yet whether the answer begins with thoughts. */
  #begin(isLast: boolean): boolean {
    const text = this.#held.trimStart();
    if (text.startsWith(THINK_BEGIN)) {
      this.#held = text.slice(THINK_BEGIN.length);
      this.#state = 'inside';
      return true;
    }
    if (!isLast && THINK_BEGIN.startsWith(text)) return false;
    this.#state = this.#isInside ? 'inside' : 'outside';
    return true;
  }

  #passThoughts(parts: Part[], isLast: boolean): void {
    if (this.#isFirst) this.#held = this.#held.trimStart();
    const at = this.#held.indexOf(THINK_END);
    const thoughts = at >= 0 ? this.#held.slice(0, at).trimEnd() : this.#held;
    const keep = at >= 0 || isLast ? 0 : heldBack(thoughts);
    const out = thoughts.slice(0, thoughts.length - keep);
    if (out !== '') {
      parts.push({ kind: 'reasoning', text: out });
      this.#isFirst = false;
    }
    this.#held = at >= 0 ? this.#held.slice(at + THINK_END.length) : thoughts.slice(thoughts.length - keep);
    if (isLast) this.#held = at >= 0 ? this.#held : '';
    if (at >= 0) this.#state = 'gap';
  }
  #isFirst = true;
}

/** Characters at the end that may be white space before the closing tag, or its beginning. */
function heldBack(text: string): number {
  let keep = 0;
  for (let length = Math.min(THINK_END.length - 1, text.length); length > 0; length--) {
    if (!text.endsWith(THINK_END.slice(0, length))) continue;
    keep = length;
    break;
  }
  const before = text.slice(0, text.length - keep);
  return keep + before.length - before.trimEnd().length;
}
