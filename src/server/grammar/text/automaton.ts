/**
 * Deterministic automata over characters: what texts a regular expression means, and what is left of two of them. All
 * automata of one `Alphabet` can be put together.
 */
import { boundaries, type CharSet, LAST } from './char-set.js';
import type { RegexNode } from './regex-syntax.js';
import { work } from './work.js';

/** Characters in classes, all of one class alike: class i is from `starts[i]` up to the next start. */
export class Alphabet {
  readonly starts: readonly number[];

  constructor(nodes: Iterable<RegexNode>) {
    const sets: CharSet[] = [];
    for (const node of nodes) collectSets(node, sets);
    this.starts = boundaries(sets);
  }

  get size(): number {
    return this.starts.length;
  }

  /** The classes that make up a set. */
  classesOf(set: CharSet): number[] {
    return this.starts.flatMap((start, index) =>
      set.some(([from, to]) => from <= start && start <= to) ? [index] : [],
    );
  }

  classOf(code: number): number {
    return this.starts.findLastIndex((start) => start <= code);
  }

  /** The characters of some classes. */
  setOf(classes: readonly number[]): CharSet {
    const out: [number, number][] = [];
    for (const index of classes) {
      const from = this.starts[index] as number;
      const to = (this.starts[index + 1] ?? LAST + 1) - 1;
      const last = out.at(-1);
      if (last && last[1] + 1 === from) last[1] = to;
      else out.push([from, to]);
    }
    return out;
  }
}

function collectSets(node: RegexNode, sets: CharSet[]): void {
  if (node.kind === 'set') sets.push(node.set);
  else if (node.kind === 'repeat') collectSets(node.node, sets);
  else if (node.kind === 'sequence' || node.kind === 'choice') for (const each of node.nodes) collectSets(each, sets);
}

/** An automaton came to more states than anyone wants. */
export class TooLarge extends Error {}

const MAX_STATES = 4000;

export interface Automaton {
  readonly alphabet: Alphabet;
  /** State after a state and a class: (states, classes). Every state has a next one; state 0 is the first. */
  readonly next: readonly (readonly number[])[];
  readonly accepts: readonly boolean[];
}

/** `whole`: the expression is all of the text, not found in it. Throws TooLarge. */
export function automatonOf(node: RegexNode, alphabet: Alphabet, whole: boolean): Automaton {
  const nfa = new Nfa(alphabet);
  const first = nfa.add();
  const last = nfa.build(node, first);
  if (!whole) {
    nfa.loop(first);
    nfa.loop(last);
  }
  return minimal(determinize(nfa, first, last));
}

/** Texts of `min` to `max` characters. */
export function lengthAutomaton(alphabet: Alphabet, min: number, max: number | null): Automaton {
  const most = max ?? min;
  if (most + 2 > MAX_STATES) throw new TooLarge();
  const next: number[][] = [];
  const accepts: boolean[] = [];
  for (let length = 0; length <= most + 1; length++) {
    const to = length > most ? length : length === most && max === null ? length : length + 1;
    next.push(Array.from({ length: alphabet.size }, () => to));
    accepts.push(length >= min && (max === null || length <= max));
  }
  return { alphabet, next, accepts };
}

/** Some words. Throws TooLarge. */
export function wordsAutomaton(alphabet: Alphabet, words: readonly string[]): Automaton {
  // State 1 is where no word leads.
  const row = () => Array.from({ length: alphabet.size }, () => 1);
  const next = [row(), row()];
  const accepts = [false, false];
  for (const word of words) {
    let state = 0;
    for (const char of word) {
      const index = alphabet.classOf(char.codePointAt(0) as number);
      let to = next[state]?.[index] as number;
      if (to === 1) {
        if (next.length > MAX_STATES) throw new TooLarge();
        to = next.push(row()) - 1;
        accepts.push(false);
        (next[state] as number[])[index] = to;
      }
      state = to;
    }
    accepts[state] = true;
  }
  return { alphabet, next, accepts };
}

