/**
 * A JSON schema as the grammar compiler takes it. XGrammar reads one keyword of `$ref`, `enum`, `anyOf`, `allOf` and the
 * like, and passes over what stands beside it; here all of it is put together first (references resolved, `allOf`
 * merged, `anyOf` distributed), older drafts are brought up to date, and what cannot be enforced is refused by name.
 */

import { RequestError } from '../error-response.js';
import { isObject } from '../json-value.js';
import { LIMITS } from '../limits.js';
import type { Path, SchemaContext } from './schema-context.js';
import { endlessDefinitions, pointedAt } from './schema-finite.js';
import { ALL_TYPES, LOGIC, REST, TYPE_KEYWORDS, UNSUPPORTED } from './schema-keywords.js';
import { assertionsOf, mergeSchemas, NotMergeable, type Schema, type SchemaObject, valuesOf } from './schema-merge.js';
import { impliedBy, NotNegatable, negate } from './schema-negation.js';
import { OverlapFinder } from './schema-overlap.js';
import { normalizeOfType } from './schema-types.js';
import { acceptsValue, holdsInfinity } from './schema-values.js';
import { work } from './text/work.js';
import { withinWork } from './work-limit.js';

export interface NormalizeOptions {
  /**
   * Objects and lists hold nothing that the schema does not name, a schema without a type means the type of its keywords,
   * and a pattern is all of its string. False: as the specification has it.
   */
  strict: boolean;
  /** The field that holds the schema. */
  param: string;
}

/** Schemas that one may come to, once references are resolved and options multiplied. */
const MAX_NODES = 20_000;
/** Of work, beside that on its expressions. */
const STEPS_PER_SCHEMA = 200;

/** Throws E_GRAMMAR_INVALID naming keyword and place, or E_GRAMMAR_LIMIT. */
export function normalizeSchema(schema: unknown, options: NormalizeOptions): Schema {
  if (typeof schema !== 'boolean' && !isObject(schema)) {
    throw invalid(options.param, 'must be a JSON schema: an object, true or false');
  }
  const bytes = Buffer.byteLength(JSON.stringify(schema));
  if (bytes > LIMITS.schemaBytes) throw limit(options.param, `must be at most ${LIMITS.schemaBytes} bytes long`);
  if (holdsInfinity(schema)) throw invalid(options.param, 'holds a number that is too large');
  return withinWork(options.param, () => new Normalizer(schema, options).run());
}

function invalid(param: string, message: string): RequestError {
  return new RequestError(`${param}: ${message}`, { param, code: 'E_GRAMMAR_INVALID' });
}

function limit(param: string, message: string): RequestError {
  return new RequestError(`${param}: ${message}`, { param, code: 'E_GRAMMAR_LIMIT' });
}

