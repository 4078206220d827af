import { expect, test } from 'vitest';
import { Bpe } from '../../../src/model/bpe.js';
import { type Merge, MergeTable } from '../../../src/model/merge-table.js';
import { randomNumbers } from './temporary.js';

/** By the definition: while any neighbours merge, those of the best rank do, the leftmost first. */
function mergeByDefinition(ids: readonly number[], merges: readonly Merge[]): number[] {
  const symbols = [...ids];
  for (;;) {
    let best: (Merge & { at: number }) | undefined;
    for (let at = 0; at + 1 < symbols.length; at++) {
      const merge = merges.find(({ left, right }) => left === symbols[at] && right === symbols[at + 1]);
      if (merge && (best === undefined || merge.rank < best.rank)) best = { ...merge, at };
    }
    if (best === undefined) return symbols;
    symbols.splice(best.at, 2, best.merged);
  }
}

function tableOf(merges: readonly Merge[]): MergeTable {
  const table = new MergeTable(merges.length);
  for (const merge of merges) table.add(merge);
  return table;
}

test('merges as the definition says, also where ranks are equal', () => {
  const random = randomNumbers(1);
  for (let round = 0; round < 300; round++) {
    const numBase = 2 + random(4);
    const merges: Merge[] = [];
    for (let id = numBase; id < numBase + 12; id++) {
      const [left, right] = [random(id), random(id)];
      if (merges.some((merge) => merge.left === left && merge.right === right)) continue;
      merges.push({ left, right, merged: id, rank: round % 2 === 0 ? merges.length : merges.length >> 1 });
    }
    const bpe = new Bpe(tableOf(merges));
    for (let i = 0; i < 10; i++) {
      const ids = Array.from({ length: random(40) }, () => random(numBase));
      const merged = [...ids];
      bpe.merge(merged);
      expect(merged).toEqual(mergeByDefinition(ids, merges));
    }
  }
});

test('of equal pairs the first stays', () => {
  const bpe = new Bpe(
    tableOf([
      { left: 0, right: 1, merged: 2, rank: 0 },
      { left: 0, right: 1, merged: 3, rank: 1 },
    ]),
  );
  const ids = [0, 1];
  bpe.merge(ids);
  expect(ids).toEqual([2]);
});

test('a table of many merges finds each of them and no other', () => {
  const table = new MergeTable(50_000);
  for (let i = 0; i < 50_000; i++) table.add({ left: i, right: i * 7, merged: i + 1, rank: i });
  for (let i = 0; i < 50_000; i++) {
    const slot = table.find(i, i * 7);
    expect([table.rankAt(slot), table.mergedAt(slot)]).toEqual([i, i + 1]);
  }
  expect(table.find(3, 22)).toBe(-1);
});
