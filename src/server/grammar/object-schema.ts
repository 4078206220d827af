/** What a schema says of objects, in the words of the grammar compiler. */
import { copyCounts, isObject, type Path, type SchemaContext, stringList } from './schema-context.js';
import type { Schema, SchemaObject } from './schema-merge.js';

export function objectSchema(context: SchemaContext, given: SchemaObject, path: Path, depth: number): Schema {
  const schema = given.patternProperties === undefined ? given : settlePatterns(context, given, path);
  const out: SchemaObject = { type: 'object' };
  const sub = (key: string) => context.schema(schema[key], [...path, key], depth + 1);
  const map = (key: string) => {
    const value = schema[key];
    if (!isObject(value)) throw context.refuse(path, `"${key}" must be an object`);
    return mapValues(value, (each, name) => context.schema(each, [...path, key, name], depth + 1));
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
function settlePatterns(context: SchemaContext, schema: SchemaObject, path: Path): SchemaObject {
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

function matches(context: SchemaContext, pattern: string, name: string, path: Path): boolean {
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

function mapValues<T>(values: SchemaObject, make: (value: unknown, name: string) => T): Record<string, T> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, make(value, name)]));
}
