/** The text that a regular expression cannot match without: what a log is scanned for before any expression runs. */

/** Escapes that stand for no one character. */
const CLASS_ESCAPE = /[bBdDsSwW1-9k]/;
/** What may follow an atom to make it optional. */
const OPTIONAL = /[?*]|\{0?,|\{0\}/y;
const QUANTIFIER = /[?*+]\??|\{\d*,?\d*\}\??/y;
const GROUP_HEAD = /\(\?(?:<[=!]|[=!:]|<\w+>)?/y;
const CLASS = /\[\^?(?:\\.|[^\]\\])*\]/y;

/**
 * Literals, in lower case, of which each text that matches `source` holds at least one; `['']` where there is none. Of the
 * sets that would do, the one whose shortest literal is longest. Flags other than `i` are not understood.
 */
export function requiredLiterals(source: string): string[] {
  return new Reader(source).alternation();
}

class Reader {
  #at = 0;

  constructor(readonly source: string) {}

  alternation(): string[] {
    const literals = this.#sequence();
    while (this.source.charAt(this.#at) === '|') {
      this.#at += 1;
      literals.push(...this.#sequence());
    }
    return literals;
  }

  #sequence(): string[] {
    const candidates: string[][] = [['']];
    let run = '';
    const endRun = () => {
      candidates.push([run.toLowerCase()]);
      run = '';
    };
    while (this.#at < this.source.length && !'|)'.includes(this.source.charAt(this.#at))) {
      const { char, literals } = this.#atom();
      const isOptional = this.#take(OPTIONAL, false) !== null;
      const isRepeated = this.#take(QUANTIFIER) !== null;
      if (char !== null && !isOptional) run += char;
      else endRun();
      if (isRepeated) endRun();
      if (literals !== null && !isOptional) candidates.push(literals);
    }
    endRun();
    return candidates.reduce((best, other) => (weight(other) > weight(best) ? other : best));
  }

  /** `char`: a plain character; `literals`: what a group requires. */
  #atom(): { char: string | null; literals: string[] | null } {
    const char = this.source.charAt(this.#at);
    if (char === '(') return { char: null, literals: this.#group() };
    if (char === '[') {
      if (this.#take(CLASS) === null) this.#at += 1;
      return { char: null, literals: null };
    }
    this.#at += 1;
    if ('.^$'.includes(char)) return { char: null, literals: null };
    if (char !== '\\') return { char, literals: null };
    const escaped = this.source.charAt(this.#at);
    this.#at += 1;
    if (escaped === 'k') this.#take(/<\w+>/y);
    return { char: CLASS_ESCAPE.test(escaped) ? null : escaped, literals: null };
  }

  #group(): string[] | null {
    const head = this.#take(GROUP_HEAD);
    if (head === null) this.#at += 1;
    const literals = this.alternation();
    this.#at += 1;
    return head?.endsWith('!') ? null : literals;
  }

  /** What `sticky` matches here, or null; goes on behind it unless told not to. */
  #take(sticky: RegExp, goOn = true): string | null {
    sticky.lastIndex = this.#at;
    const found = sticky.exec(this.source)?.[0] ?? null;
    if (found !== null && goOn) this.#at += found.length;
    return found;
  }
}

const weight = (literals: string[]) => Math.min(...literals.map((literal) => literal.length));
