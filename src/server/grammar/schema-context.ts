/** What the parts of a schema's way to the grammar compiler share. */
import type { RequestError } from '../error-response.js';
import type { Schema, SchemaObject } from './schema-merge.js';

export type Path = readonly string[];

/** Whoever works on a whole schema, to those who work on what it says of one type of values. */
export interface SchemaContext {
  readonly strict: boolean;
  /** A schema inside the one at `path`, `depth` levels down. */
  schema(value: unknown, path: Path, depth: number): Schema;
  /** An error that names the place. */
  refuse(path: Path, message: string): RequestError;
}

/** The largest count that the compiler knows, and more than any answer has of anything. */
const COUNT_MAX = 2 ** 31 - 1;

export function copyCounts(
  context: SchemaContext,
  schema: SchemaObject,
  out: SchemaObject,
  keys: string[],
  path: Path,
): void {
  for (const key of keys) {
    const value = schema[key];
    if (value === undefined) continue;
    if (typeof value !== 'number' || value < 0 || !Number.isInteger(value)) {
      throw context.refuse(path, `"${key}" must be a whole number that is not negative`);
    }
    out[key] = Math.min(value, COUNT_MAX);
  }
}

export function stringList(context: SchemaContext, value: unknown, key: string, path: Path): string[] {
  // Draft 3 had true and false here, in the property itself.
  if (value === undefined || typeof value === 'boolean') return [];
  if (!Array.isArray(value) || value.some((each) => typeof each !== 'string')) {
    throw context.refuse(path, `"${key}" must be a list of strings`);
  }
  return value as string[];
}
