import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import { PieceCache } from '../../../src/model/piece-cache.js';

const GENERATION = 2048;

describe('PieceCache', () => {
  test('knows what was set, copied', () => {
    const cache = new PieceCache();
    const ids = [1, 2, 3];
    cache.set(' word', ids);
    ids.push(4);
    expect(cache.get(' word')).toEqual([1, 2, 3]);
    expect(cache.get('word')).toBeUndefined();
    cache.set('\ud800', [5]); // half a surrogate pair is itself
    expect(cache.get('\ud800')).toEqual([5]);
    expect(cache.get('\ufffd')).toBeUndefined();
    cache.set('x'.repeat(65), [6]);
    expect(cache.get('x'.repeat(65))).toBeUndefined();
  });

  test('keeps what is asked for, and loses the rest', () => {
    const cache = new PieceCache();
    cache.set('often', [1]);
    cache.set('once', [2]);
    for (let i = 0; i < 4 * GENERATION; i++) {
      cache.set(`piece ${i}`, [i]);
      if (i % 1000 === 0) expect(cache.get('often')).toEqual([1]);
    }
    expect(cache.get('once')).toBeUndefined();
    expect(cache.get(`piece ${4 * GENERATION - 1}`)).toEqual([4 * GENERATION - 1]);
    expect(cache.get('piece 0')).toBeUndefined();
  });

  test('keeps no text that a piece was cut from', () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const cache = new PieceCache();
    const heldMiB = () => {
      collect();
      return process.memoryUsage().heapUsed / 2 ** 20;
    };
    const before = heldMiB();
    for (let i = 0; i < 128; i++) {
      const text = Buffer.alloc(2 ** 19, `a word of some length, number ${i}: `).toString('latin1');
      cache.set(text.slice(0, 40), [i]);
    }
    expect(heldMiB() - before).toBeLessThan(16); // of 64
  });
});
