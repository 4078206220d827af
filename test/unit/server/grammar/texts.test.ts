import { describe, expect, it } from 'vitest';
import { FORMATS } from '../../../../src/server/grammar/text/formats.js';
import { GRAMMAR_MARK } from '../../../../src/server/grammar/text/grammar-writer.js';
import { catastropheOf } from '../../../../src/server/grammar/text/regex-cost.js';
import { parseRegex } from '../../../../src/server/grammar/text/regex-syntax.js';
import { expressionFor, type TextDemand, type TextRule } from '../../../../src/server/grammar/text/texts.js';

const demand = (rules: TextRule[], more: Partial<TextDemand> = {}): TextDemand => ({
  rules,
  min: 0,
  max: null,
  whole: false,
  ...more,
});

/** All texts of a few letters, up to four of them. */
const LETTERS = ['a', 'b', '1', '-', 'é'];
const TEXTS = LETTERS.reduce<string[]>(
  (all) => [...new Set(['', ...all.flatMap((text) => LETTERS.map((each) => text + each)), ...all])],
  [''],
).filter((text) => text.length <= 4);

describe('expressionFor', () => {
  it.each<[TextRule[], Partial<TextDemand>, (text: string) => boolean]>([
    [[{ pattern: 'a' }], {}, (text) => /a/.test(text)],
    [[{ pattern: '^a|b$' }], {}, (text) => /^a|b$/.test(text)],
    [[{ pattern: 'a+b?' }], { whole: true }, (text) => /^(?:a+b?)$/.test(text)],
    [[{ pattern: '^(?:ab|b1)*$' }], { min: 1 }, (text) => /^(?:ab|b1)+$/.test(text)],
    [[{ pattern: '^[^a]+$' }, { pattern: '1' }], { max: 2 }, (text) => /^[^a]{1,2}$/.test(text) && /1/.test(text)],
    [[{ pattern: '^\\w', isNot: true }], { min: 2, max: 3 }, (text) => /^[^a-z0-9].{1,2}$/.test(text)],
    [
      [{ pattern: '^a{2,3}' }, { notOneOf: ['aa', 'aab', ''] }],
      {},
      (text) => /^aa/.test(text) && !['aa', 'aab'].includes(text),
    ],
    [[{ notOneOf: ['é', 'a-'] }], {}, (text) => !['é', 'a-'].includes(text)],
    [[{ pattern: '^(?:a|b)(?:1|-){1,2}$' }], {}, (text) => /^[ab][1-]{1,2}$/.test(text)],
  ])('%j with %j means what it says', (rules, more, wanted) => {
    const expression = new RegExp(expressionFor(demand(rules, more)) as string, 'u');
    expect(TEXTS.filter((text) => expression.test(text))).toEqual(TEXTS.filter(wanted));
  });

  it('is null where no text is left', () => {
    expect(expressionFor(demand([{ pattern: '^a' }, { pattern: '^b' }]))).toBeNull();
    expect(expressionFor(demand([{ pattern: '^a{3}$' }], { max: 2 }))).toBeNull();
  });

  it('is a grammar where an expression would be long, or JSON writes the text with escapes', () => {
    const counted = expressionFor(demand([{ pattern: '^\\d+\\.\\d+\\.\\d+.*$' }], { max: 32 })) as string;
    expect(counted.startsWith(`${GRAMMAR_MARK}root ::= s0\n`)).toBe(true);
    expect(expressionFor(demand([{ pattern: '^"a"$' }]))).toContain('s0 ::= "\\\\\\"" s');
  });
});

describe('FORMATS', () => {
  it.each([
    ['date', ['2024-02-29', '2000-02-29', '2023-12-31'], ['2023-02-29', '1900-02-29', '2023-04-31', '2023-13-01']],
    ['time', ['10:00:00Z', '23:59:60Z', '10:00:00.25+01:30'], ['24:00:00Z', '10:00:60Z', '10:00:00']],
    ['date-time', ['2024-02-29T10:00:00Z'], ['2023-02-30T10:00:00Z', '2024-02-29 10:00:00']],
    ['email', ['a.b+c@d-e.org'], ['a', 'a@', '.a@b.c', 'a@-b.c']],
    ['ipv4', ['0.10.200.255'], ['256.1.1.1', '1.1.1', '01.1.1.1']],
    ['ipv6', ['::', '::1', '1:2:3:4:5:6:7:8', '1::8', '::ffff:1.2.3.4'], ['1::2::3', '1:2:3:4:5:6:7', ':1', '12345::']],
    ['hostname', ['a', 'a-b.example'], ['-a', 'a-', 'a..b']],
    ['uuid', ['123e4567-e89b-12d3-a456-426655440000'], ['123e4567e89b12d3a456426655440000']],
    ['uri', ['https://a.org/b?c=d#e', 'urn:isbn:1', 'mailto:a@b.c', 'http://[::1]:80/'], ['/a', 'a b', 'http://a b']],
    ['uri-reference', ['/a', 'a/b', '#x', '../y?z', 'https://a.org'], ['a b', '%zz']],
    ['duration', ['P1Y2M3DT4H5M6S', 'P3W', 'PT1S'], ['P', 'PT', '1D', 'P1S']],
    ['json-pointer', ['', '/a/~0~1'], ['a', '/~2']],
    ['relative-json-pointer', ['0', '1/a', '2#'], ['01', '/a']],
  ])('%s', (name, valid, invalid) => {
    const expression = new RegExp(`^(?:${FORMATS[name]})$`, 'u');
    expect(valid.filter((text) => !expression.test(text))).toEqual([]);
    expect(invalid.filter((text) => expression.test(text))).toEqual([]);
    expect(parseRegex(FORMATS[name] as string)).not.toBeNull();
  });
});

describe('catastropheOf', () => {
  const problem = (text: string) => catastropheOf(parseRegex(text) as NonNullable<ReturnType<typeof parseRegex>>);

  it.each([
    '(a+)+',
    '(a*)*',
    '(a|a)*b',
    '(x+x+)+y',
    '(a|aa)+',
    '(a|a?)+',
    '([a-z]+)*',
    '(\\w+\\s?)*',
    '(.*)*',
    '(a{1,999}){1,999}',
  ])('%s is one', (text) => {
    expect(problem(text)).toMatch(/exponentially|written out/);
  });

  it.each([
    '([a-z]+ )+',
    '(?:\\d+,)*\\d+',
    '(a|b)*a(a|b){60}c',
    '(ab|cd)+',
    '[a-z]{1,999}',
    '(\\w+\\.)+com',
    '(a?){20}',
  ])('%s is none', (text) => {
    expect(problem(text)).toBeNull();
  });
});
