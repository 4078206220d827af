/** A YAML file of ours or a user's, checked by a schema: every fault names file, key and what is expected. */
import { readFileSync, statSync } from 'node:fs';
import { parse } from 'yaml';
import type { z } from 'zod';
import { JsgError } from '../errors.js';

const MAX_BYTES = 256 * 2 ** 10;

/** Throws E_USAGE: of a file that cannot be read, is no YAML, or does not fit the schema. */
export function readYaml<T>(path: string, schemaFor: (value: unknown) => z.ZodType<T>): T {
  const value = parseText(textOf(path), path);
  const result = schemaFor(value).safeParse(value);
  if (result.success) return result.data;
  const faults = result.error.issues.flatMap((issue) => faultsOf(issue, value));
  throw new JsgError('E_USAGE', faults.map((fault) => `${path}: ${fault}`).join('\n     '));
}

function textOf(path: string): string {
  try {
    const stat = statSync(path);
    if (stat.isFile() && stat.size <= MAX_BYTES) return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new JsgError('E_USAGE', `${path}: cannot be read`, { cause });
  }
  throw new JsgError('E_USAGE', `${path}: not a file of at most ${MAX_BYTES / 1024} KiB`);
}

function parseText(text: string, path: string): unknown {
  try {
    return parse(text, { maxAliasCount: 16 });
  } catch (error) {
    throw new JsgError('E_USAGE', `${path}: ${(error as Error).message.split('\n')[0]}`);
  }
}

function faultsOf(issue: z.core.$ZodIssue, value: unknown): string[] {
  const key = issue.path.join('.') || 'the file';
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((name) => `${[...issue.path, name].join('.')}: unknown key`);
  }
  const given = issue.path.reduce<unknown>((at, name) => (at as Record<PropertyKey, unknown> | null)?.[name], value);
  if (given === undefined) return [`${key}: missing; expected ${issue.message}`];
  return [`${key}: ${JSON.stringify(given).slice(0, 80)}; expected ${issue.message}`];
}