export function complement({ accepts, ...rest }: Automaton): Automaton {
  return { ...rest, accepts: accepts.map((each) => !each) };
}

/** What both accept, not as small as can be. Throws TooLarge. */
export function intersection(a: Automaton, b: Automaton): Automaton {
  const ids = new Map<number, number>([[0, 0]]);
  const pairs: [number, number][] = [[0, 0]];
  const next: number[][] = [];
  const accepts: boolean[] = [];
  for (let at = 0; at < pairs.length; at++) {
    const [x, y] = pairs[at] as [number, number];
    work(a.alphabet.size);
    accepts.push(Boolean(a.accepts[x] && b.accepts[y]));
    const row = (a.next[x] as number[]).map((to, index) => {
      const other = (b.next[y] as number[])[index] as number;
      const key = to * b.next.length + other;
      const known = ids.get(key);
      if (known !== undefined) return known;
      if (pairs.length > MAX_STATES) throw new TooLarge();
      ids.set(key, pairs.length);
      return pairs.push([to, other]) - 1;
    });
    next.push(row);
  }
  return { alphabet: a.alphabet, next, accepts };
}

export function isEmpty(automaton: Automaton): boolean {
  return !automaton.accepts.includes(true);
}

export function acceptsText({ alphabet, next, accepts }: Automaton, text: string): boolean {
  let state = 0;
  for (const char of text) {
    state = next[state]?.[alphabet.classOf(char.codePointAt(0) as number)] as number;
  }
  return accepts[state] === true;
}

/** Thompson's automaton; ways that cost no character may ask for the begin or the end of the text. */
class Nfa {
  readonly free: { to: number; at: 'start' | 'end' | null }[][] = [];
  readonly moves: { to: number; classes: readonly number[] }[][] = [];

  constructor(readonly alphabet: Alphabet) {}

  add(): number {
    if (this.free.length > MAX_STATES * 4) throw new TooLarge();
    this.moves.push([]);
    return this.free.push([]) - 1;
  }

  loop(state: number): void {
    this.moves[state]?.push({ to: state, classes: this.alphabet.starts.map((_, index) => index) });
  }

  #skip(from: number, to: number, at: 'start' | 'end' | null = null): void {
    this.free[from]?.push({ to, at });
  }

  /** From `from` to the state that is returned. */
  build(node: RegexNode, from: number): number {
    switch (node.kind) {
      case 'sequence':
        return node.nodes.reduce((at, each) => this.build(each, at), from);
      case 'choice': {
        const to = this.add();
        for (const each of node.nodes) {
          const begin = this.add();
          this.#skip(from, begin);
          this.#skip(this.build(each, begin), to);
        }
        return to;
      }
      case 'repeat':
        return this.#repeat(node, from);
      case 'set': {
        const to = this.add();
        this.moves[from]?.push({ to, classes: this.alphabet.classesOf(node.set) });
        return to;
      }
      default: {
        const to = this.add();
        this.#skip(from, to, node.kind);
        return to;
      }
    }
  }

  #repeat({ node, min, max }: { node: RegexNode; min: number; max: number }, from: number): number {
    let at = from;
    for (let i = 0; i < min; i++) at = this.build(node, at);
    if (max === Number.POSITIVE_INFINITY) {
      const begin = this.add();
      this.#skip(at, begin);
      const end = this.build(node, begin);
      this.#skip(end, begin);
      const to = this.add();
      this.#skip(begin, to);
      return to;
    }
    const to = this.add();
    this.#skip(at, to);
    for (let i = min; i < max; i++) {
      const begin = this.add();
      this.#skip(at, begin);
      at = this.build(node, begin);
      this.#skip(at, to);
    }
    return to;
  }

  /** All states that are reached for free. */
  closure(states: Iterable<number>, isStart: boolean, isEnd: boolean): Set<number> {
    const seen = new Set(states);
    const waiting = [...seen];
    while (waiting.length > 0) {
      for (const { to, at } of this.free[waiting.pop() as number] as { to: number; at: string | null }[]) {
        if (seen.has(to) || (at === 'start' && !isStart) || (at === 'end' && !isEnd)) continue;
        seen.add(to);
        waiting.push(to);
      }
    }
    return seen;
  }
}

