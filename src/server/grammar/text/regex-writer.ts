/** An automaton as a regular expression for the grammar compiler: of ASCII, all of the text, without looking around. */
import type { Automaton } from './automaton.js';
import { type CharSet, ESCAPED, has, LAST } from './char-set.js';
import { work } from './work.js';

const MAX_CHARS = 2048;
const MAX_STATES = 300;

/** Parts of the expression: from one state to another. */
type Ways = Map<number, string>;

/**
 * Null: it would get too long, or no text is accepted that JSON writes without escapes; the alphabet tells those
 * characters apart. Takes away one state after another, those with the fewest ways first. */
export function regexOf({ alphabet, next: all, accepts }: Automaton): string | null {
  const plain = alphabet.starts.map((start) => !has(ESCAPED, start));
  // No state has the number -1.
  const next = all.map((row) => row.map((to, index) => (plain[index] ? to : -1)));
  const useful = usefulStates(next, accepts);
  if (!useful.has(0) || useful.size > MAX_STATES) return null;
  const [begin, end] = [next.length, next.length + 1];
  const out: Ways[] = Array.from({ length: next.length + 2 }, () => new Map());
  const into: Set<number>[] = Array.from({ length: next.length + 2 }, () => new Set());
  const connect = (from: number, to: number, text: string) => {
    const known = out[from]?.get(to);
    const both = known === undefined ? text : either(known, text);
    out[from]?.set(to, both);
    into[to]?.add(from);
    return both.length;
  };
  connect(begin, 0, '');
  for (const state of useful) {
    if (accepts[state]) connect(state, end, '');
    const classes = new Map<number, number[]>();
    for (const [index, to] of (next[state] as number[]).entries()) {
      if (useful.has(to)) classes.set(to, [...(classes.get(to) ?? []), index]);
    }
    for (const [to, each] of classes) connect(state, to, classText(alphabet.setOf(each)));
  }
  const left = new Set(useful);
  while (left.size > 0) {
    const state = cheapest(left, out, into);
    left.delete(state);
    if (!eliminate(state, out, into, connect)) return null;
  }
  return `^${alone(out[begin]?.get(end) ?? '')}$`;
}

function eliminate(
  state: number,
  out: Ways[],
  into: Set<number>[],
  connect: (from: number, to: number, text: string) => number,
): boolean {
  const own = out[state]?.get(state);
  const loop = own === undefined ? '' : own === '' ? '' : `${grouped(own)}*`;
  const ways = [...(out[state] as Ways)].filter(([to]) => to !== state);
  for (const from of into[state] as Set<number>) {
    if (from === state) continue;
    const before = out[from]?.get(state) as string;
    out[from]?.delete(state);
    for (const [to, after] of ways) {
      const text = alone(before) + loop + alone(after);
      if (text.length > MAX_CHARS) return false;
      if (connect(from, to, text) > MAX_CHARS) return false;
    }
  }
  for (const [to] of ways) into[to]?.delete(state);
  return true;
}

/** What would be written again for every pair of ways. */
function cheapest(left: Set<number>, out: Ways[], into: Set<number>[]): number {
  let best = -1;
  work(4 * left.size);
  let least = Number.POSITIVE_INFINITY;
  for (const state of left) {
    const ways = [...(out[state] as Ways)].filter(([to]) => to !== state);
    const sources = [...(into[state] as Set<number>)].filter((from) => from !== state);
    const loop = (out[state]?.get(state) ?? '').length;
    const after = ways.reduce((sum, [, text]) => sum + text.length, 0);
    const before = sources.reduce((sum, from) => sum + (out[from]?.get(state)?.length ?? 0), 0);
    const cost = after * (sources.length - 1) + before * (ways.length - 1) + loop * (ways.length * sources.length - 1);
    if (cost >= least) continue;
    best = state;
    least = cost;
  }
  return best;
}

/** States that are reached, and from which an accepting one is. */
export function usefulStates(next: Automaton['next'], accepts: readonly boolean[]): Set<number> {
  const reached = new Set([0]);
  for (const state of reached) for (const to of next[state] as number[]) if (to >= 0) reached.add(to);
  const back: number[][] = next.map(() => []);
  for (const [state, row] of next.entries()) for (const to of row) back[to]?.push(state);
  const good = new Set(accepts.flatMap((each, state) => (each ? [state] : [])));
  for (const state of good) for (const from of back[state] as number[]) good.add(from);
  return new Set([...reached].filter((state) => good.has(state)));
}

/** `a|b`, each of which may be empty. */
function either(a: string, b: string): string {
  if (a === '') return optional(b);
  if (b === '') return optional(a);
  return `${a}|${b}`;
}

const optional = (text: string) => (text.endsWith('?') && isAtom(text.slice(0, -1)) ? text : `${grouped(text)}?`);
/** As a part of a sequence. */
const alone = (text: string) => (hasChoice(text) ? `(?:${text})` : text);
/** As what is repeated. */
const grouped = (text: string) => (isAtom(text) ? text : `(?:${text})`);

/** One character, one set, or one group. */
function isAtom(text: string): boolean {
  if (/^(?:[^\\()[\]{}*+?|^$.]|\\u[0-9a-f]{4}|\\u\{[0-9a-f]+\}|\\[^u])$/.test(text)) return true;
  return endOfAtom(text) === text.length;
}

function endOfAtom(text: string): number {
  if (text[0] === '[') return text.indexOf(']') + 1;
  if (text[0] !== '(') return -1;
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '\\') i++;
    else if (text[i] === '[') i = text.indexOf(']', i);
    else if (text[i] === '(') depth++;
    else if (text[i] === ')' && --depth === 0) return i + 1;
  }
  return -1;
}

function hasChoice(text: string): boolean {
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '\\') i++;
    else if (text[i] === '[') i = text.indexOf(']', i);
    else if (text[i] === '(') depth++;
    else if (text[i] === ')') depth--;
    else if (text[i] === '|' && depth === 0) return true;
  }
  return false;
}

/** Everything but letters and digits by its number, so that no `]` or `|` stands for anything else. */
function classText(set: CharSet): string {
  const [only, ...more] = set;
  if (only && more.length === 0 && only[0] === only[1]) return charText(only[0]);
  const ranges = set.map(([from, to]) => (from === to ? charText(from) : `${charText(from)}-${charText(to)}`));
  return `[${ranges.join('')}]`;
}

function charText(code: number): string {
  const char = code <= LAST ? String.fromCodePoint(code) : '';
  if (/^[A-Za-z0-9_ ]$/.test(char)) return char;
  return code < 0x10000 ? `\\u${code.toString(16).padStart(4, '0')}` : `\\u{${code.toString(16)}}`;
}
