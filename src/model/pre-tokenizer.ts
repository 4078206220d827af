/** Cutting plain text into the pieces that are encoded on their own. */
import { SplitPreTokenizer } from './hf-tokenizers.js';

/** What happens to a match of a splitting pattern; the names are the tokenizer.json's, in its older spelling. */
export type SplitBehavior = 'isolated' | 'removed' | 'mergedwithprevious' | 'mergedwithnext';

/** Pieces that together hold the text (less what is removed); `isFirst`: the text begins the whole input. */
export type PreTokenizer = (text: string, isFirst: boolean) => string[];

/** The words of GPT-2, which byte-level vocabularies without a pattern of their own are cut by. */
export const GPT2_PATTERN = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/** A pattern in the dialect of tokenizer.json (Oniguruma) as a RegExp. Throws SyntaxError. */
export function compilePattern(source: string): RegExp {
  const config = { type: 'Split', pattern: { Regex: source }, behavior: 'Isolated', invert: false } as const;
  const regex = new SplitPreTokenizer(config).pattern;
  if (regex === null) throw new SyntaxError(`no regular expression: ${source}`);
  return regex;
}

export function splitBy(regex: RegExp, behavior: SplitBehavior = 'isolated'): PreTokenizer {
  return (text) => {
    const pieces: string[] = [];
    let start = 0; // of what has not been handed out
    let searched = 0; // where the last match ended
    const push = (end: number) => {
      if (end > start) pieces.push(text.slice(start, end));
      start = end;
    };
    for (const match of text.matchAll(regex)) {
      const [found] = match;
      if (found.length === 0) continue;
      const end = match.index + found.length;
      if (behavior === 'mergedwithprevious') push(end);
      else {
        push(match.index);
        if (behavior === 'isolated') push(end);
        if (behavior === 'removed') start = end;
      }
      searched = end;
    }
    push(Math.max(text.length, searched));
    return pieces;
  };
}

/** Cuts by each in turn. */
export function inSequence(steps: readonly PreTokenizer[]): PreTokenizer {
  const [only] = steps;
  if (only !== undefined && steps.length === 1) return only;
  return (text, isFirst) =>
    steps.reduce((pieces, step) => pieces.flatMap((piece, i) => step(piece, isFirst && i === 0)), [text]);
}

/** SentencePiece's words: spaces become U+2581, and each piece begins with its run of them. */
export function metaspace(options: { prepend: 'always' | 'first' | 'never'; split: boolean }): PreTokenizer {
  return (text, isFirst) => {
    let marked = text.replaceAll(' ', '▁');
    const prepends = options.prepend === 'always' || (options.prepend === 'first' && isFirst);
    if (prepends && !marked.startsWith('▁')) marked = `▁${marked}`;
    return options.split ? (marked.match(/▁?[^▁]+|▁/g) ?? []) : [marked];
  };
}

/**
 * Text is merged as a whole, which is slow and leaves nothing to cache. Where no token has a U+2581 after another
 * character, no merge reaches across such a place, and cutting there changes nothing.
 */
export function cutBeforeSpaces(tokens: Iterable<string>): PreTokenizer {
  for (const token of tokens) if (/[^▁]▁/.test(token)) return (text) => [text];
  return (text) => text.match(/▁*[^▁]+|▁+/g) ?? [];
}
