/**
 * Prompts of exact lengths against a server whose tokenizer is not known: common words, of which the server itself says (by
 * its usage) that each is one token, and how many tokens it adds around them.
 */
import { type Random, wholeBetween } from './random.js';

const WORDS = `time person year way day thing man world life hand part child eye woman place work week case point
 government company number group problem fact water money story month book night house power hour game line end member
 law car city name team minute idea body kid back parent face level office door health art war history party result
 change morning reason research girl guy food moment air teacher force education`.split(/\s+/);

/** Every prompt begins alike, so that what a tokenizer does at a beginning is part of the overhead. */
const LEAD = 'The';
/** Below so many words prompts would repeat themselves too soon. */
const FEWEST_WORDS = 16;
const MOST_PROBES = 48;

export interface Vocabulary {
  words: readonly string[];
  /** Tokens that are there before any word: the lead, a beginning of the text, a chat template. */
  overhead: number;
  tokensPerWord: number;
  /** Every word is one token, by the server's own count. */
  isExact: boolean;
}

export const UNCOUNTED: Vocabulary = { words: WORDS, overhead: 0, tokensPerWord: 1, isExact: false };

const textOf = (words: readonly string[]) => [LEAD, ...words].join(' ');

/** `countTokens`: of a prompt, as the server counts; null: it does not tell. */
export async function learnVocabulary(countTokens: (text: string) => Promise<number | null>): Promise<Vocabulary> {
  let numProbes = 0;
  const count = (words: readonly string[]) => {
    numProbes++;
    return countTokens(textOf(words));
  };
  const overhead = await count([]);
  const withAll = await count(WORDS);
  if (overhead === null || withAll === null) return UNCOUNTED;
  const perList = withAll - overhead;
  /** Those that are one token each: by halves, where a half as a whole is more than its words. */
  const singles = async (words: readonly string[]): Promise<string[]> => {
    if (numProbes >= MOST_PROBES) return [];
    const tokens = ((await count(words)) ?? 0) - overhead;
    if (tokens === words.length) return [...words];
    if (words.length === 1) return [];
    const middle = Math.ceil(words.length / 2);
    return [...(await singles(words.slice(0, middle))), ...(await singles(words.slice(middle)))];
  };
  const words = perList === WORDS.length ? WORDS : await singles(WORDS);
  if (words.length >= FEWEST_WORDS) return { words, overhead, tokensPerWord: 1, isExact: true };
  return { words: WORDS, overhead, tokensPerWord: perList / WORDS.length, isExact: false };
}

/** So many words that the prompt has `numTokens` tokens; at least one word. */
export function makePrompt(vocabulary: Vocabulary, numTokens: number, random: Random): string {
  return textOf(makeWords(vocabulary, numTokens - vocabulary.overhead, random));
}

/** Words of `numTokens` tokens to go on with, at least one. */
export function makeWords({ words, tokensPerWord }: Vocabulary, numTokens: number, random: Random): string[] {
  const numWords = Math.max(1, Math.round(numTokens / tokensPerWord));
  return Array.from({ length: numWords }, () => words[wholeBetween(random, 0, words.length - 1)] ?? '');
}
