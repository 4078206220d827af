/** Sets of Unicode characters: sorted, disjoint ranges `[from, to]` of code points, both included. */
export type CharSet = readonly (readonly [from: number, to: number])[];

export const LAST = 0x10ffff;
export const ANY: CharSet = [[0, LAST]];
export const DIGITS: CharSet = [[48, 57]];
export const WORD: CharSet = union(DIGITS, [
  [65, 90],
  [95, 95],
  [97, 122],
]);
/** As ECMAScript has it. */
export const SPACE: CharSet = union([
  ...([
    [9, 13],
    [32, 32],
    [160, 160],
    [0x1680, 0x1680],
    [0x2000, 0x200a],
    [0x2028, 0x2029],
  ] as const),
  ...([
    [0x202f, 0x202f],
    [0x205f, 0x205f],
    [0x3000, 0x3000],
    [0xfeff, 0xfeff],
  ] as const),
]);
/** What ends a line, and `.` leaves out. */
export const LINE_ENDS: CharSet = [
  [10, 10],
  [13, 13],
  [0x2028, 0x2029],
];

/** What JSON writes with an escape, and halves of pairs, which are no characters. */
export const ESCAPED: CharSet = [
  [0, 31],
  [34, 34],
  [92, 92],
  [0xd800, 0xdfff],
];

export function union(...sets: CharSet[]): CharSet {
  const ranges = sets.flat().sort((a, b) => a[0] - b[0]);
  const out: [number, number][] = [];
  for (const [from, to] of ranges) {
    const last = out.at(-1);
    if (last && from <= last[1] + 1) last[1] = Math.max(last[1], to);
    else out.push([from, to]);
  }
  return out;
}

export function without(set: CharSet): CharSet {
  const out: [number, number][] = [];
  let next = 0;
  for (const [from, to] of set) {
    if (from > next) out.push([next, from - 1]);
    next = to + 1;
  }
  if (next <= LAST) out.push([next, LAST]);
  return out;
}

export function has(set: CharSet, code: number): boolean {
  return set.some(([from, to]) => from <= code && code <= to);
}

export function overlaps(a: CharSet, b: CharSet): boolean {
  return a.some(([from, to]) => b.some(([low, high]) => from <= high && low <= to));
}

/** Where ranges of any of these begin: characters between two neighbours are alike to all of them. */
export function boundaries(sets: Iterable<CharSet>): number[] {
  const starts = new Set([0]);
  for (const set of sets) {
    for (const [from, to] of set) {
      starts.add(from);
      if (to < LAST) starts.add(to + 1);
    }
  }
  return [...starts].sort((a, b) => a - b);
}
