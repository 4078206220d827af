/**
 * Explains the log of a failed build or launch by the table of known failures. `explain` takes a text; an `Explainer` takes
 * a log as it comes, so that a supervised process can be explained the moment it fails.
 */
import { stripVTControlCharacters } from 'node:util';
import { requiredLiterals } from './failures-literal.js';
import { LineScanner } from './failures-scan.js';
import { type Failure, knownFailures, type Pattern } from './failures-table.js';

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

interface Seen {
  line: string;
  lineNumber: number;
  groups: Record<string, string>;
}

/** One expression of a pattern, and where it was last seen. */
interface Part {
  regex: RegExp;
  seen: Seen | null;
}

interface Watched {
  failure: Failure;
  patterns: { parts: Part[]; withinLines: number }[];
  match: Seen | null;
}

export class Explainer {
  readonly #watched: Watched[];
  readonly #scanner: LineScanner;

  constructor(failures: Failure[] = knownFailures()) {
    this.#watched = failures.map(watch);
    const literals: string[] = [];
    const tests: ((line: string, lineNumber: number) => void)[] = [];
    const on = (regex: RegExp, test: (line: string, lineNumber: number) => void) => {
      for (const literal of requiredLiterals(regex.source)) {
        literals.push(literal);
        tests.push(test);
      }
    };
    for (const watched of this.#watched) {
      for (const pattern of watched.patterns) {
        for (const part of pattern.parts) on(part.regex, (line, number) => test(watched, pattern, part, line, number));
      }
      const { cleared } = watched.failure;
      if (cleared) on(cleared, (line) => cleared.test(line) && clear(watched));
    }
    this.#scanner = new LineScanner(literals, (bytes, lineNumber, hits) => {
      const line = stripVTControlCharacters(bytes.toString('utf8')).trimEnd();
      for (const hit of hits) tests[hit]?.(line, lineNumber);
    });
  }

  /** Lines read so far. */
  get numLines(): number {
    return this.#scanner.lineNumber;
  }

  /** Takes a part of a log; it may end anywhere. */
  push(chunk: Buffer | string): void {
    this.#scanner.push(typeof chunk === 'string' ? Buffer.from(chunk) : chunk);
  }

  /** What is known of the log so far, what the rest comes from first; an unfinished line is taken as it is. */
  explanations(): Explanation[] {
    this.#scanner.end();
    const matched = this.#watched.filter(({ match }) => match !== null);
    const replaced = new Set(matched.flatMap(({ failure }) => failure.replaces));
    matched.sort((a, b) => b.failure.priority - a.failure.priority || lineOf(a) - lineOf(b));
    const byId = new Map<string, Explanation>();
    for (const { failure, match } of matched) {
      if (match === null || replaced.has(failure.id) || byId.has(failure.id)) continue;
      const { line, lineNumber, groups } = match;
      const fill = (text: string) =>
        text.replace(/\{(\w+)\}/g, (_, name: string) => groups[name] ?? failure.defaults[name] ?? '').trim();
      byId.set(failure.id, { finding: failure.id, line, lineNumber, why: fill(failure.why), fix: fill(failure.fix) });
    }
    return [...byId.values()];
  }
}

/** `log`: the whole text, or its lines. */
export function explain(log: string | Iterable<string>): Explanation[] {
  const explainer = new Explainer();
  if (typeof log === 'string') explainer.push(log);
  else for (const line of log) explainer.push(`${line}\n`);
  return explainer.explanations();
}

function watch(failure: Failure): Watched {
  const patterns = failure.patterns.map(({ parts, withinLines }: Pattern) => ({
    parts: parts.map((regex) => ({ regex, seen: null })),
    withinLines,
  }));
  return { failure, patterns, match: null };
}

const lineOf = ({ match }: Watched) => match?.lineNumber ?? 0;

function test(watched: Watched, pattern: Watched['patterns'][number], part: Part, line: string, lineNumber: number) {
  if (watched.match !== null) return;
  const found = part.regex.exec(line);
  if (found === null) return;
  part.seen = { line: excerpt(line, found.index), lineNumber, groups: groupsOf(found) };
  const seen = pattern.parts.map((other) => other.seen);
  if (!seen.every((other) => other !== null)) return;
  const numbers = seen.map((other) => other.lineNumber);
  if (Math.max(...numbers) - Math.min(...numbers) > pattern.withinLines) return;
  const groups = Object.assign({}, ...seen.map((other) => other.groups)) as Record<string, string>;
  watched.match = { ...(seen[0] as Seen), groups };
}

function clear(watched: Watched): void {
  watched.match = null;
  for (const { parts } of watched.patterns) for (const part of parts) part.seen = null;
}

function groupsOf(found: RegExpExecArray): Record<string, string> {
  const named = Object.entries(found.groups ?? {}).filter(([, text]) => text !== undefined && text !== '');
  return Object.fromEntries(named) as Record<string, string>;
}

/** The line, or the part of a long one around `at`. */
function excerpt(line: string, at: number): string {
  if (line.length <= MAX_SHOWN_CHARS) return line.trim();
  const start = Math.max(0, Math.min(at - 40, line.length - MAX_SHOWN_CHARS));
  return line.slice(start, start + MAX_SHOWN_CHARS).trim();
}
