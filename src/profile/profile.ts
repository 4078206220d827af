/** Profiles: YAML files of launch settings, checked key by key, each fault with its line. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, extname, join, resolve } from 'node:path';
import { isMap, isScalar, LineCounter, parseDocument, type YAMLMap } from 'yaml';
import type { z } from 'zod';
import { JsgError } from '../errors.js';
import { nearest } from '../nearest.js';
import { packageRoot } from '../version.js';
import { FLAGS, type FlagName, type GivenSettings } from './flags.js';
import { describeFault, PROFILE_KEYS, profileSchema, type Reference } from './schema.js';

export interface Profile {
  /** The file's name without `.yaml`. */
  name: string;
  path: string;
  description: string;
  reference: Reference | null;
  settings: GivenSettings;
}

const MAX_BYTES = 64 * 1024;

/** Where profiles are looked for by name; a user's own profile wins over a shipped one of the same name. */
export function profileDirectories(env: NodeJS.ProcessEnv = process.env): string[] {
  const config = env.XDG_CONFIG_HOME || join(homedir(), '.config');
  return [join(config, 'jsg', 'profiles'), join(packageRoot, 'profiles')];
}

const isYaml = (path: string) => ['.yaml', '.yml'].includes(extname(path));
const isFile = (path: string) => statSync(path, { throwIfNoEntry: false })?.isFile() === true;

/** Paths of every profile found by name, the winning one of each name, in order of name. */
export function listProfiles(directories = profileDirectories()): string[] {
  const found = new Map<string, string>();
  for (const directory of directories) {
    if (!statSync(directory, { throwIfNoEntry: false })?.isDirectory()) continue;
    for (const file of readdirSync(directory).filter(isYaml).sort()) {
      const name = basename(file, extname(file));
      if (!found.has(name)) found.set(name, join(directory, file));
    }
  }
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, path]) => path);
}

/** The file that a name or a path means; throws E_PROFILE_NOT_FOUND with the nearest name. */
export function findProfile(nameOrPath: string, directories = profileDirectories()): string {
  if (nameOrPath.includes('/') || isYaml(nameOrPath)) {
    const path = resolve(nameOrPath);
    if (isFile(path)) return path;
    throw new JsgError('E_PROFILE_NOT_FOUND', `no profile file ${path}`);
  }
  const paths = listProfiles(directories);
  const names = paths.map((path) => basename(path, extname(path)));
  const path = paths[names.indexOf(nameOrPath)];
  if (path !== undefined) return path;
  const near = nearest(nameOrPath, names);
  throw new JsgError('E_PROFILE_NOT_FOUND', `no profile '${nameOrPath}'; there are ${names.join(', ')}`, {
    hint: near === null ? 'See `jsg profiles list`.' : `Did you mean ${near}?`,
  });
}

export function loadProfile(nameOrPath: string, directories = profileDirectories()): Profile {
  const path = findProfile(nameOrPath, directories);
  if (statSync(path).size > MAX_BYTES) {
    throw new JsgError('E_PROFILE_INVALID', `${path}: larger than the ${MAX_BYTES / 1024} KiB a profile may have`);
  }
  return parseProfile(readFileSync(path, 'utf8'), path);
}

/** Checks a profile's text; throws E_PROFILE_INVALID whose message has a `path:line: fault` for each fault. */
export function parseProfile(text: string, path: string): Profile {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const at = (offset: number) => `${path}:${lines.linePos(offset).line}`;
  const syntax = document.errors[0];
  if (syntax) throw new JsgError('E_PROFILE_INVALID', `${at(syntax.pos[0])}: ${syntax.message}`);
  if (!isMap(document.contents)) {
    throw new JsgError('E_PROFILE_INVALID', `${path}:1: a profile is a mapping of keys to values`, {
      hint: 'See `jsg profiles show smollm2` for one.',
    });
  }
  const plain = toPlain(document, path);
  const result = profileSchema.safeParse(plain);
  if (!result.success) {
    const contents = document.contents;
    const faults = result.error.issues.flatMap((issue) =>
      describeIssue(issue, plain).map(({ keys, fault }) => `${at(offsetOf(contents, keys))}: ${fault}`),
    );
    throw new JsgError('E_PROFILE_INVALID', faults.join('\n     '), { hint: 'See `jsg launch --help` for every key.' });
  }
  const { description, reference, ...settings } = result.data;
  return { name: basename(path, extname(path)), path, description, reference: reference ?? null, settings };
}

/** Aliases are expanded a bounded number of times (the "billion laughs" file). */
function toPlain(document: ReturnType<typeof parseDocument>, path: string): unknown {
  try {
    return document.toJS({ maxAliasCount: 16 });
  } catch (error) {
    throw new JsgError('E_PROFILE_INVALID', `${path}:1: ${(error as Error).message}`);
  }
}

interface Fault {
  keys: PropertyKey[];
  fault: string;
}

function describeIssue(issue: z.core.$ZodIssue, plain: unknown): Fault[] {
  const key = issue.path.join('.');
  if (issue.code === 'unrecognized_keys') {
    const known = issue.path.length === 0 ? PROFILE_KEYS : ['board', 'gen_throughput', 'source'];
    return issue.keys.map((unknown) => {
      const near = nearest(unknown, known);
      const advice = near === null ? `known keys: ${known.join(', ')}` : `did you mean '${near}'?`;
      return {
        keys: [...issue.path, unknown],
        fault: `unknown key '${[...issue.path, unknown].join('.')}': ${advice}`,
      };
    });
  }
  const value = issue.path.reduce<unknown>(
    (at, name) => (at as Record<PropertyKey, unknown> | undefined)?.[name],
    plain,
  );
  if (value === undefined) return [{ keys: issue.path, fault: `'${key}' is missing` }];
  const shown = isFlagName(key) && 'secret' in FLAGS[key] ? 'the value' : JSON.stringify(value);
  const fault = isFlagName(key) ? describeFault(key, shown) : `${shown} is not ${REFERENCE_VALUES[key] ?? 'some text'}`;
  return [{ keys: issue.path, fault: `'${key}': ${fault}` }];
}

const REFERENCE_VALUES: Record<string, string> = {
  reference: 'a mapping of board, gen_throughput and source',
  'reference.gen_throughput': 'a number above 0',
};

/** Offset of the key that a fault is about; of the innermost key around it where it is missing. */
function offsetOf(map: YAMLMap, keys: PropertyKey[], around = 0): number {
  const [key, ...rest] = keys;
  const pair = map.items.find((item) => isScalar(item.key) && String(item.key.value) === String(key));
  if (pair === undefined || !isScalar(pair.key)) return around;
  const offset = pair.key.range?.[0] ?? around;
  return rest.length > 0 && isMap(pair.value) ? offsetOf(pair.value, rest, offset) : offset;
}

/** Whether a name is a flag (profiles hold two keys more). */
export function isFlagName(name: string): name is FlagName {
  return Object.hasOwn(FLAGS, name);
}
