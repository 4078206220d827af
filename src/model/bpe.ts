/** Byte-pair encoding of one piece of text: O(n log n) in its symbols, whatever the text. */
import type { MergeTable } from './merge-table.js';

/** Positions a heap key has room for; ranks take the bits above. A piece is far shorter than 128 Mi symbols. */
const POSITIONS = 2 ** 27;
/** Positions of scratch that stay, however long a piece was. */
const MAX_KEPT = 4096;
/** In `symbols`: merged into the symbol on the left. */
const GONE = -2;

export class Bpe {
  /** Scratch, grown on demand: symbols and their neighbours, by position. */
  private symbols = new Int32Array(64);
  private next = new Int32Array(64);
  private prev = new Int32Array(64);
  private heap = new MinHeap();

  constructor(private readonly merges: MergeTable) {}

  /** Applies the merges to `ids`, in place; the best rank first, equal ranks from the left. */
  merge(ids: number[]): void {
    const n = ids.length;
    if (n < 2) return;
    this.reserve(n);
    const { symbols, next, prev, heap, merges } = this;
    for (let i = 0; i < n; i++) {
      symbols[i] = ids[i] as number;
      next[i] = i + 1;
      prev[i] = i - 1;
    }
    for (let i = 0; i + 1 < n; i++) this.pushPair(i, i + 1);

    let key = heap.pop();
    for (; key >= 0; key = heap.pop()) {
      const left = key % POSITIONS;
      const right = next[left] as number;
      if (symbols[left] === GONE || right >= n) continue;
      // The entry is stale if either symbol has merged since: then the pair has another rank, or none.
      const slot = merges.find(symbols[left] as number, symbols[right] as number);
      if (slot < 0 || merges.rankAt(slot) !== Math.floor(key / POSITIONS)) continue;
      symbols[left] = merges.mergedAt(slot);
      symbols[right] = GONE;
      const after = next[right] as number;
      next[left] = after;
      if (after < n) {
        prev[after] = left;
        this.pushPair(left, after);
      }
      const before = prev[left] as number;
      if (before >= 0) this.pushPair(before, left);
    }

    let length = 0;
    for (let i = 0; i < n; i = next[i] as number) ids[length++] = symbols[i] as number;
    ids.length = length;
    if (n > MAX_KEPT) this.make(MAX_KEPT);
  }

  private pushPair(left: number, right: number): void {
    const slot = this.merges.find(this.symbols[left] as number, this.symbols[right] as number);
    if (slot >= 0) this.heap.push(this.merges.rankAt(slot) * POSITIONS + left);
  }

  private reserve(n: number): void {
    if (n > this.symbols.length) this.make(Math.max(n, this.symbols.length * 2));
  }

  private make(capacity: number): void {
    this.symbols = new Int32Array(capacity);
    this.next = new Int32Array(capacity);
    this.prev = new Int32Array(capacity);
  }
}

/** A binary heap of non-negative numbers. */
class MinHeap {
  private keys: number[] = [];

  push(key: number): void {
    const { keys } = this;
    let i = keys.length;
    keys.push(key);
    while (i > 0) {
      const parent = (i - 1) >> 1;
      const above = keys[parent] as number;
      if (above <= key) break;
      keys[i] = above;
      i = parent;
    }
    keys[i] = key;
  }

  /** The least key, or -1 when there is none. */
  pop(): number {
    const { keys } = this;
    const least = keys[0];
    const last = keys.pop();
    if (least === undefined || last === undefined) return -1;
    const n = keys.length;
    if (n === 0) return least;
    let i = 0;
    for (let child = 1; child < n; child = 2 * i + 1) {
      if (child + 1 < n && (keys[child + 1] as number) < (keys[child] as number)) child++;
      if ((keys[child] as number) >= last) break;
      keys[i] = keys[child] as number;
      i = child;
    }
    keys[i] = last;
    return least;
  }
}
