/** Markdown of a text that grows at its end: blocks that are complete are parsed once. Pure. */
import { lexer, type Token, type Tokens } from 'marked';

const MAX_DEPTH = 32;

/** The blocks of a text; one of plain text for what is nested without end, since parser and page recurse. */
export function markdownBlocks(text: string): Token[] {
  try {
    const tokens = [...lexer(text, { gfm: true, breaks: true })];
    if (!isDeeper(tokens, MAX_DEPTH)) return tokens;
  } catch {
    // The parser's stack was full.
  }
  return [{ type: 'html', raw: text, text } as Token];
}

function isDeeper(tokens: readonly Token[], depth: number): boolean {
  const inner = (token: Token): Token[] => (token as Tokens.List).items ?? (token as Tokens.Generic).tokens ?? [];
  return tokens.length > 0 && (depth === 0 || tokens.some((token) => isDeeper(inner(token), depth - 1)));
}

/** What comes next may change so many blocks at the end: a line below makes a heading or a table of a paragraph. */
const NUM_OPEN = 2;

export class GrowingMarkdown {
  #text = '';
  #done: Token[] = [];

  /**
   * The blocks of `text`, the same objects for those that were complete before. Links to what is defined elsewhere in
   * the text are only found by `markdownBlocks`.
   */
  blocksOf(text: string): Token[] {
    if (!text.startsWith(this.#text)) {
      this.#text = '';
      this.#done = [];
    }
    const rest = markdownBlocks(text.slice(this.#text.length));
    const filled = rest.flatMap(({ type }, index) => (type === 'space' ? [] : [index]));
    let numDone = 0;
    for (const token of rest.slice(0, filled.at(-NUM_OPEN) ?? 0)) {
      // The parser reads \r\n as \n.
      if (!text.startsWith(token.raw, this.#text.length)) break;
      this.#text = text.slice(0, this.#text.length + token.raw.length);
      this.#done.push(token);
      numDone += 1;
    }
    return [...this.#done, ...rest.slice(numDone)];
  }
}
