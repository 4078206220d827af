/** The merges of a byte-pair encoding: which two neighbouring tokens become which one, and in what order. */

export interface Merge {
  left: number;
  right: number;
  merged: number;
  /** Lower ranks merge first; equal ranks from left to right. */
  rank: number;
}

/** An open-addressing hash table from pairs of ids, in flat arrays: 280 k merges are looked up without allocating. */
export class MergeTable {
  private readonly mask: number;
  private readonly lefts: Int32Array;
  private readonly rights: Int32Array;
  private readonly ranks: Int32Array;
  private readonly results: Int32Array;

  constructor(maxMerges: number) {
    const capacity = 2 ** Math.ceil(Math.log2(Math.max(16, maxMerges * 2)));
    this.mask = capacity - 1;
    this.lefts = new Int32Array(capacity).fill(-1);
    this.rights = new Int32Array(capacity);
    this.ranks = new Int32Array(capacity);
    this.results = new Int32Array(capacity);
  }

  /** Of merges with the same pair the first one stays. */
  add({ left, right, merged, rank }: Merge): void {
    const slot = this.slotOf(left, right);
    if (this.lefts[slot] !== -1) return;
    this.lefts[slot] = left;
    this.rights[slot] = right;
    this.ranks[slot] = rank;
    this.results[slot] = merged;
  }

  /** A handle for `rankAt` and `mergedAt`, or -1 where the pair doesn't merge. */
  find(left: number, right: number): number {
    const slot = this.slotOf(left, right);
    return this.lefts[slot] === -1 ? -1 : slot;
  }

  rankAt(slot: number): number {
    return this.ranks[slot] as number;
  }

  mergedAt(slot: number): number {
    return this.results[slot] as number;
  }

  /** (n, 3): left, right, merged; in the order of their ranks. */
  inOrder(): Int32Array {
    const slots = Array.from(this.lefts.keys()).filter((slot) => this.lefts[slot] !== -1);
    slots.sort((a, b) => this.rankAt(a) - this.rankAt(b));
    const out = new Int32Array(slots.length * 3);
    slots.forEach((slot, i) => {
      out.set([this.lefts[slot] as number, this.rights[slot] as number, this.mergedAt(slot)], i * 3);
    });
    return out;
  }

  private slotOf(left: number, right: number): number {
    let slot = (Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b)) >>> 0;
    slot = (slot ^ (slot >>> 15)) & this.mask;
    while (this.lefts[slot] !== -1 && (this.lefts[slot] !== left || this.rights[slot] !== right)) {
      slot = (slot + 1) & this.mask;
    }
    return slot;
  }
}
