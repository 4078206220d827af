/**
 * Which regular expressions are catastrophic: those that match the same text in exponentially many ways, like `(a+)+`, where
 * an engine that tries them all never ends, and those that come to more than can be compiled once they are written out.
 */
import { type CharSet, overlaps } from './char-set.js';
import type { RegexNode } from './regex-syntax.js';
import { work } from './work.js';

/** Characters that an expression may come to, with everything that is counted written out. */
const MAX_WRITTEN_OUT = 20_000;
/** So many times is as good as any number of times. */
const MANY = 32;
/** Characters, and pairs of them, beyond which ambiguity is not looked for: what is compiled has its own limits. */
const MAX_POSITIONS = 400;
const MAX_PAIRS = 100_000;

/** Null: none. Otherwise what is wrong with it. */
export function catastropheOf(node: RegexNode): string | null {
  if (writtenOut(node) > MAX_WRITTEN_OUT)
    return `comes to more than ${MAX_WRITTEN_OUT} characters once its counts are written out`;
  const automaton = new Positions();
  if (!automaton.build(node)) return null;
  return automaton.isAmbiguous()
    ? 'matches the same text in exponentially many ways (a repetition in a repetition)'
    : null;
}

function writtenOut(node: RegexNode): number {
  switch (node.kind) {
    case 'set':
      return 1;
    case 'sequence':
    case 'choice':
      return node.nodes.reduce((sum, each) => sum + writtenOut(each), 0);
    case 'repeat':
      return writtenOut(node.node) * Math.max(Number.isFinite(node.max) ? node.max : node.min, 1);
    default:
      return 0;
  }
}

/** What a part begins and ends with, and how often each can be reached: more than once is a choice without a difference. */
interface Part {
  isNullable: boolean;
  first: number[];
  last: number[];
}

const NOTHING: Part = { isNullable: true, first: [], last: [] };

/** Glushkov's automaton: a state for each character of the expression. */
class Positions {
  readonly #sets: CharSet[] = [];
  /** How often one position follows another. */
  readonly #follow: Map<number, number>[] = [];
  #numPairs = 0;

  /** False: too large to look at. */
  build(node: RegexNode): boolean {
    return this.#part(node) !== null;
  }

  #part(node: RegexNode): Part | null {
    switch (node.kind) {
      case 'set':
        if (this.#sets.length >= MAX_POSITIONS) return null;
        this.#sets.push(node.set);
        this.#follow.push(new Map());
        return { isNullable: false, first: [this.#sets.length - 1], last: [this.#sets.length - 1] };
      case 'choice': {
        const parts = node.nodes.map((each) => this.#part(each));
        if (parts.includes(null)) return null;
        return {
          isNullable: parts.some((part) => part?.isNullable),
          first: parts.flatMap((part) => part?.first ?? []),
          last: parts.flatMap((part) => part?.last ?? []),
        };
      }
      case 'sequence':
        return this.#chain(node.nodes.map((each) => () => this.#part(each)));
      case 'repeat':
        return this.#repeat(node.node, node.min, node.max);
      default:
        return NOTHING;
    }
  }

  #chain(makers: (() => Part | null)[]): Part | null {
    let whole = NOTHING;
    for (const make of makers) {
      const part = make();
      if (part === null) return null;
      this.#link(whole.last, part.first);
      whole = {
        isNullable: whole.isNullable && part.isNullable,
        first: whole.isNullable ? [...whole.first, ...part.first] : whole.first,
        last: part.isNullable ? [...whole.last, ...part.last] : part.last,
      };
    }
    return whole;
  }

  /** Counts are cut to the few that tell whether there is a choice. */
  #repeat(node: RegexNode, min: number, max: number): Part | null {
    if (max === 0) return NOTHING;
    if (max >= MANY) {
      const part = this.#part(node);
      if (part === null) return null;
      this.#link(part.last, part.first);
      return { ...part, isNullable: part.isNullable || min === 0 };
    }
    const copies = Array.from({ length: Math.min(max, 3) }, (_, index) => () => {
      const part = this.#part(node);
      return part && { ...part, isNullable: part.isNullable || index >= min || (max > 3 && max > min && index > 0) };
    });
    return this.#chain(copies);
  }

  #link(from: readonly number[], to: readonly number[]): void {
    for (const p of from) {
      const follow = this.#follow[p] as Map<number, number>;
      for (const q of to) follow.set(q, (follow.get(q) ?? 0) + 1);
    }
  }

  /**
   * Whether some position comes back to itself in two ways over one text. Pairs of positions that the same text leads
   * to; two ways are a pair of different ones, or a double step, on a path from a pair of equals back to it.
   */
  isAmbiguous(): boolean {
    const size = this.#sets.length;
    const reach = this.#reachable();
    for (let p = 0; p < size; p++) {
      for (const [q, times] of this.#follow[p] as Map<number, number>) {
        if (times > 1 && reach[q]?.has(p)) return true;
      }
    }
    return Array.from({ length: size }, (_, p) => p).some((p) => reach[p]?.has(p) && this.#splits(p, reach));
  }

  /** Whether from (p, p) a pair of different positions is reached from which (p, p) is. */
  #splits(p: number, reach: Set<number>[]): boolean {
    const size = this.#sets.length;
    const seen = new Set<number>();
    const waiting: number[] = [p * size + p];
    // Only pairs that can still come back to p.
    const inLoop = (q: number) => reach[q]?.has(p) === true;
    while (waiting.length > 0) {
      const pair = waiting.pop() as number;
      const [a, b] = [Math.floor(pair / size), pair % size];
      work((this.#follow[a]?.size ?? 0) * (this.#follow[b]?.size ?? 0));
      for (const x of (this.#follow[a] as Map<number, number>).keys()) {
        if (!inLoop(x)) continue;
        for (const y of (this.#follow[b] as Map<number, number>).keys()) {
          if (!inLoop(y) || !overlaps(this.#sets[x] as CharSet, this.#sets[y] as CharSet)) continue;
          if (x === p && y === p && a !== b) return true;
          const next = x * size + y;
          // A pair of equals is where another search begins.
          if (x === y || seen.has(next)) continue;
          if (++this.#numPairs > MAX_PAIRS) return false;
          work(4);
          seen.add(next);
          waiting.push(next);
        }
      }
    }
    return false;
  }

  /** The positions that can come after each, in one step or more. */
  #reachable(): Set<number>[] {
    return this.#follow.map((follow) => {
      const seen = new Set<number>();
      const waiting = [...follow.keys()];
      while (waiting.length > 0) {
        const q = waiting.pop() as number;
        if (seen.has(q)) continue;
        seen.add(q);
        waiting.push(...(this.#follow[q] as Map<number, number>).keys());
      }
      return seen;
    });
  }
}
