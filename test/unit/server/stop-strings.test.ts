import { describe, expect, it } from 'vitest';
import { StopMatcher } from '../../../src/server/stop-strings.js';

/** What a person would do with the whole text at hand: at each character, is a stop string complete? */
function naive(text: string, stops: readonly string[]): { text: string; matched: string | null } {
  for (let end = 1; end <= text.length; end++) {
    const ending = stops.filter((stop) => text.slice(0, end).endsWith(stop));
    const longest = ending.sort((a, b) => b.length - a.length)[0];
    if (longest !== undefined) return { text: text.slice(0, end - longest.length), matched: longest };
  }
  return { text, matched: null };
}

function run(pieces: readonly string[], stops: readonly string[]): { text: string; matched: string | null } {
  const matcher = new StopMatcher(stops);
  let text = '';
  for (const piece of pieces) text += matcher.push(piece);
  return { text: text + matcher.end(), matched: matcher.matched };
}

describe('StopMatcher', () => {
  it.each([
    ['in one piece', ['one STOP two'], ['STOP'], 'one ', 'STOP'],
    ['across pieces', ['one ST', 'O', 'P two'], ['STOP'], 'one ', 'STOP'],
    ['a false beginning', ['one ST', 'ART'], ['STOP'], 'one START', null],
    ['a beginning at the end', ['one ST'], ['STOP'], 'one ST', null],
    ['a beginning inside a beginning', ['aab', 'aac'], ['aac'], 'aab', 'aac'],
    ['self-overlapping', ['ab', 'aba', 'bac'], ['ababac'], 'ab', 'ababac'],
    ['the first to be complete wins', ['xabc'], ['abcd', 'bc'], 'xa', 'bc'],
    ['the longest of those that end together', ['xabc'], ['bc', 'abc'], 'x', 'abc'],
    ['at the very beginning', ['STOP'], ['STOP'], '', 'STOP'],
    ['one character', ['a', '\n', 'b'], ['\n'], 'a', '\n'],
    ['no ASCII', ['good', ' 👍', '👎'], ['👍👎'], 'good ', '👍👎'],
    ['characters that share a half', ['👎'], ['👍'], '👎', null],
  ])('finds stop strings: %s', (_, pieces, stops, text, matched) => {
    expect(run(pieces, stops)).toEqual({ text, matched });
  });

  it('holds back no more than could begin a stop string', () => {
    const matcher = new StopMatcher(['STOP', 'OPEN']);
    expect(matcher.push('text ST')).toBe('text ');
    expect(matcher.push('O')).toBe('');
    expect(matcher.push('X')).toBe('STOX');
    expect(matcher.push('STO')).toBe('');
    expect(matcher.push('PX')).toBe('');
    expect(matcher.matched).toBe('STOP');
  });

  it('gives nothing after a match', () => {
    const matcher = new StopMatcher(['b']);
    expect(matcher.push('abc')).toBe('a');
    expect(matcher.push('def')).toBe('');
    expect(matcher.end()).toBe('');
  });

  it('agrees with a naive search on random texts, whatever the pieces', () => {
    let seed = 1;
    const random = (below: number) => {
      seed = (seed * 1103515245 + 12345) % 2147483648;
      return Math.floor((seed / 2147483648) * below);
    };
    const word = (maxLength: number) => Array.from({ length: 1 + random(maxLength) }, () => 'ab c'[random(4)]).join('');
    let matches = 0;
    for (let round = 0; round < 5000; round++) {
      const stops = Array.from({ length: 1 + random(4) }, () => word(6));
      const text = word(40);
      const pieces: string[] = [];
      for (let at = 0; at < text.length; ) {
        const length = 1 + random(5);
        pieces.push(text.slice(at, at + length));
        at += length;
      }
      const expected = naive(text, stops);
      if (expected.matched !== null) matches++;
      expect(run(pieces, stops), JSON.stringify({ pieces, stops })).toEqual(expected);
    }
    expect(matches).toBeGreaterThan(1000);
  });
});
