/** Reading the JSON files of a model directory: one-line errors, bounded size, typed fields. */
import { readFileSync, statSync } from 'node:fs';
import { fileError, modelInvalid, quote } from './model-error.js';

/** The tokenizer.json of the largest vocabularies is 35 MB. */
const MAX_BYTES = 256 << 20;

export type JsonObject = Record<string, unknown>;

/** Throws E_MODEL_NOT_FOUND, E_MODEL_INVALID or E_IO_FAILED. */
export function readJsonObject(path: string): JsonObject {
  const value = parseJson(readText(path), path);
  if (!isObject(value)) throw modelInvalid(path, 'expected a JSON object');
  return value;
}

/** As readJsonObject, or null where there is no such file. */
export function readOptionalJsonObject(path: string): JsonObject | null {
  return fileExists(path) ? readJsonObject(path) : null;
}

export function readText(path: string): string {
  try {
    const { size } = statSync(path);
    if (size > MAX_BYTES) throw modelInvalid(path, `${size} bytes is too long for a text file of a model`);
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'syscall' in error) throw fileError(path, error);
    throw error;
  }
}

export function fileExists(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}

export function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    // V8 quotes the text in its message, newlines included.
    const reason = (error as Error).message.replace(/\s+/g, ' ').slice(0, 120);
    throw modelInvalid(path, `not valid JSON: ${reason}`);
  }
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Typed fields of one JSON object; `null` counts as absent, as it does in Python's configs. */
export class JsonFields {
  constructor(
    private readonly object: JsonObject,
    readonly path: string,
    /** Prepended to a field's name in errors, `rope_scaling.` for one. */
    private readonly prefix = '',
  ) {}

  get(name: string): unknown {
    return Object.hasOwn(this.object, name) ? this.object[name] : undefined;
  }

  number(name: string): number | undefined {
    return this.typed(name, 'a number', (value) => typeof value === 'number') as number | undefined;
  }

  string(name: string): string | undefined {
    return this.typed(name, 'a string', (value) => typeof value === 'string') as string | undefined;
  }

  bool(name: string): boolean | undefined {
    return this.typed(name, 'true or false', (value) => typeof value === 'boolean') as boolean | undefined;
  }

  strings(name: string): string[] | undefined {
    const isStrings = (value: unknown) => Array.isArray(value) && value.every((item) => typeof item === 'string');
    return this.typed(name, 'a list of strings', isStrings) as string[] | undefined;
  }

  fields(name: string): JsonFields | undefined {
    const value = this.typed(name, 'an object', isObject) as JsonObject | undefined;
    return value && new JsonFields(value, this.path, `${this.prefix}${name}.`);
  }

  required<T>(name: string, value: T | undefined): T {
    if (value === undefined) throw modelInvalid(this.path, `${quote(this.prefix + name)} is missing`);
    return value;
  }

  private typed(name: string, expected: string, accepts: (value: unknown) => boolean): unknown {
    const value = this.get(name) ?? undefined;
    if (value === undefined || accepts(value)) return value;
    throw modelInvalid(this.path, `${quote(this.prefix + name)} is ${quote(value)}, expected ${expected}`);
  }
}
