/** Regular expressions of ECMAScript as trees. What is beyond regular languages has none. */
import { ANY, type CharSet, DIGITS, LAST, LINE_ENDS, SPACE, union, WORD, without } from './char-set.js';

export type RegexNode =
  | { kind: 'set'; set: CharSet }
  | { kind: 'sequence'; nodes: RegexNode[] }
  | { kind: 'choice'; nodes: RegexNode[] }
  | { kind: 'repeat'; node: RegexNode; min: number; max: number }
  /** Begin and end of the text. */
  | { kind: 'start' }
  | { kind: 'end' };

/** What this reader does not know: groups that look around, references back, boundaries of words, mistakes. */
class Unreadable extends Error {}

/** Null where it is none that can be read here. */
export function parseRegex(text: string): RegexNode | null {
  try {
    return new Reader(text).read();
  } catch (error) {
    if (error instanceof Unreadable) return null;
    throw error;
  }
}

const MAX_DEPTH = 128;
const CLASSES: Record<string, CharSet> = {
  d: DIGITS,
  D: without(DIGITS),
  w: WORD,
  W: without(WORD),
  s: SPACE,
  S: without(SPACE),
};
const CONTROLS: Record<string, number> = { t: 9, n: 10, v: 11, f: 12, r: 13, 0: 0 };

class Reader {
  readonly #chars: string[];
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#chars = [...text];
  }

  read(): RegexNode {
    const node = this.#choice();
    if (this.#at < this.#chars.length) throw new Unreadable();
    return node;
  }

  #choice(): RegexNode {
    if (++this.#depth > MAX_DEPTH) throw new Unreadable();
    const nodes = [this.#sequence()];
    while (this.#take('|')) nodes.push(this.#sequence());
    this.#depth--;
    return nodes.length === 1 ? (nodes[0] as RegexNode) : { kind: 'choice', nodes };
  }

  #sequence(): RegexNode {
    const nodes: RegexNode[] = [];
    while (this.#at < this.#chars.length && this.#peek() !== '|' && this.#peek() !== ')') nodes.push(this.#repeated());
    return nodes.length === 1 ? (nodes[0] as RegexNode) : { kind: 'sequence', nodes };
  }

  #repeated(): RegexNode {
    const node = this.#atom();
    const times = this.#times();
    if (times === null) return node;
    if (node.kind === 'start' || node.kind === 'end') throw new Unreadable();
    this.#take('?'); // lazy: the same texts
    if (this.#times() !== null) throw new Unreadable();
    return { kind: 'repeat', node, min: times[0], max: times[1] };
  }

  #times(): [number, number] | null {
    if (this.#take('*')) return [0, Number.POSITIVE_INFINITY];
    if (this.#take('+')) return [1, Number.POSITIVE_INFINITY];
    if (this.#take('?')) return [0, 1];
    if (this.#peek() !== '{') return null;
    const rest = this.#chars.slice(this.#at, this.#at + 20).join('');
    const [whole, min, comma, max] = /^\{(\d+)(,)?(\d*)\}/.exec(rest) ?? [];
    if (whole === undefined) throw new Unreadable();
    this.#at += whole.length;
    const least = Number(min);
    const most = comma === undefined ? least : max === '' ? Number.POSITIVE_INFINITY : Number(max);
    if (most < least) throw new Unreadable();
    return [least, most];
  }

  #atom(): RegexNode {
    const char = this.#next();
    switch (char) {
      case '^':
        return { kind: 'start' };
      case '$':
        return { kind: 'end' };
      case '.':
        return { kind: 'set', set: without(LINE_ENDS) };
      case '(':
        return this.#group();
      case '[':
        return { kind: 'set', set: this.#class() };
      case '\\':
        return { kind: 'set', set: this.#escape(false) };
      case '*':
      case '+':
      case '?':
      case '{':
        throw new Unreadable();
      default:
        return single(char.codePointAt(0) as number);
    }
  }

  #group(): RegexNode {
    if (this.#take('?')) {
      if (this.#take('<')) {
        if (this.#peek() === '=' || this.#peek() === '!') throw new Unreadable();
        while (this.#next() !== '>');
      } else if (!this.#take(':')) throw new Unreadable();
    }
    const node = this.#choice();
    if (!this.#take(')')) throw new Unreadable();
    return node;
  }

  #class(): CharSet {
    const isNegated = this.#take('^');
    const sets: CharSet[] = [];
    while (!this.#take(']')) {
      const from = this.#classPart();
      if (this.#peek() !== '-' || this.#chars[this.#at + 1] === ']') {
        sets.push(from);
        continue;
      }
      this.#at++;
      const to = this.#classPart();
      const [low, high] = [onlyOf(from), onlyOf(to)];
      if (low === null || high === null) sets.push(from, [[45, 45]], to);
      else if (low > high) throw new Unreadable();
      else sets.push([[low, high]]);
    }
    const set = union(...sets);
    return isNegated ? without(set) : set;
  }

  #classPart(): CharSet {
    const char = this.#next();
    if (char === '\\') return this.#escape(true);
    const code = char.codePointAt(0) as number;
    return [[code, code]];
  }

  #escape(inClass: boolean): CharSet {
    const char = this.#next();
    if (CLASSES[char]) return CLASSES[char];
    if (char === 'b' && inClass) return [[8, 8]];
    if (/[1-9bBkpPc]/.test(char)) throw new Unreadable();
    const code = char === 'x' || char === 'u' ? this.#hex(char) : (CONTROLS[char] ?? (char.codePointAt(0) as number));
    if (code > LAST || (code >= 0xd800 && code <= 0xdfff)) throw new Unreadable();
    return [[code, code]];
  }

  #hex(kind: string): number {
    const rest = this.#chars.slice(this.#at, this.#at + 9).join('');
    const found = kind === 'x' ? /^([0-9a-f]{2})/i.exec(rest) : /^(?:\{([0-9a-f]{1,6})\}|([0-9a-f]{4}))/i.exec(rest);
    if (!found) throw new Unreadable();
    this.#at += found[0].length;
    return Number.parseInt(found[1] ?? (found[2] as string), 16);
  }

  #peek(): string | undefined {
    return this.#chars[this.#at];
  }

  #next(): string {
    const char = this.#chars[this.#at++];
    if (char === undefined) throw new Unreadable();
    return char;
  }

  #take(char: string): boolean {
    if (this.#peek() !== char) return false;
    this.#at++;
    return true;
  }
}

const single = (code: number): RegexNode => ({ kind: 'set', set: [[code, code]] });

function onlyOf(set: CharSet): number | null {
  return set.length === 1 && set[0]?.[0] === set[0]?.[1] ? (set[0]?.[0] as number) : null;
}

/** Any text, of any length. */
export const ANYTHING: RegexNode = {
  kind: 'repeat',
  node: { kind: 'set', set: ANY },
  min: 0,
  max: Number.POSITIVE_INFINITY,
};
