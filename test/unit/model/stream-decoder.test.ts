import { describe, expect, test } from 'vitest';
import { Utf8StreamDecoder } from '../../../src/model/stream-decoder.js';
import { randomNumbers } from './temporary.js';

/** Feeds chunks of bytes as if each were a token. */
function stream(chunks: readonly Uint8Array[], stripsLeadingSpace = false): string[] {
  const decoder = new Utf8StreamDecoder((id) => Buffer.from(chunks[id] as Uint8Array), stripsLeadingSpace);
  const deltas = chunks.map((_, id) => decoder.push(id));
  return [...deltas, decoder.end()];
}

const utf8 = (text: string) => Buffer.from(text, 'utf8');

describe('deltas', () => {
  test('wait for a character to be whole', () => {
    const bytes = utf8('é€😀!');
    const deltas = stream([...bytes].map((byte) => Uint8Array.of(byte)));
    expect(deltas).toEqual(['', 'é', '', '', '€', '', '', '', '😀', '!', '']);
  });

  test('give U+FFFD for what never becomes whole', () => {
    expect(stream([utf8('a'), Uint8Array.of(0xe2, 0x82)])).toEqual(['a', '', '\ufffd']);
    expect(stream([Uint8Array.of(0xe2, 0x82), utf8('b')])).toEqual(['', '\ufffdb', '']);
    expect(stream([Uint8Array.of(0xff), Uint8Array.of(0x80)])).toEqual(['\ufffd', '\ufffd', '']);
  });

  test('keep a byte-order mark', () => {
    expect(stream([utf8('\ufeffa')]).join('')).toBe('\ufeffa');
  });

  test('leave out tokens without bytes', () => {
    const decoder = new Utf8StreamDecoder((id) => (id === 1 ? null : utf8('x')), false);
    expect([decoder.push(0), decoder.push(1), decoder.push(0), decoder.end()]).toEqual(['x', '', 'x', '']);
  });

  test('lose one leading space where the vocabulary puts it', () => {
    expect(stream([utf8(' a'), utf8(' b')], true)).toEqual(['a', ' b', '']);
    expect(stream([utf8('  a')], true)).toEqual([' a', '']);
    expect(stream([utf8('a'), utf8(' b')], true)).toEqual(['a', ' b', '']);
    expect(stream([new Uint8Array(), utf8(' '), utf8(' b')], true)).toEqual(['', '', ' b', '']);
  });
});

test('deltas of any bytes add up to the text decoded at once', () => {
  const random = randomNumbers(3);
  const texts = ['a', ' ', 'é', 'ß', '€', '世', '한', '😀', '👨‍👩‍👧', '\u0301', '\ufeff', '\0'];
  for (let round = 0; round < 3000; round++) {
    const parts: Uint8Array[] = [];
    for (let i = random(12); i > 0; i--) {
      const noise = Uint8Array.from({ length: 1 + random(4) }, () => 0x80 + random(128));
      parts.push(random(4) === 0 ? noise : utf8(texts[random(texts.length)] as string));
    }
    const bytes = Buffer.concat(parts);
    const chunks: Buffer[] = [];
    for (let at = 0; at < bytes.length; ) {
      const size = 1 + random(4);
      chunks.push(bytes.subarray(at, at + size));
      at += size;
    }
    const deltas = stream(chunks);
    const whole = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
    expect(deltas.join('')).toBe(whole);
    // No delta ends in half a surrogate pair.
    for (const delta of deltas) expect(delta.isWellFormed()).toBe(true);
  }
});
