/** What a schema asks of a text, put together into one regular expression of the grammar compiler. */
import {
  Alphabet,
  type Automaton,
  acceptsText,
  automatonOf,
  complement,
  intersection,
  isEmpty,
  lengthAutomaton,
  minimal,
  TooLarge,
  wordsAutomaton,
} from './automaton.js';
import { ESCAPED } from './char-set.js';
import { FORMATS } from './formats.js';
import { grammarOf } from './grammar-writer.js';
import { ANYTHING, parseRegex, type RegexNode } from './regex-syntax.js';
import { regexOf } from './regex-writer.js';

/** One demand: an expression or a format, or that it is none of them; or none of some texts. */
export type TextRule =
  | { pattern: string; isNot?: boolean }
  | { format: string; isNot?: boolean }
  | { notOneOf: readonly string[] };

/** States beyond which an automaton stays as large as it came out. */
const MAX_MINIMIZED = 500;

export interface TextDemand {
  rules: readonly TextRule[];
  min: number;
  max: number | null;
  /** Expressions are the whole text, not found in it. */
  whole: boolean;
}

/** What there is no automaton for: an expression beyond regular ones, or one that gets too large. */
export class NoAutomaton extends Error {}

/**
 * `^...$`, or a grammar for the compiler (`grammarOf`), which knows of escapes; null: no text meets it. Throws
 * NoAutomaton.
 */
export function expressionFor(demand: TextDemand): string | null {
  const automaton = automatonFor(demand);
  if (isEmpty(automaton)) return null;
  const text = needsEscapes(demand) ? grammarOf(automaton) : (regexOf(automaton) ?? grammarOf(automaton));
  if (text === null) throw new NoAutomaton();
  return text;
}

/** Throws NoAutomaton. */
export function isUnmeetable(demand: TextDemand): boolean {
  return isEmpty(automatonFor(demand));
}

/** Throws NoAutomaton. */
export function meets(text: string, demand: TextDemand): boolean {
  const length = [...text].length;
  if (length < demand.min || (demand.max !== null && length > demand.max)) return false;
  return demand.rules.every((rule) => {
    if ('notOneOf' in rule) return !rule.notOneOf.includes(text);
    const node = nodeOf(rule);
    const isMet = attempt(() => acceptsText(automatonOf(node, new Alphabet([node]), isWhole(rule, demand)), text));
    return isMet !== (rule.isNot === true);
  });
}

/** Whether an expression speaks of characters that JSON escapes: `[^a]` means them too, and nobody will miss them there. */
function needsEscapes({ rules }: TextDemand): boolean {
  return rules.some(
    (rule) =>
      'pattern' in rule && !rule.isNot && /"|\\\\|\\[tnr]/.test(rule.pattern.replace(/\[\^(?:[^\]\\]|\\.)*\]/g, '')),
  );
}

function automatonFor({ rules, min, max, whole }: TextDemand): Automaton {
  const nodes = rules.map((rule) => ('notOneOf' in rule ? lettersOf(rule.notOneOf) : nodeOf(rule)));
  const alphabet = new Alphabet([...nodes, { kind: 'set', set: ESCAPED }]);
  return attempt(() => {
    const all = rules.map((rule, index) => {
      if ('notOneOf' in rule) return complement(wordsAutomaton(alphabet, rule.notOneOf));
      const automaton = automatonOf(nodes[index] as RegexNode, alphabet, isWhole(rule, { whole }));
      return rule.isNot ? complement(automaton) : automaton;
    });
    if (min > 0 || max !== null) all.push(lengthAutomaton(alphabet, min, max));
    const [first = automatonOf(ANYTHING, alphabet, true), ...others] = all;
    const joined = others.reduce(intersection, first);
    return joined.next.length <= MAX_MINIMIZED ? minimal(joined) : joined;
  });
}

/** Every character of some words is told apart. */
function lettersOf(words: readonly string[]): RegexNode {
  const codes = new Set(words.flatMap((word) => [...word].map((char) => char.codePointAt(0) as number)));
  return { kind: 'choice', nodes: [...codes].map((code) => ({ kind: 'set', set: [[code, code]] })) };
}

function nodeOf(rule: Exclude<TextRule, { notOneOf: readonly string[] }>): RegexNode {
  const text = 'pattern' in rule ? rule.pattern : FORMATS[rule.format];
  const node = text === undefined ? null : parseRegex(text);
  if (node === null) throw new NoAutomaton();
  return node;
}

function isWhole(rule: TextRule, { whole }: { whole: boolean }): boolean {
  return 'pattern' in rule ? whole : true;
}

function attempt<T>(make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (error instanceof TooLarge) throw new NoAutomaton();
    throw error;
  }
}
