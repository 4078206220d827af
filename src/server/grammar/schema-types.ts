/** What a schema says of one type of values, in the words of the grammar compiler. */
import { isDeepStrictEqual } from 'node:util';
import { isObject, type Normalizer } from './json-schema.js';
import { TYPE_KEYWORDS } from './schema-keywords.js';
import type { Schema, SchemaObject } from './schema-merge.js';

type Path = readonly string[];

/** The schema for values of `type` alone; false where there are none. */
export function normalizeOfType(
  context: Normalizer,
  type: string,
  schema: SchemaObject,
  path: Path,
  depth: number,
): Schema {
  switch (type) {
    case 'object':
      return objectSchema(context, schema, path, depth);
    case 'array':
      return arraySchema(context, schema, path, depth);
    case 'string':
      return stringSchema(context, schema, path);
    case 'number':
    case 'integer':
      return numberSchema(context, type, schema, path);
    default:
      return { type };
  }
}

function objectSchema(context: Normalizer, given: SchemaObject, path: Path, depth: number): Schema {
  const schema = given.patternProperties === undefined ? given : settlePatterns(context, given, path);
  const out: SchemaObject = { type: 'object' };
  const sub = (key: string) => context.schema(schema[key], [...path, key], depth + 1);
  const map = (key: string) => {
    const value = schema[key];
    if (!isObject(value)) throw context.refuse(path, `"${key}" must be an object`);
    return context.children(value, [...path, key], depth);
  };
  const required = new Set(stringList(context, schema.required, 'required', path));
  const rest = schema.additionalProperties ?? schema.unevaluatedProperties;
  const restKey = schema.additionalProperties === undefined ? 'unevaluatedProperties' : 'additionalProperties';
  const closed = rest === false || (rest === undefined && context.strict && schema.patternProperties === undefined);
  const properties = schema.properties === undefined ? {} : map('properties');
  for (const [name, property] of Object.entries(properties)) {
    if (property !== false) continue;
    if (required.has(name)) return false;
    if (!closed)
      throw context.refuse(
        [...path, 'properties', name],
        'a property that may not be there (false) is only supported with "additionalProperties": false',
      );
    delete properties[name];
  }
  if (schema.patternProperties !== undefined) out.patternProperties = map('patternProperties');
  const additional = rest === undefined ? undefined : sub(restKey);
  for (const name of required) {
    if (Object.hasOwn(properties, name) || schema.patternProperties !== undefined) continue;
    if (rest === false) return false;
    properties[name] = additional ?? true;
  }
  if (Object.keys(properties).length > 0) out.properties = properties;
  if (required.size > 0) out.required = [...required];
  if (additional !== undefined) out.additionalProperties = additional;
  if (schema.propertyNames !== undefined && schema.propertyNames !== true) out.propertyNames = sub('propertyNames');
  copyCounts(context, schema, out, ['minProperties', 'maxProperties'], path);
  return out;
}

