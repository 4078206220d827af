/** An automaton as a grammar of the text between the quotes of a JSON string, for those that no short expression says. */
import type { Automaton } from './automaton.js';
import { type CharSet, ESCAPED, has } from './char-set.js';
import { usefulStates } from './regex-writer.js';

/** A millisecond and a half of compiling each. */
const MAX_STATES = 900;
/** What the compiler takes for a grammar instead of an expression (`scripts/xgrammar/library.mjs`). */
export const GRAMMAR_MARK = '\u0001';
/** Characters that JSON writes with an escape, and how. All others below 32 are left out. */
const ESCAPES: readonly (readonly [code: number, written: string])[] = [
  [34, '\\"'],
  [92, '\\\\'],
  [10, '\\n'],
  [13, '\\r'],
  [9, '\\t'],
];

/** A rule for each state; null: too many, or no text is accepted. */
export function grammarOf({ alphabet, next, accepts }: Automaton): string | null {
  const useful = usefulStates(next, accepts);
  if (!useful.has(0) || useful.size > MAX_STATES) return null;
  const rules = [...useful].map((state) => {
    const row = next[state] as number[];
    const ways = new Map<number, number[]>();
    for (const [index, to] of row.entries()) {
      if (!useful.has(to) || has(ESCAPED, alphabet.starts[index] as number)) continue;
      ways.set(to, [...(ways.get(to) ?? []), index]);
    }
    const plain = [...ways].map(([to, classes]) => `${classText(alphabet.setOf(classes))} s${to}`);
    const escaped = ESCAPES.flatMap(([code, written]) => {
      const to = row[alphabet.classOf(code)] as number;
      return useful.has(to) ? [`${JSON.stringify(written)} s${to}`] : [];
    });
    const all = [...plain, ...escaped, ...(accepts[state] ? ['""'] : [])];
    return all.length === 0 ? null : `s${state} ::= ${all.join(' | ')}`;
  });
  // A state may lead on only by characters that are left out.
  if (rules.includes(null)) return null;
  return `${GRAMMAR_MARK}root ::= s0\n${rules.join('\n')}\n`;
}

/** Letters, digits and spaces as they are, others by their number, whose digits are counted: `\\x` takes all that follow. */
function charText(code: number): string {
  const char = String.fromCodePoint(code);
  if (/[A-Za-z0-9 ]/.test(char)) return char;
  return code < 0x10000 ? `\\u${code.toString(16).padStart(4, '0')}` : `\\U${code.toString(16).padStart(8, '0')}`;
}

function classText(set: CharSet): string {
  return `[${set.map(([from, to]) => (from === to ? charText(from) : `${charText(from)}-${charText(to)}`)).join('')}]`;
}
