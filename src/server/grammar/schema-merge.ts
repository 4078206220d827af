/** The schema of what two schemas both accept, keyword by keyword. */

import { isDeepStrictEqual } from 'node:util';
import { isObject } from '../json-value.js';
import { ASSERTIONS, REST } from './schema-keywords.js';
import { isFormat } from './text/formats.js';
import type { TextRule } from './text/texts.js';

export type SchemaObject = Record<string, unknown>;
export type Schema = boolean | SchemaObject;

/** What keeps two schemas from being merged. */
export class NotMergeable extends Error {
  constructor(readonly keyword: string) {
    super(`two different "${keyword}" for one value are not supported`);
  }
}

/** Only the keywords that say which values are valid. */
export function assertionsOf(schema: SchemaObject): SchemaObject {
  return Object.fromEntries(Object.entries(schema).filter(([key]) => ASSERTIONS.has(key)));
}

/** Both without `$ref` and `allOf`. Subschemas for one place come out as an `allOf`. Throws NotMergeable. */
export function mergeSchemas(a: Schema, b: Schema): Schema {
  if (a === false || b === false) return false;
  if (a === true) return b;
  if (b === true) return a;
  const out: SchemaObject = { ...assertionsOf(a) };
  for (const [key, value] of Object.entries(assertionsOf(b))) {
    if (out[key] === undefined || isDeepStrictEqual(out[key], value)) out[key] = value;
    else if (!mergeKeyword(out, key, out[key], value)) return false;
  }
  mergeObjects(out, a, b);
  return mergeValues(out, a, b) ? out : false;
}

const both = (x: unknown, y: unknown): unknown => (x === true ? y : y === true ? x : { allOf: [x, y] });
const GREATER = new Set(['minimum', 'minLength', 'minItems', 'minProperties']);
const LESSER = new Set(['maximum', 'maxLength', 'maxItems', 'maxProperties']);

/** False: nothing is accepted. */
function mergeKeyword(out: SchemaObject, key: string, x: unknown, y: unknown): boolean {
  if (typeof x === 'number' && typeof y === 'number') {
    if (GREATER.has(key) || key === 'exclusiveMinimum') out[key] = Math.max(x, y);
    else if (LESSER.has(key) || key === 'exclusiveMaximum') out[key] = Math.min(x, y);
    else if (key === 'multipleOf' && (x % y === 0 || y % x === 0)) out[key] = Math.max(x, y);
    else throw new NotMergeable(key);
    return true;
  }
  switch (key) {
    case 'type': {
      const types = intersectTypes([x].flat() as string[], [y].flat() as string[]);
      out.type = types.length === 1 ? types[0] : types;
      return types.length > 0;
    }
    case 'required':
      out.required = [...new Set([...(x as string[]), ...(y as string[])])];
      return true;
    case 'enum':
    case 'const':
    case 'properties':
    case 'patternProperties':
    case 'additionalProperties':
      return true; // below
    case 'items':
      if (Array.isArray(x) || Array.isArray(y)) throw new NotMergeable(key);
      out.items = both(x, y);
      return true;
    case 'pattern':
      addRule(out, { pattern: y as string });
      return true;
    case 'format':
      if (!isFormat(String(x))) out.format = y;
      else if (isFormat(String(y))) addRule(out, { format: y as string });
      return true;
    case REST.notOneOf:
    case REST.texts:
    case REST.notMultipleOf:
    case REST.others:
      out[key] = [...(x as unknown[]), ...(y as unknown[])];
      return true;
    case REST.unsaid:
      return true;
    case 'propertyNames':
    case 'unevaluatedProperties':
    case 'unevaluatedItems':
      out[key] = both(x, y);
      return true;
    case 'anyOf':
    case 'oneOf':
    case REST.some:
      out[key] = (x as unknown[]).map((option) => ({ allOf: [option, { [key]: y }] }));
      return true;
    default:
      throw new NotMergeable(key);
  }
}

function addRule(out: SchemaObject, rule: TextRule): void {
  out[REST.texts] = [...((out[REST.texts] as TextRule[] | undefined) ?? []), rule];
}

function intersectTypes(xs: string[], ys: string[]): string[] {
  const has = (types: string[], type: string) =>
    types.includes(type) || (type === 'integer' && types.includes('number'));
  return [...new Set([...xs, ...ys])].filter((type) => has(xs, type) && has(ys, type));
}

/** What one side says of the properties that only the other side names. */
function mergeObjects(out: SchemaObject, a: SchemaObject, b: SchemaObject): void {
  const properties: SchemaObject = {};
  for (const [own, other] of [
    [a, b],
    [b, a],
  ] as const) {
    const named = isObject(own.properties) ? own.properties : {};
    const elsewhere = isObject(other.properties) ? other.properties : {};
    for (const [name, schema] of Object.entries(named)) {
      if (Object.hasOwn(elsewhere, name)) {
        if (own === a)
          properties[name] = isDeepStrictEqual(schema, elsewhere[name]) ? schema : both(schema, elsewhere[name]);
        continue;
      }
      const rest = other.additionalProperties ?? true;
      if (rest !== true && other.patternProperties !== undefined) throw new NotMergeable('patternProperties');
      properties[name] = rest === false ? false : both(schema, rest);
    }
  }
  if (Object.keys(properties).length > 0) out.properties = properties;
  const patterns = [a, b].filter((side) => side.patternProperties !== undefined);
  const closed = [a, b].filter((side) => (side.additionalProperties ?? true) !== true);
  if (
    patterns.length > 0 &&
    closed.length > 0 &&
    !(patterns.length === 1 && closed.every((side) => patterns.includes(side)))
  ) {
    throw new NotMergeable('patternProperties');
  }
  if (patterns.length === 2) {
    const [x, y] = patterns.map((side) => side.patternProperties as SchemaObject) as [SchemaObject, SchemaObject];
    out.patternProperties = { ...x, ...y };
    for (const key of Object.keys(x).filter((name) => Object.hasOwn(y, name))) {
      (out.patternProperties as SchemaObject)[key] = both(x[key], y[key]);
    }
  }
  if (closed.length === 2) {
    const [x, y] = closed.map((side) => side.additionalProperties);
    out.additionalProperties = x === false || y === false ? false : both(x, y);
  }
}

/** `enum` and `const` of both. False: they have no value in common. */
function mergeValues(out: SchemaObject, a: SchemaObject, b: SchemaObject): boolean {
  const x = valuesOf(a);
  const y = valuesOf(b);
  if (x === null || y === null) return true;
  delete out.const;
  out.enum = x.filter((value) => y.some((other) => isDeepStrictEqual(value, other)));
  return (out.enum as unknown[]).length > 0;
}

/** The values that `enum` and `const` leave; null: all. */
export function valuesOf(schema: SchemaObject): unknown[] | null {
  const values = Array.isArray(schema.enum) ? schema.enum : null;
  if (!Object.hasOwn(schema, 'const')) return values;
  return (values ?? [schema.const]).filter((value) => isDeepStrictEqual(value, schema.const));
}
