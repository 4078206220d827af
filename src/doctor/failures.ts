/**
 * Explains the log of a failed build or launch by the table of known failures. `explain` takes a text; an `Explainer` takes
 * a log as it comes, so that a supervised process can be explained the moment it fails.
 */
import { stripVTControlCharacters } from 'node:util';
import { requiredLiterals } from './failures-literal.js';
import { type Automaton, buildAutomaton, LineScanner } from './failures-scan.js';
import { type Failure, knownFailures } from './failures-table.js';

export interface Explanation {
  /** Id of the known failure. */
  finding: string;
  /** The line that tells it, without colours; a long one is cut around what tells. */
  line: string;
  /** From 1. */
  lineNumber: number;
  why: string;
  /** What mends it, with the commands to type. */
  fix: string;
}

const MAX_SHOWN_CHARS = 400;

/** Where an expression of the table stands; its literal sends a line to it. */
interface Place {
  regex: RegExp;
  failure: number;
  /** Null: the expression that takes the failure back. */
  pattern: number | null;
  part: number;
}

interface Compiled {
  automaton: Automaton;
  /** By literal of the automaton. */
  places: Place[];
}

const compiled = new WeakMap<Failure[], Compiled>();

function compile(failures: Failure[]): Compiled {
  const known = compiled.get(failures);
  if (known !== undefined) return known;
  const expressions = failures.flatMap(({ patterns, cleared }, failure): Place[] => [
    ...patterns.flatMap(({ parts }, pattern) => parts.map((regex, part) => ({ regex, failure, pattern, part }))),
    ...(cleared === undefined ? [] : [{ regex: cleared, failure, pattern: null, part: 0 }]),
  ]);
  const wanted = expressions.flatMap((place) =>
    requiredLiterals(place.regex.source).map((literal) => ({ literal, place })),
  );
  const result = {
    automaton: buildAutomaton(wanted.map(({ literal }) => literal)),
    places: wanted.map(({ place }) => place),
  };
  compiled.set(failures, result);
  return result;
}

interface Seen {
  line: string;
  lineNumber: number;
  groups: Record<string, string>;
}

export class Explainer {
  readonly #failures: Failure[];
  readonly #scanner: LineScanner;
  /** By failure: where it was found first. */
  readonly #matches = new Map<number, Seen>();
  /** By failure, pattern and part: where the part was seen last, for patterns of several parts. */
  readonly #parts = new Map<string, Seen>();

  constructor(failures: Failure[] = knownFailures()) {
    this.#failures = failures;
    const { automaton, places } = compile(failures);
    this.#scanner = new LineScanner(automaton, (bytes, lineNumber, literals) => {
      const line = stripVTControlCharacters(bytes.toString('utf8')).trimEnd();
      for (const literal of literals) this.#try(places[literal] as Place, line, lineNumber);
    });
  }

  /** Lines read so far. */
  get numLines(): number {
    return this.#scanner.numLines;
  }

  /** Takes a part of a log; it may end anywhere. */
  push(chunk: Buffer | string): void {
    this.#scanner.push(typeof chunk === 'string' ? Buffer.from(chunk) : chunk);
  }

  /** What is known of the log so far, what the rest comes from first; an unfinished line is taken as it is. */
  explanations(): Explanation[] {
    this.#scanner.end();
    const matched = [...this.#matches].flatMap(([index, seen]) => {
      const failure = this.#failures[index];
      return failure === undefined ? [] : [{ index, failure, seen }];
    });
    const replaced = new Set(matched.flatMap(({ failure }) => failure.replaces));
    matched.sort(
      (a, b) => b.failure.priority - a.failure.priority || a.seen.lineNumber - b.seen.lineNumber || a.index - b.index,
    );
    const byId = new Map<string, Explanation>();
    for (const { failure, seen } of matched) {
      if (!replaced.has(failure.id) && !byId.has(failure.id)) byId.set(failure.id, explanationOf(failure, seen));
    }
    return [...byId.values()];
  }

  #try({ regex, failure, pattern, part }: Place, line: string, lineNumber: number): void {
    if (pattern !== null && this.#matches.has(failure)) return;
    const found = regex.exec(line);
    if (found === null) return;
    if (pattern === null) {
      this.#forget(failure);
      return;
    }
    const seen = { line: excerpt(line, found.index), lineNumber, groups: groupsOf(found) };
    const { parts = [], withinLines = 0 } = this.#failures[failure]?.patterns[pattern] ?? {};
    if (parts.length === 1) {
      this.#matches.set(failure, seen);
      return;
    }
    this.#parts.set(`${failure} ${pattern} ${part}`, seen);
    const all = parts.flatMap((_, other) => this.#parts.get(`${failure} ${pattern} ${other}`) ?? []);
    const isNear = all.every((other) => lineNumber - other.lineNumber <= withinLines);
    const [first] = all;
    if (first === undefined || all.length < parts.length || !isNear) return;
    this.#matches.set(failure, { ...first, groups: Object.assign({}, ...all.map(({ groups }) => groups)) });
  }

  #forget(failure: number): void {
    this.#matches.delete(failure);
    for (const key of this.#parts.keys()) if (key.startsWith(`${failure} `)) this.#parts.delete(key);
  }
}

/** `log`: the whole text, or its lines. */
export function explain(log: string | Iterable<string>): Explanation[] {
  const explainer = new Explainer();
  if (typeof log === 'string') explainer.push(log);
  else for (const line of log) explainer.push(`${line}\n`);
  return explainer.explanations();
}

function explanationOf({ id, why, fix, defaults }: Failure, { line, lineNumber, groups }: Seen): Explanation {
  const fill = (text: string) =>
    text.replace(/\{(\w+)\}/g, (_, name: string) => groups[name] ?? defaults[name] ?? '').trim();
  // A placeholder that stands for nothing leaves two blanks.
  return { finding: id, line, lineNumber, why: fill(why).replace(/ {2,}/g, ' '), fix: fill(fix) };
}

function groupsOf(found: RegExpExecArray): Record<string, string> {
  return Object.fromEntries(Object.entries(found.groups ?? {}).filter(([, text]) => Boolean(text)));
}

/** The line, or the part of a long one around `at`. */
function excerpt(line: string, at: number): string {
  if (line.length <= MAX_SHOWN_CHARS) return line.trim();
  const start = Math.max(0, Math.min(at - 40, line.length - MAX_SHOWN_CHARS));
  return line.slice(start, start + MAX_SHOWN_CHARS).trim();
}
