/** Known failures of builds and launches: YAML files, one a topic, checked key by key. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { JsgError } from '../errors.js';
import { packageRoot } from '../version.js';
import { requiredLiterals } from './failures-literal.js';

/** Shorter literals stand in too many lines. */
const MIN_LITERAL = 4;
/** How far apart the lines of one failure may lie where it does not say. */
const DEFAULT_WITHIN_LINES = 40;

/** A regular expression, on one line of a log, that no long line can make slow. */
const expression = z.string().transform((source, context) => {
  const fault = faultOf(source);
  if (fault === null) return new RegExp(source, 'i');
  context.addIssue({ code: 'custom', message: `${fault}: ${source}` });
  return z.NEVER;
});

function faultOf(source: string): string | null {
  try {
    new RegExp(source, 'i');
  } catch (error) {
    return (error as Error).message;
  }
  if (requiredLiterals(source).some((literal) => literal.length < MIN_LITERAL)) {
    return `each alternative must hold ${MIN_LITERAL} plain characters outside groups`;
  }
  const atoms = source.replace(/\\[SwWD]|\[(?:\\.|[^\]\\])*\]|\)/g, '.').replace(/\\./g, 'x');
  if (/\.[*+]|\{\d+,\}/.test(atoms)) return 'repeat with a bound, as in .{0,80}';
  return null;
}

/** Expressions that must all match, in any order, on lines not far apart; the line of the first is the one shown. */
const patternSchema = z.preprocess(
  (entry) => (typeof entry === 'string' ? { all: [entry] } : entry),
  z
    .strictObject({ all: z.array(expression).min(1), within: z.number().int().min(0).default(DEFAULT_WITHIN_LINES) })
    .transform(({ all, within }) => ({ parts: all, withinLines: within })),
);

const failureSchema = z
  .strictObject({
    id: z.string().regex(/^[a-z0-9]+(-[a-z0-9]+)*$/),
    /** 100: what everything after it comes from; 50: a fault of its own; 10: a consequence of something else. */
    priority: z.number().int().min(0).max(100),
    patterns: z.array(patternSchema).min(1),
    /** A later line that says that it came right after all. */
    cleared: expression.optional(),
    /** Findings that this one says more exactly: left out beside it. */
    replaces: z.array(z.string()).default([]),
    why: z.string(),
    fix: z.string(),
    /** What a `{name}` in `why` and `fix` stands for where the pattern captured no group of that name. */
    defaults: z.record(z.string(), z.string()).default({}),
    sources: z.array(z.string()).default([]),
  })
  .superRefine((failure, context) => {
    for (const [, name = ''] of `${failure.why} ${failure.fix}`.matchAll(/\{(\w+)\}/g)) {
      if (failure.defaults[name] === undefined) {
        context.addIssue({ code: 'custom', message: `{${name}} has no default` });
      }
    }
  });

export type Failure = z.infer<typeof failureSchema>;
export type Pattern = Failure['patterns'][number];

const defaultDirectory = join(packageRoot, 'failures');
const loaded = new Map<string, Failure[]>();

/** All failures, in the order of files and entries. Throws E_INTERNAL when a file is not as it must be. */
export function knownFailures(directory = defaultDirectory): Failure[] {
  const known = loaded.get(directory);
  if (known !== undefined) return known;
  const files = readdirSync(directory).filter((name) => name.endsWith('.yaml'));
  const failures = files.sort().flatMap((name) => parseFailures(readFileSync(join(directory, name), 'utf8'), name));
  loaded.set(directory, failures);
  return failures;
}

/** `name`: the file's, for messages. */
export function parseFailures(text: string, name: string): Failure[] {
  const entries: unknown = parse(text);
  const result = z.array(failureSchema).safeParse(entries);
  if (result.success) return result.data;
  const faults = result.error.issues.map(({ path, message }) => {
    const entry = Array.isArray(entries) ? entries[Number(path[0])] : null;
    return `${name}: ${entry?.id ?? path[0]}: ${path.slice(1).join('.')}: ${message}`;
  });
  throw new JsgError('E_INTERNAL', faults.join('\n'));
}
