/** What is asked of a server: jobs by number. Pure: the seed decides lengths and order, the salt the words. */
import type { Conversation } from './dataset.js';
import { drawLength, type Lengths } from './lengths.js';
import { type Random, seededRandom, shuffle } from './random.js';
import type { Message } from './request-body.js';
import { makePrompt, makeWords, type Vocabulary } from './words.js';

export interface Turn {
  /** What is said now, after all that was said and answered before. */
  messages: Message[];
  maxTokens: number;
  /** Tokens of it as they were drawn; null: not known beforehand. */
  inputTokens: number | null;
}

/** One conversation; its turns follow each other. */
export interface Job {
  turns: Turn[];
}

/** The n-th job; the same for the same seed and salt. */
export type Workload = (n: number) => Job;

/** Jobs of different numbers and seeds share nothing. */
const randomOf = (seed: number, n: number): Random => seededRandom(Math.imul(seed + 1, 0x9e3779b1) ^ n);

export interface Decided {
  seed: number;
  salt: number;
}

const user = (content: string): Message[] => [{ role: 'user', content }];

export interface RandomOptions {
  input: Lengths;
  output: Lengths;
  numRounds: number;
}

/** Words at random of exact lengths. Later rounds of a job say so many tokens more. */
export function randomWorkload({ input, output, numRounds }: RandomOptions, words: Vocabulary, by: Decided): Workload {
  return (n) => {
    const random = randomOf(by.seed, n);
    const wording = randomOf(by.salt, n);
    const turns = Array.from({ length: numRounds }, (_, round): Turn => {
      const inputTokens = drawLength(input, random);
      const content =
        round === 0 ? makePrompt(words, inputTokens, wording) : makeWords(words, inputTokens, wording).join(' ');
      return { messages: user(content), maxTokens: drawLength(output, random), inputTokens };
    });
    return { turns };
  };
}

export interface SharedPrefixOptions {
  numGroups: number;
  prefixTokens: number;
  question: Lengths;
  output: Lengths;
  numRounds: number;
}

/** Groups of jobs that begin with the same long text, taking turns, as SGLang's generated-shared-prefix. */
export function sharedPrefixWorkload(options: SharedPrefixOptions, words: Vocabulary, by: Decided): Workload {
  const { numGroups, prefixTokens, question, output, numRounds } = options;
  const prefixes = Array.from({ length: numGroups }, (_, group) =>
    makePrompt(words, prefixTokens, randomOf(~by.salt, group)),
  );
  return (n) => {
    const random = randomOf(by.seed, n);
    const wording = randomOf(by.salt, n);
    const turns = Array.from({ length: numRounds }, (_, round): Turn => {
      const asked = drawLength(question, random);
      const said = makeWords(words, asked, wording).join(' ');
      const content = round === 0 ? `${prefixes[n % numGroups]} ${said}` : said;
      return {
        messages: user(content),
        maxTokens: drawLength(output, random),
        inputTokens: round === 0 ? prefixTokens + asked : asked,
      };
    });
    return { turns };
  };
}

export interface FileOptions {
  /** Tokens to ask for where the file does not tell; with `overrides`, always. */
  outputTokens: number;
  overrides: boolean;
  numRounds: number;
  isShuffled: boolean;
}

/** The conversations of a file, from the beginning again when they run out. */
export function fileWorkload(file: readonly Conversation[], options: FileOptions, seed: number): Workload {
  const { outputTokens, overrides, numRounds, isShuffled } = options;
  const order = isShuffled ? shuffle([...file], seededRandom(seed)) : file;
  return (n) => {
    const { opening, turns } = order[n % order.length] as Conversation;
    return {
      turns: turns.slice(0, numRounds).map((turn, i) => ({
        messages: [...(i === 0 ? opening : []), ...user(turn.content)],
        maxTokens: overrides ? outputTokens : (turn.outputTokens ?? outputTokens),
        inputTokens: null,
      })),
    };
  };
}
