import { describe, expect, it } from 'vitest';
import { parseDataset } from '../../../src/bench/dataset.js';
import { seededRandom } from '../../../src/bench/random.js';
import { learnVocabulary, makePrompt, UNCOUNTED, type Vocabulary } from '../../../src/bench/words.js';
import { fileWorkload, randomWorkload, sharedPrefixWorkload } from '../../../src/bench/workload.js';

/** A tokenizer by which a word is so many tokens, behind a template of `around` tokens. */
const tokenizer =
  (around: number, tokensOf: (word: string) => number = () => 1) =>
  (text: string) =>
    Promise.resolve(around + text.split(' ').reduce((sum, word) => sum + tokensOf(word), 0));

describe('learnVocabulary', () => {
  it('takes every word where each is a token, in two requests', async () => {
    let numAsked = 0;
    const words = await learnVocabulary((text) => {
      numAsked++;
      return tokenizer(11)(text);
    });
    expect(words).toMatchObject({ isExact: true, overhead: 12 });
    expect(words.words.every(({ tokens }) => tokens === 1)).toBe(true);
    expect(numAsked).toBe(2);
  });

  it('leaves out the words that are more', async () => {
    const count = tokenizer(3, (word) => (['kid', 'guy', 'teacher'].includes(word) ? 2 : 1));
    const words = await learnVocabulary(count);
    expect(words.isExact).toBe(true);
    expect(words.words.map(({ text }) => text)).not.toContain('kid');
    expect(words.words.length).toBeGreaterThan(60);
    for (const numTokens of [10, 64, 777]) {
      expect(await count(makePrompt(words, numTokens, seededRandom(numTokens)))).toBe(numTokens);
    }
  });

  it('makes exact lengths of words of several tokens too', async () => {
    const count = tokenizer(2, (word) => word.length + 1);
    const words = await learnVocabulary(count);
    expect(words.isExact).toBe(true);
    for (const numTokens of [20, 21, 22, 23, 100, 101, 1000, 4097]) {
      expect(await count(makePrompt(words, numTokens, seededRandom(numTokens)))).toBe(numTokens);
    }
  });

  it('comes as near as words allow', async () => {
    const count = tokenizer(0, () => 4);
    const words = await learnVocabulary(count);
    // The lead is 4 of them.
    expect(await count(makePrompt(words, 500, seededRandom(1)))).toBe(500);
    expect(await count(makePrompt(words, 502, seededRandom(1)))).toBe(500);
    expect(await count(makePrompt(words, 1, seededRandom(1)))).toBe(8);
  });

  it('says so where words together are not what they are alone', async () => {
    const count = (text: string) => Promise.resolve(Math.ceil(text.length / 3));
    expect((await learnVocabulary(count)).isExact).toBe(false);
  });

  it('counts words where the server does not count', async () => {
    expect(await learnVocabulary(() => Promise.resolve(null))).toBe(UNCOUNTED);
  });
});

const WORDS: Vocabulary = { ...UNCOUNTED, overhead: 1, isExact: true };
const fixed = (length: number) => ({ length, rangeRatio: 1, distribution: 'uniform' as const });
const count = (text: string) => text.split(' ').length;
const firstOf = (content: string, numWords: number) => content.split(' ').slice(0, numWords).join(' ');

describe('random', () => {
  const workload = (seed: number, salt = seed) =>
    randomWorkload({ input: fixed(100), output: fixed(7), numRounds: 1 }, WORDS, { seed, salt });

  it('has exactly the tokens asked for', () => {
    const [turn] = workload(0)(3).turns;
    expect(turn).toMatchObject({ maxTokens: 7, inputTokens: 100 });
    expect(count(turn?.messages[0]?.content ?? '')).toBe(100);
  });

  it('is the same for a seed, and shares no beginning with another job', () => {
    expect(workload(5)(17)).toEqual(workload(5)(17));
    const beginnings = Array.from({ length: 200 }, (_, n) =>
      firstOf(workload(5)(n).turns[0]?.messages[0]?.content ?? '', 6),
    );
    expect(new Set(beginnings).size).toBe(200);
    expect(workload(6)(17)).not.toEqual(workload(5)(17));
  });

  it('another run has other words of the same lengths', () => {
    const lengths = { length: 100, rangeRatio: 0.2, distribution: 'uniform' as const };
    const run = (salt: number) => {
      const workload = randomWorkload({ input: lengths, output: lengths, numRounds: 1 }, WORDS, { seed: 4, salt });
      return Array.from({ length: 20 }, (_, n) => workload(n).turns[0]);
    };
    const [first, second] = [run(1), run(2)];
    expect(second.map((turn) => turn?.inputTokens)).toEqual(first.map((turn) => turn?.inputTokens));
    expect(second.map((turn) => turn?.maxTokens)).toEqual(first.map((turn) => turn?.maxTokens));
    for (const [i, turn] of second.entries()) expect(turn?.messages).not.toEqual(first[i]?.messages);
  });

  it('later rounds say so many tokens more', () => {
    const job = randomWorkload({ input: fixed(20), output: fixed(3), numRounds: 3 }, WORDS, { seed: 1, salt: 1 })(0);
    expect(job.turns.map((turn) => count(turn.messages[0]?.content ?? ''))).toEqual([20, 20, 20]);
  });
});