/** A pattern that every name matches. */
const MATCHES_ALL = /^\^?(\.\*)?\$?$/;
/** Repetitions of repetitions, which take a backtracking engine for ever. */
const NESTED = /\)[*+?{]/;

/**
 * The compiler gives a property the first schema that its name leads to; the specification gives it all. Patterns that
 * every name matches become `additionalProperties`; named properties get those of the patterns they match; and beside
 * patterns there are no additional ones, which could match them.
 */
function settlePatterns(context: Normalizer, schema: SchemaObject, path: Path): SchemaObject {
  const patterns = schema.patternProperties;
  if (!isObject(patterns)) throw context.refuse(path, '"patternProperties" must be an object');
  const { patternProperties: _, ...out } = schema;
  const properties: SchemaObject = isObject(schema.properties) ? { ...schema.properties } : {};
  const kept: SchemaObject = {};
  for (const [pattern, value] of Object.entries(patterns)) {
    if (MATCHES_ALL.test(pattern)) out.additionalProperties = both(out.additionalProperties ?? true, value);
    else kept[pattern] = value;
    for (const name of Object.keys(properties)) {
      if (matches(context, pattern, name, path)) properties[name] = both(properties[name], value);
    }
  }
  if (Object.keys(properties).length > 0) out.properties = properties;
  if (Object.keys(kept).length === 0) return out;
  return { ...out, patternProperties: kept, additionalProperties: false };
}

function both(a: unknown, b: unknown): unknown {
  return a === true ? b : b === true ? a : { allOf: [a, b] };
}

function matches(context: Normalizer, pattern: string, name: string, path: Path): boolean {
  if (MATCHES_ALL.test(pattern)) return true;
  if (NESTED.test(pattern)) {
    throw context.refuse(path, 'repeated groups in "patternProperties" beside "properties" are not supported');
  }
  try {
    return new RegExp(pattern, 'u').test(name);
  } catch {
    throw context.refuse(path, `the pattern ${JSON.stringify(pattern.slice(0, 100))} is no regular expression`);
  }
}

function arraySchema(context: Normalizer, schema: SchemaObject, path: Path, depth: number): Schema {
  const out: SchemaObject = { type: 'array' };
  // Before 2020-12 a list of `items` was what `prefixItems` is, and `additionalItems` the rest.
  const isTuple = Array.isArray(schema.items);
  const prefix = schema.prefixItems ?? (isTuple ? schema.items : undefined);
  const rest = (isTuple ? schema.additionalItems : schema.items) ?? schema.unevaluatedItems;
  if (prefix !== undefined) {
    if (!Array.isArray(prefix)) throw context.refuse(path, '"prefixItems" must be a list');
    const items = prefix.map((item, index) => context.schema(item, [...path, 'prefixItems', String(index)], depth + 1));
    if (items.length > 0) out.prefixItems = items;
  }
  if (rest !== undefined) out.items = context.schema(rest, [...path, 'items'], depth + 1);
  // A list of anything is no list of nothing.
  else if (context.strict && prefix === undefined) out.items = true;
  copyCounts(context, schema, out, ['minItems', 'maxItems'], path);
  return out;
}

function stringSchema(context: Normalizer, schema: SchemaObject, path: Path): Schema {
  const out: SchemaObject = { type: 'string' };
  copyCounts(context, schema, out, ['minLength', 'maxLength'], path);
  if (out.minLength === 0) delete out.minLength;
  for (const key of ['pattern', 'format'] as const) {
    if (schema[key] === undefined) continue;
    if (typeof schema[key] !== 'string') throw context.refuse(path, `"${key}" must be a string`);
    out[key] = schema[key];
  }
  if (typeof out.pattern !== 'string') return out;
  const counted = withLengths(out.pattern, out.minLength as number | undefined, out.maxLength as number | undefined);
  if (counted !== null) {
    delete out.minLength;
    delete out.maxLength;
    out.pattern = counted;
  }
  if (!context.strict) out.pattern = anchored(out.pattern as string);
  return out;
}

/** `^[a-z]+$` with lengths is `^[a-z]{min,max}$`; null: no lengths, or another kind of pattern. */
function withLengths(pattern: string, min: number | undefined, max: number | undefined): string | null {
  if (min === undefined && max === undefined) return null;
  const [, set, times] = /^\^((?:\[(?:[^\]\\]|\\.)+\])|\\[dws]|\.)([*+])\$$/.exec(pattern) ?? [];
  if (set === undefined) return null;
  const least = Math.max(min ?? 0, times === '+' ? 1 : 0);
  return `^${set}{${least},${max ?? ''}}$`;
}

/** The specification looks for a pattern anywhere in the string; the compiler takes it for all of it. */
function anchored(pattern: string): string {
  const starts = pattern.startsWith('^');
  const ends = /(?:^|[^\\])(?:\\\\)*\$$/.test(pattern);
  const body = pattern.slice(starts ? 1 : 0, ends ? -1 : undefined);
  const inner = starts && ends && !body.includes('|') ? body : `(?:${body})`;
  if ((starts || ends) && hasBareChoice(body)) return pattern;
  return `^${starts ? '' : '[\\s\\S]*'}${inner}${ends ? '' : '[\\s\\S]*'}$`;
}

/** Whether a `|` stands outside of all groups: anchors then belong to one side only. */
function hasBareChoice(body: string): boolean {
  let depth = 0;
  let inSet = false;
  for (let i = 0; i < body.length; i++) {
    const char = body[i];
    if (char === '\\') i++;
    else if (inSet) inSet = char !== ']';
    else if (char === '[') inSet = true;
    else if (char === '(') depth++;
    else if (char === ')') depth--;
    else if (char === '|' && depth === 0) return true;
  }
  return false;
}