function determinize(nfa: Nfa, first: number, last: number): Automaton {
  const ids = new Map<string, number>();
  const subsets: { states: number[]; isStart: boolean }[] = [];
  const idOf = (reached: Set<number>, isStart: boolean) => {
    const states = [...nfa.closure(reached, isStart, false)].sort((a, b) => a - b);
    const key = `${isStart ? 's' : ''}${states.join()}`;
    const known = ids.get(key);
    if (known !== undefined) return known;
    if (subsets.length > MAX_STATES) throw new TooLarge();
    ids.set(key, subsets.length);
    return subsets.push({ states, isStart }) - 1;
  };
  idOf(new Set([first]), true);
  const next: number[][] = [];
  const accepts: boolean[] = [];
  for (let at = 0; at < subsets.length; at++) {
    const { states, isStart } = subsets[at] as { states: number[]; isStart: boolean };
    work(states.length * 4 + nfa.alphabet.size);
    accepts.push(nfa.closure(states, isStart, true).has(last));
    const reached = Array.from({ length: nfa.alphabet.size }, () => new Set<number>());
    for (const state of states) {
      for (const { to, classes } of nfa.moves[state] as { to: number; classes: readonly number[] }[]) {
        work(classes.length);
        for (const index of classes) reached[index]?.add(to);
      }
    }
    next.push(reached.map((each) => idOf(each, false)));
  }
  return { alphabet: nfa.alphabet, next, accepts };
}

/** The same texts with as few states as can be. State 0 stays the first. */
export function minimal({ alphabet, next, accepts }: Automaton): Automaton {
  const group = partition(next, accepts);
  // In the order in which states come, so that the first one is 0.
  const names = new Map<number, number>();
  const out = { alphabet, next: [] as number[][], accepts: [] as boolean[] };
  const firsts: number[] = [];
  for (const [state, own] of group.entries()) {
    if (names.has(own)) continue;
    names.set(own, names.size);
    firsts.push(state);
  }
  for (const state of firsts) {
    out.next.push((next[state] as number[]).map((to) => names.get(group[to] as number) as number));
    out.accepts.push(accepts[state] as boolean);
  }
  return out;
}

/** For each state the group of those that accept the same from there on (Hopcroft). */
function partition(next: Automaton['next'], accepts: Automaton['accepts']): number[] {
  const size = next.length;
  const numClasses = next[0]?.length ?? 0;
  work(2 * size * numClasses);
  const before: number[][] = Array.from({ length: numClasses * size }, () => []);
  for (const [state, row] of next.entries()) {
    for (const [index, to] of row.entries()) before[index * size + to]?.push(state);
  }
  const group: number[] = accepts.map(Number);
  const members: Set<number>[] = [new Set(), new Set()];
  for (const [state, own] of group.entries()) members[own]?.add(state);
  const waiting: [group: number, index: number][] = [];
  const enqueue = (each: number) => {
    for (let index = 0; index < numClasses; index++) waiting.push([each, index]);
  };
  enqueue(0);
  enqueue(1);
  while (waiting.length > 0) {
    const [splitter, index] = waiting.pop() as [number, number];
    const touched = new Map<number, number[]>();
    for (const to of members[splitter] as Set<number>) {
      for (const state of before[index * size + to] as number[]) {
        const own = group[state] as number;
        const list = touched.get(own);
        if (list) list.push(state);
        else touched.set(own, [state]);
      }
    }
    for (const [own, states] of touched) {
      const all = members[own] as Set<number>;
      if (states.length === all.size) continue;
      // The smaller part gets a new number: the larger one keeps what waits for it.
      const hit = new Set(states);
      const moved = hit.size * 2 <= all.size ? states : [...all].filter((state) => !hit.has(state));
      const fresh = members.push(new Set(moved)) - 1;
      for (const state of moved) {
        all.delete(state);
        group[state] = fresh;
      }
      enqueue(fresh);
    }
  }
  return group;
}
