/** Tokens that are recognised in the text before it is cut into words: `<|im_start|>` and the like. */

export interface AddedToken {
  id: number;
  content: string;
  /** Control tokens, which `parseSpecial: false` leaves as plain text and decoding leaves out. */
  special: boolean;
  /** White space before or after the token belongs to it. */
  lstrip: boolean;
  rstrip: boolean;
  /** Only where no letter, digit or underscore touches it. */
  singleWord: boolean;
}

/** A stretch of plain text (`start`: its offset), or the id of an added token. */
export type Section = { text: string; start: number } | { id: number };

const WORD = /[\p{L}\p{N}\p{M}_]/u;

export class AddedTokenSplitter {
  /** By first UTF-16 unit, longest first: of several that match at a place the longest wins. */
  private readonly byFirst = new Map<number, AddedToken[]>();
  /** Finds places where a token may begin. */
  private readonly candidates: RegExp | null;

  constructor(tokens: readonly AddedToken[]) {
    for (const token of tokens) {
      const first = token.content.charCodeAt(0);
      if (Number.isNaN(first)) continue;
      const list = this.byFirst.get(first);
      if (list) list.push(token);
      else this.byFirst.set(first, [token]);
    }
    for (const list of this.byFirst.values()) list.sort((a, b) => b.content.length - a.content.length);
    const firsts = [...this.byFirst.keys()].map((code) => `\\u${code.toString(16).padStart(4, '0')}`);
    this.candidates = firsts.length > 0 ? new RegExp(`[${firsts.join('')}]`, 'g') : null;
  }

  split(text: string, parseSpecial: boolean): Section[] {
    const sections: Section[] = [];
    let start = 0;
    const pushText = (end: number) => {
      if (end > start) sections.push({ text: text.slice(start, end), start });
    };
    const { candidates } = this;
    if (candidates !== null) {
      candidates.lastIndex = 0;
      for (let found = candidates.exec(text); found; found = candidates.exec(text)) {
        const token = this.match(text, found.index, parseSpecial);
        if (token === undefined) continue;
        const end = found.index + token.content.length;
        pushText(token.lstrip ? start + text.slice(start, found.index).trimEnd().length : found.index);
        sections.push({ id: token.id });
        start = token.rstrip ? text.length - text.slice(end).trimStart().length : end;
        candidates.lastIndex = start;
      }
    }
    pushText(text.length);
    return sections;
  }

  private match(text: string, at: number, parseSpecial: boolean): AddedToken | undefined {
    return this.byFirst.get(text.charCodeAt(at))?.find((token) => {
      if (token.special && !parseSpecial) return false;
      if (!text.startsWith(token.content, at)) return false;
      if (!token.singleWord) return true;
      const touches = (index: number) => WORD.test(text.charAt(index));
      return !touches(at - 1) && !touches(at + token.content.length);
    });
  }
}