it('generated-shared-prefix: groups take turns, and share exactly their prefix', () => {
  const options = { numGroups: 3, prefixTokens: 50, question: fixed(10), output: fixed(5), numRounds: 1 };
  const workload = sharedPrefixWorkload(options, WORDS, { seed: 0, salt: 0 });
  const texts = Array.from({ length: 9 }, (_, n) => workload(n).turns[0]?.messages[0]?.content ?? '');
  expect(texts.map(count)).toEqual(new Array(9).fill(60));
  expect(new Set(texts.map((text) => firstOf(text, 50))).size).toBe(3);
  expect(firstOf(texts[0] ?? '', 50)).toBe(firstOf(texts[3] ?? '', 50));
  expect(new Set(texts).size).toBe(9);
});

describe('parseDataset', () => {
  const prompts = (text: string) => parseDataset(text, 'f').map(({ turns }) => turns[0]);

  it('a prompt a line, empty lines left out', () => {
    expect(prompts('Why?\n\n  How?  \r\n')).toEqual([
      { content: 'Why?', outputTokens: null },
      { content: 'How?', outputTokens: null },
    ]);
    expect(prompts('[1] is a citation')[0]?.content).toBe('[1] is a citation');
  });

  it('JSON lines, with the tokens to ask for', () => {
    const lines = [
      { prompt: 'a', output_tokens: 5 },
      { question: 'b', max_tokens: 6 },
      { messages: [{ role: 'user', content: 'c' }], output_len: 7 },
      { text: 'd' },
    ];
    expect(prompts(lines.map((line) => JSON.stringify(line)).join('\n'))).toEqual([
      { content: 'a', outputTokens: 5 },
      { content: 'b', outputTokens: 6 },
      { content: 'c', outputTokens: 7 },
      { content: 'd', outputTokens: null },
    ]);
  });

  it("ShareGPT's array: what people asked, answers as long as they were", () => {
    const entry = {
      id: 'x',
      conversations: [
        { from: 'system', value: 'Be brief.' },
        { from: 'human', value: 'one' },
        { from: 'gpt', value: 'x'.repeat(100) },
        { from: 'human', value: 'two' },
        { from: 'gpt', value: 'y' },
      ],
    };
    const answerless = { conversations: [{ from: 'gpt', value: 'nobody asked' }] };
    expect(parseDataset(JSON.stringify([entry, answerless]), 'f')).toEqual([
      {
        opening: [{ role: 'system', content: 'Be brief.' }],
        turns: [
          { content: 'one', outputTokens: 25 },
          { content: 'two', outputTokens: 4 },
        ],
      },
    ]);
  });

  it.each([
    ['', 'f holds no prompt'],
    ['{"a": 1}', 'f:1: neither prompt'],
    ['{"prompt": "x"}\n{"prompt": ', 'f:2: '],
    ['[{"prompt": "x"}, ', 'f: '],
    ['[null]', 'f: entry 1: no prompt'],
    ['\n\n{"a": 1}', 'f:3: neither prompt'],
    ['{"messages": [null, "x"]}', 'f holds no prompt'],
  ])('%j is refused', (text, message) => {
    expect(() => parseDataset(text, 'f')).toThrow(message);
  });

  it('a file goes round, in its order or shuffled by the seed', () => {
    const file = parseDataset('a\nb\nc', 'f');
    const contents = (isShuffled: boolean, seed: number) => {
      const workload = fileWorkload(file, { outputTokens: 9, overrides: false, numRounds: 1, isShuffled }, seed);
      return Array.from({ length: 6 }, (_, n) => workload(n).turns[0]?.messages[0]?.content).join('');
    };
    expect(contents(false, 0)).toBe('abcabc');
    expect([...contents(true, 3).slice(0, 3)].sort().join('')).toBe('abc');
    expect(new Set([0, 1, 2, 3, 4, 5].map((seed) => contents(true, seed))).size).toBeGreaterThan(1);
  });

  it('the file tells how much to ask for, unless overruled', () => {
    const file = parseDataset('{"prompt": "a", "output_tokens": 5}\n{"prompt": "b"}', 'f');
    const asked = (overrides: boolean) => {
      const options = { outputTokens: 9, overrides, numRounds: 1, isShuffled: false };
      return [0, 1].map((n) => fileWorkload(file, options, 0)(n).turns[0]?.maxTokens);
    };
    expect(asked(false)).toEqual([5, 9]);
    expect(asked(true)).toEqual([9, 9]);
  });
});