function numberSchema(context: Normalizer, type: 'number' | 'integer', schema: SchemaObject, path: Path): Schema {
  const out: SchemaObject = { type };
  for (const key of ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf'] as const) {
    const value = schema[key];
    if (value === undefined || typeof value === 'boolean') continue;
    if (typeof value !== 'number') throw context.refuse(path, `"${key}" must be a number`);
    out[key] = value;
  }
  // Draft 4: exclusiveMinimum says whether minimum is.
  for (const [bound, exclusive] of [
    ['minimum', 'exclusiveMinimum'],
    ['maximum', 'exclusiveMaximum'],
  ] as const) {
    if (schema[exclusive] !== true || out[bound] === undefined) continue;
    out[exclusive] = out[bound];
    delete out[bound];
  }
  if (out.multipleOf === 1) {
    out.type = 'integer';
    delete out.multipleOf;
  }
  if (out.type === 'integer') wholeBounds(out);
  else if (out.multipleOf !== undefined)
    throw context.refuse(path, 'the schema keyword "multipleOf" is only supported for integers');
  return out;
}

function wholeBounds(out: SchemaObject): void {
  const round = (key: string, inclusive: string, rounding: (x: number) => number) => {
    const value = out[key];
    if (typeof value !== 'number' || Number.isInteger(value)) return;
    delete out[key];
    out[inclusive] = rounding(value);
  };
  round('minimum', 'minimum', Math.ceil);
  round('maximum', 'maximum', Math.floor);
  round('exclusiveMinimum', 'minimum', Math.ceil);
  round('exclusiveMaximum', 'maximum', Math.floor);
}

function copyCounts(context: Normalizer, schema: SchemaObject, out: SchemaObject, keys: string[], path: Path): void {
  for (const key of keys) {
    const value = schema[key];
    if (value === undefined) continue;
    if (typeof value !== 'number' || value < 0 || !Number.isInteger(value)) {
      throw context.refuse(path, `"${key}" must be a whole number that is not negative`);
    }
    out[key] = value;
  }
}

function stringList(context: Normalizer, value: unknown, key: string, path: Path): string[] {
  // Draft 3 had true and false here, in the property itself.
  if (value === undefined || typeof value === 'boolean') return [];
  if (!Array.isArray(value) || value.some((each) => typeof each !== 'string')) {
    throw context.refuse(path, `"${key}" must be a list of strings`);
  }
  return value as string[];
}

const typeOf = (value: unknown): string =>
  value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value === 'object' ? 'object' : typeof value;

/** Whether a value of `enum` or `const` satisfies what stands beside it. */
export function acceptsValue(context: Normalizer, value: unknown, schema: SchemaObject, path: Path): boolean {
  const type = typeOf(value);
  const types = schema.type === undefined ? null : [schema.type].flat();
  const fits = (wanted: unknown) => wanted === type || (wanted === 'integer' && Number.isInteger(value));
  if (types !== null && !types.some(fits)) return false;
  const beside = (TYPE_KEYWORDS[type] ?? []).filter((key) => schema[key] !== undefined);
  return beside.every((key) => {
    const bound = schema[key];
    if (typeof value === 'number' && typeof bound === 'number') return holds(key, value, bound);
    const length = typeof value === 'string' ? [...value].length : Array.isArray(value) ? value.length : null;
    if (length !== null && /^(min|max)/.test(key) && typeof bound === 'number') {
      return key.startsWith('min') ? length >= bound : length <= bound;
    }
    if (key === 'format') return true;
    if (key === 'required' && isObject(value))
      return stringList(context, bound, key, path).every((name) => Object.hasOwn(value, name));
    if (isDeepStrictEqual(bound, {}) || bound === true) return true;
    throw context.refuse(path, `the schema keyword "${key}" beside "enum" or "const" is not supported`);
  });
}

function holds(key: string, value: number, bound: number): boolean {
  switch (key) {
    case 'minimum':
      return value >= bound;
    case 'maximum':
      return value <= bound;
    case 'exclusiveMinimum':
      return value > bound;
    case 'exclusiveMaximum':
      return value < bound;
    default:
      return value % bound === 0;
  }
}
