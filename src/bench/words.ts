/**
 * Prompts of exact lengths against a server whose tokenizer is not known: common words, of which the server itself says (by
 * its usage) how many tokens each is, and how many tokens it adds around them.
 */
import { type Random, wholeBetween } from './random.js';

const WORDS = `time person year way day thing man world life hand part child eye woman place work week case point
 government company number group problem fact water money story month book night house power hour game line end member
 law car city name team minute idea body kid back parent face level office door health art war history party result
 change morning reason research girl guy food moment air teacher force education`.split(/\s+/);

/** Every prompt begins alike, so that what a tokenizer does at a beginning is part of the overhead. */
const LEAD = 'The';
/** Words of one token are enough for prompts that do not repeat themselves soon. */
const ENOUGH_SINGLES = 16;
/** Requests at the same time, while words are asked for one by one. */
const AT_ONCE = 8;

export interface Word {
  text: string;
  tokens: number;
}

export interface Vocabulary {
  words: readonly Word[];
  /** Tokens that are there before any word: the lead, a beginning of the text, a chat template. */
  overhead: number;
  /** The tokens of a prompt are the sum of its words', by the server's own count. */
  isExact: boolean;
}

const single = (text: string): Word => ({ text, tokens: 1 });

/** Where the server does not count: as many tokens as words. */
export const UNCOUNTED: Vocabulary = { words: WORDS.map(single), overhead: 0, isExact: false };

const textOf = (words: readonly string[]) => [LEAD, ...words].join(' ');

/** `countTokens`: of a prompt, as the server counts; null: it does not tell. */
export async function learnVocabulary(countTokens: (text: string) => Promise<number | null>): Promise<Vocabulary> {
  const overhead = await countTokens(textOf([]));
  const withAll = await countTokens(textOf(WORDS));
  if (overhead === null || withAll === null) return UNCOUNTED;
  const total = withAll - overhead;
  if (total === WORDS.length) return { words: WORDS.map(single), overhead, isExact: true };
  const words: Word[] = [];
  for (let i = 0; i < WORDS.length; i += AT_ONCE) {
    const some = WORDS.slice(i, i + AT_ONCE);
    const counts = await Promise.all(some.map((text) => countTokens(textOf([text]))));
    words.push(...some.map((text, k) => ({ text, tokens: (counts[k] ?? overhead + 1) - overhead })));
  }
  const singles = words.filter(({ tokens }) => tokens === 1);
  if (singles.length >= ENOUGH_SINGLES) return { words: singles, overhead, isExact: true };
  const usable = words.filter(({ tokens }) => tokens > 0);
  return { words: usable, overhead, isExact: words.reduce((sum, { tokens }) => sum + tokens, 0) === total };
}

/** A prompt of `numTokens` tokens; of as few as it can have, where these are less. */
export function makePrompt(vocabulary: Vocabulary, numTokens: number, random: Random): string {
  return textOf(makeWords(vocabulary, numTokens - vocabulary.overhead, random));
}

/** The last tokens are chosen to come out even; before them any word will do. */
const EXACT_TAIL = 64;

/** Words at random that are `numTokens` tokens together, at least one; of as many below that as their tokens allow. */
export function makeWords({ words }: Vocabulary, numTokens: number, random: Random): string[] {
  const made: string[] = [];
  let left = numTokens;
  const take = (choices: readonly Word[]) => {
    const word = choices[wholeBetween(random, 0, choices.length - 1)] ?? single(LEAD);
    made.push(word.text);
    left -= word.tokens;
  };
  while (left > EXACT_TAIL) take(words);
  const sizes = [...new Set(words.map(({ tokens }) => tokens))];
  const canMake = reachable(sizes, left);
  while (left > 0 && !canMake[left]) left--;
  while (left > 0) take(words.filter(({ tokens }) => canMake[left - tokens]));
  if (made.length === 0) take(words.filter(({ tokens }) => tokens === Math.min(...sizes)));
  return made;
}

/** Which numbers of tokens, 0 to `most`, words of such sizes can make. */
function reachable(sizes: readonly number[], most: number): boolean[] {
  const can = [true];
  for (let n = 1; n <= most; n++) can[n] = sizes.some((size) => can[n - size] === true);
  return can;
}
