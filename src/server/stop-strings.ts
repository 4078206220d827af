/**
 * Finds stop strings in text that comes in pieces. The first stop string to be complete wins (of several that end at
 * the same character, the one that began first), whatever the pieces; text that could be the beginning of one is held
 * back until that is decided.
 *
 * One Knuth-Morris-Pratt automaton a pattern: a character costs a few compares, and the largest state is how much to
 * hold back.
 */
interface Pattern {
  text: string;
  /** failure[k]: length of the longest proper border of text[0..k), k in 1..length. */
  failure: Uint16Array;
  /** How many characters of `text` the input ends with. */
  state: number;
}

export class StopMatcher {
  readonly #patterns: Pattern[];
  #held = '';
  #matched: string | null = null;

  /** `stops`: not empty strings, each at most 65535 UTF-16 units. */
  constructor(stops: readonly string[]) {
    this.#patterns = stops.map((text) => ({ text, failure: failureTable(text), state: 0 }));
  }

  /** The stop string that was found; nothing more comes out after it. */
  get matched(): string | null {
    return this.#matched;
  }

  /** What of the text so far may go out now. */
  push(piece: string): string {
    if (this.#matched !== null) return '';
    const text = this.#held + piece;
    for (let i = this.#held.length; i < text.length; i++) {
      const found = this.#advance(text.charCodeAt(i));
      if (found === null) continue;
      this.#matched = found.text;
      this.#held = '';
      return text.slice(0, i + 1 - found.text.length);
    }
    let hold = 0;
    for (const pattern of this.#patterns) if (pattern.state > hold) hold = pattern.state;
    this.#held = hold === 0 ? '' : text.slice(text.length - hold);
    return hold === 0 ? text : text.slice(0, text.length - hold);
  }

  /** The end of the text: what was held back turned out to be no stop string. */
  end(): string {
    const rest = this.#held;
    this.#held = '';
    return rest;
  }

  /** One UTF-16 unit on; the longest pattern that ends with it. */
  #advance(unit: number): Pattern | null {
    let found: Pattern | null = null;
    for (const pattern of this.#patterns) {
      const { text, failure } = pattern;
      let state = pattern.state;
      while (state > 0 && text.charCodeAt(state) !== unit) state = failure[state] as number;
      if (text.charCodeAt(state) === unit) state++;
      pattern.state = state;
      if (state === text.length && (found === null || text.length > found.text.length)) found = pattern;
    }
    return found;
  }
}

function failureTable(text: string): Uint16Array {
  const failure = new Uint16Array(text.length + 1);
  let border = 0;
  for (let i = 1; i < text.length; i++) {
    while (border > 0 && text.charCodeAt(i) !== text.charCodeAt(border)) border = failure[border] as number;
    if (text.charCodeAt(i) === text.charCodeAt(border)) border++;
    failure[i + 1] = border;
  }
  return failure;
}
