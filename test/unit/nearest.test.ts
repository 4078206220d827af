import { describe, expect, it } from 'vitest';
import { editDistance, nearest } from '../../src/nearest.js';

describe('editDistance', () => {
  it.each([
    ['', '', 0],
    ['', 'abc', 3],
    ['kitten', 'sitting', 3],
    ['dtpye', 'dtype', 1],
    ['ab', 'ba', 1],
  ])('%s -> %s: %i', (a, b, distance) => {
    expect(editDistance(a, b)).toBe(distance);
    expect(editDistance(b, a)).toBe(distance);
  });
});

describe('nearest', () => {
  const flags = ['model-path', 'dtype', 'device', 'context-length', 'port'];

  it.each([
    ['modle-path', 'model-path'],
    ['model_path', 'model-path'],
    ['MODEL-PATH', 'model-path'],
    ['model', 'model-path'],
    ['context', 'context-length'],
    ['prot', 'port'],
    ['device-type', 'device'],
  ])('%s means %s', (typed, meant) => {
    expect(nearest(typed, flags)).toBe(meant);
  });

  it('names nothing for what resembles nothing', () => {
    expect(nearest('zzzzzz', flags)).toBeNull();
    expect(nearest('port', [])).toBeNull();
  });
});