class Normalizer implements SchemaContext {
  readonly strict: boolean;
  /** By the pointer that references give; filled while they are worked on, so that a schema may contain itself. */
  readonly #names = new Map<string, string>();
  readonly #definitions: Record<string, Schema> = {};
  /** Names of definitions that accept everything or nothing. */
  readonly #constants = new Map<string, boolean>();
  /** In drafts before 2019-09, what stands beside a `$ref` is not looked at. */
  readonly #refStandsAlone: boolean;
  #nodes = 0;
  readonly #overlaps = new OverlapFinder({
    flatten: (schema) => this.#flatten(schema as Schema, [], 0),
    merge: (a, b) => this.#merge(a, b, []),
    accepts: (value, schema) => acceptsValue(this, value, schema, []),
  });

  constructor(
    private readonly root: Schema,
    private readonly options: NormalizeOptions,
  ) {
    this.strict = options.strict;
    const draft = isObject(root) && typeof root.$schema === 'string' ? root.$schema : '';
    this.#refStandsAlone = /draft-0[3-7]/.test(draft);
  }

  run(): Schema {
    const schema = this.schema(this.root, [], 0);
    if (schema === false) throw invalid(this.options.param, 'no value satisfies this schema');
    const pointed = pointedAt([schema, this.#definitions]);
    for (const name of Object.keys(this.#definitions)) if (!pointed.has(name)) delete this.#definitions[name];
    const [endless] = endlessDefinitions(this.#definitions);
    if (endless !== undefined) {
      const pointer = [...this.#names].find(([, name]) => name === endless)?.[0];
      throw invalid(this.options.param, `the "$ref" ${pointer} asks for itself without end: no value satisfies it`);
    }
    if (Object.keys(this.#definitions).length === 0) return schema;
    return { ...(schema === true ? {} : schema), $defs: this.#definitions };
  }

  /** `path`: to the schema, for messages. */
  schema(value: unknown, path: Path, depth: number): Schema {
    if (typeof value === 'boolean') return value;
    if (!isObject(value)) throw this.refuse(path, 'must be a schema: an object, true or false');
    if (depth > LIMITS.schemaDepth)
      throw limit(this.options.param, `is nested deeper than ${LIMITS.schemaDepth} levels`);
    if (++this.#nodes > MAX_NODES)
      throw limit(this.options.param, 'comes to too many schemas once its parts are combined');
    this.#checkKeywords(value, path);
    const own = assertionsOf(value);
    const isBare = Object.keys(own).length === 1 && !LOGIC.some((key) => value[key] !== undefined);
    if (typeof own.$ref === 'string' && (this.#refStandsAlone || isBare)) return this.#reference(own.$ref, path);
    const flat = this.#flatten(value, path, 0);
    if (typeof flat === 'boolean') return flat;
    return this.#lower(flat, path, depth);
  }

  refuse(path: Path, message: string): RequestError {
    const place = path.length === 0 ? '' : ` at ${path.join('.').slice(0, 200)}`;
    return invalid(this.options.param, `${message}${place}`);
  }

  /** Neither `$ref` nor `allOf` is left in it. */
  #flatten(schema: Schema, path: Path, hops: number): Schema {
    if (typeof schema === 'boolean') return schema;
    if (hops > LIMITS.schemaDepth) throw this.refuse(path, 'the "$ref" leads back to itself');
    work(STEPS_PER_SCHEMA);
    if (++this.#nodes > MAX_NODES)
      throw limit(this.options.param, 'comes to too many schemas once its parts are combined');
    this.#checkKeywords(schema, path);
    const { $ref, allOf, ...rest } = assertionsOf(schema);
    let out: Schema = this.#refStandsAlone && $ref !== undefined ? {} : rest;
    const parts: unknown[] = [];
    if (typeof $ref === 'string') parts.push(this.#resolve($ref, path));
    if (allOf !== undefined && !(this.#refStandsAlone && $ref !== undefined)) {
      if (!Array.isArray(allOf)) throw this.refuse(path, '"allOf" must be a list');
      parts.push(...allOf);
    }
    if (!(this.#refStandsAlone && $ref !== undefined)) parts.push(...this.#implied(schema, path));
    for (const part of parts) {
      if (typeof part !== 'boolean' && !isObject(part)) throw this.refuse(path, '"allOf" must be a list of schemas');
      out = this.#merge(out, this.#flatten(part, path, hops + 1), path);
    }
    return out;
  }

  #implied(schema: SchemaObject, path: Path): Schema[] {
    try {
      return impliedBy(schema, (pointer) => this.#resolve(pointer, path));
    } catch (error) {
      if (error instanceof NotNegatable) throw this.refuse(path, `the schema keyword ${why(error, schema)}`);
      throw error;
    }
  }

  #merge(a: Schema, b: Schema, path: Path): Schema {
    for (const each of [a, b]) if (isObject(each)) for (const key in each) work(sizeOf(each[key]));
    try {
      return mergeSchemas(a, b);
    } catch (error) {
      if (error instanceof NotMergeable) throw this.refuse(path, error.message);
      throw error;
    }
  }

  /** Options, values and types, of which XGrammar takes the first it finds. */
  #lower(schema: SchemaObject, path: Path, depth: number): Schema {
    for (const key of ['anyOf', 'oneOf', REST.some] as const) {
      if (schema[key] === undefined) continue;
      const { [key]: options, ...base } = schema;
      if (!Array.isArray(options) || options.length === 0)
        throw this.refuse(path, `"${key}" must be a list that is not empty`);
      return this.#options(key, options, base, path, depth);
    }
    if (schema[REST.unsaid] !== undefined) {
      throw this.refuse(
        path,
        `the schema keyword "${schema[REST.unsaid]}" is not supported where its opposite is asked for,`,
      );
    }
    const values = valuesOf(schema);
    if (values !== null) return this.#values(values, schema, path);
    const types = this.#types(schema, path);
    if (types.length === 0) return {};
    const each = types.map((type) => normalizeOfType(this, type, schema, path, depth)).filter((one) => one !== false);
    if (each.length <= 1) return each[0] ?? false;
    return { anyOf: each };
  }

  #options(key: string, options: unknown[], base: SchemaObject, path: Path, depth: number): Schema {
    const lower = (option: unknown, index: number): Schema => {
      const at = key === REST.some ? path : [...path, key, String(index)];
      const others = key === 'oneOf' ? this.#overlapping(options, index, base, at) : [];
      if (Object.keys(base).length === 0 && others.length === 0) return this.schema(option, at, depth + 1);
      if (typeof option !== 'boolean' && !isObject(option)) throw this.refuse(at, 'must be a schema');
      const alone = others.reduce<Schema>((out, other) => this.#merge(out, this.#flatten(other, at, 0), at), option);
      return this.schema(this.#merge(base, this.#flatten(alone, at, 0), at), at, depth + 1);
    };
    const lowered = key === REST.some ? firstOf(options, lower) : options.map(lower);
    const left = lowered.filter((option) => option !== false);
    return left.length <= 1 ? (left[0] ?? false) : { anyOf: left };
  }

  /** The opposites of the other options of a `oneOf` that a value of this one may satisfy. */
  #overlapping(options: unknown[], index: number, base: SchemaObject, path: Path): Schema[] {
    const own = { allOf: [base, options[index]] };
    const others = options.filter((other, at) => at !== index && !this.#overlaps.areDisjoint(own, other));
    try {
      return others.map((other) => negate(other, (pointer) => this.#resolve(pointer, path)));
    } catch (error) {
      if (!(error instanceof NotNegatable)) throw error;
      throw this.refuse(
        path,
        `the schema keyword "oneOf" is not supported for options that overlap here: ${error.message}`,
      );
    }
  }

  #values(values: unknown[], schema: SchemaObject, path: Path): Schema {
    const kept = values.filter((value) => acceptsValue(this, value, schema, path));
    return kept.length > 0 && { enum: kept };
  }

  /** Empty: any. `integer` beside `number` says nothing. */
  #types(schema: SchemaObject, path: Path): string[] {
    const { type } = schema;
    if (type !== undefined) {
      const types = [type].flat();
      const known = [...ALL_TYPES, 'integer'] as unknown[];
      const wrong = types.find((each) => !known.includes(each));
      if (wrong !== undefined || types.length === 0)
        throw this.refuse(path, `"type" must be one of ${known.join(', ')}`);
      return (types as string[]).filter((each) => each !== 'integer' || !types.includes('number'));
    }
    const spoken = Object.keys(TYPE_KEYWORDS).filter((each) =>
      TYPE_KEYWORDS[each]?.some((key) => Object.hasOwn(schema, key)),
    );
    if (schema[REST.notOneOf] !== undefined) return [...ALL_TYPES];
    if (spoken.length === 0) return [];
    return this.strict ? spoken : [...ALL_TYPES];
  }

  #reference(pointer: string, path: Path): Schema {
    const known = this.#names.get(pointer);
    if (known !== undefined) return this.#constants.get(known) ?? { $ref: `#/$defs/${known}` };
    const target = this.#resolve(pointer, path);
    const name = `r${this.#names.size}`;
    this.#names.set(pointer, name);
    // Where a chain of references ends in nothing but itself, there is no value.
    if (isObject(target) && target.$ref === pointer)
      throw this.refuse(path, `the "$ref" ${pointer} leads back to itself`);
    const schema = this.schema(target, [pointer], 0);
    if (typeof schema === 'boolean') this.#constants.set(name, schema);
    // Inside itself it has been pointed to already.
    this.#definitions[name] = schema === true ? {} : schema;
    return this.#constants.get(name) ?? { $ref: `#/$defs/${name}` };
  }

  #resolve(pointer: string, path: Path): Schema {
    if (pointer !== '#' && !pointer.startsWith('#/')) {
      throw this.refuse(
        path,
        `"$ref" is only supported within the schema ("#/..."), not ${JSON.stringify(pointer.slice(0, 100))}`,
      );
    }
    let at: unknown = this.root;
    for (const part of pointer.split('/').slice(1)) {
      const key = unescapePart(part);
      at = (isObject(at) || Array.isArray(at)) && Object.hasOwn(at, key) ? (at as SchemaObject)[key] : undefined;
    }
    if (typeof at === 'boolean' || isObject(at)) return at;
    throw this.refuse(path, `the "$ref" ${JSON.stringify(pointer.slice(0, 100))} leads nowhere`);
  }

  #checkKeywords(schema: SchemaObject, path: Path): void {
    for (const [key, value] of Object.entries(schema)) {
      if (!Object.hasOwn(UNSUPPORTED, key) || !UNSUPPORTED[key]?.(value, schema)) continue;
      throw this.refuse(path, `the schema keyword "${key}" is not supported`);
    }
  }
}

/** What comes of those that are supported. Throws the RequestError of one where none is left. */
function firstOf(options: unknown[], lower: (option: unknown, index: number) => Schema): Schema[] {
  let missing = null as RequestError | null;
  const lowered = options.map((option, index) => {
    try {
      return lower(option, index);
    } catch (error) {
      if (!(error instanceof RequestError) || error.code !== 'E_GRAMMAR_INVALID') throw error;
      missing = error;
      return false;
    }
  });
  if (missing !== null && !lowered.some((each) => each !== false)) throw missing;
  return lowered;
}

/** Steps that merging a keyword takes: more for long lists. */
function sizeOf(value: unknown): number {
  return typeof value === 'object' && value !== null ? 20 * (1 + Object.keys(value).length) : 20;
}

/** Which keyword asks for the opposite, and of what. */
function why(error: NotNegatable, schema: SchemaObject): string {
  const asking = LOGIC.find((key) => schema[key] !== undefined);
  return `"${asking}" is not supported here: ${error.message}`;
}

function unescapePart(part: string): string {
  let decoded = part;
  try {
    decoded = decodeURIComponent(part);
  } catch {
    // as it stands
  }
  return decoded.replaceAll('~1', '/').replaceAll('~0', '~');
}
