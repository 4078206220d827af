/** Whether values of `enum` and `const` satisfy what stands beside them. */

import { isDeepStrictEqual } from 'node:util';
import { isObject } from '../json-value.js';
import { type Path, type SchemaContext, stringList } from './schema-context.js';
import { LOGIC, REST, TYPE_KEYWORDS } from './schema-keywords.js';
import { assertionsOf, type SchemaObject, valuesOf } from './schema-merge.js';
import { textRules } from './string-schema.js';
import { meets, NoAutomaton } from './text/texts.js';

const typeOf = (value: unknown): string =>
  value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value === 'object' ? 'object' : typeof value;

/** Whether a value of `enum` or `const` satisfies what stands beside it. */
export function acceptsValue(context: SchemaContext, value: unknown, schema: SchemaObject, path: Path): boolean {
  const type = typeOf(value);
  const types = schema.type === undefined ? null : [schema.type].flat();
  const fits = (wanted: unknown) => wanted === type || (wanted === 'integer' && Number.isInteger(value));
  if (types !== null && !types.some(fits)) return false;
  const others = schema[REST.notOneOf];
  if (Array.isArray(others) && others.some((other) => isDeepStrictEqual(other, value))) return false;
  if (typeof value === 'string' && !acceptsText(context, value, schema, path)) return false;
  const beside = (TYPE_KEYWORDS[type] ?? []).filter((key) => schema[key] !== undefined);
  return beside.every((key) => {
    const bound = schema[key];
    if (typeof value === 'number' && typeof bound === 'number') return holds(key, value, bound);
    const length = typeof value === 'string' ? [...value].length : Array.isArray(value) ? value.length : null;
    if (length !== null && /^(min|max)/.test(key) && typeof bound === 'number') {
      return key.startsWith('min') ? length >= bound : length <= bound;
    }
    if (typeof value === 'string') return true;
    if (key === REST.notInteger) return !Number.isInteger(value);
    if (key === REST.notMultipleOf && typeof value === 'number')
      return (bound as number[]).every((step) => value % step !== 0);
    if (key === 'required' && isObject(value))
      return stringList(context, bound, key, path).every((name) => Object.hasOwn(value, name));
    if (key === 'properties' && isObject(value) && isObject(bound)) {
      const present = Object.entries(bound).filter(([name]) => Object.hasOwn(value, name));
      return present.every(([name, each]) => acceptsPart(context, value[name], each, [...path, key, name]));
    }
    if (isDeepStrictEqual(bound, {}) || bound === true) return true;
    throw context.refuse(path, `the schema keyword "${key}" beside "enum" or "const" is not supported`);
  });
}

function acceptsText(context: SchemaContext, value: string, schema: SchemaObject, path: Path): boolean {
  const rules = textRules(context, schema, path).filter((rule) => !('format' in rule));
  try {
    // What is listed is meant as the specification has it.
    return meets(value, { rules, min: 0, max: null, whole: false });
  } catch (error) {
    if (!(error instanceof NoAutomaton)) throw error;
    throw context.refuse(
      path,
      'the schema keyword "pattern" beside "enum" or "const" is not supported where it is no regular expression',
    );
  }
}

/** A part of a value, where its schema says no more than that of a value of `enum` may. */
function acceptsPart(context: SchemaContext, value: unknown, schema: unknown, path: Path): boolean {
  if (typeof schema === 'boolean') return schema;
  const assertions = isObject(schema) ? assertionsOf(schema) : { $ref: '' };
  const values = valuesOf(assertions);
  if (
    ['$ref', 'allOf', 'anyOf', 'oneOf'].some((key) => key in assertions) ||
    LOGIC.some((key) => key in (schema as object))
  ) {
    throw context.refuse(path, 'objects of "enum" beside schemas of their properties are not supported');
  }
  if (values !== null && !values.some((each) => isDeepStrictEqual(each, value))) return false;
  return acceptsValue(context, value, assertions, path);
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

/** JSON's `1e400`: written out again it would be null. */
export function holdsInfinity(value: unknown): boolean {
  if (typeof value === 'number') return !Number.isFinite(value);
  return typeof value === 'object' && value !== null && Object.values(value).some(holdsInfinity);
}
