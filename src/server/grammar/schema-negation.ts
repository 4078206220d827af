/**
 * The schema of values that another one does not accept. What schemas cannot say by their own keywords they say by `REST`
 * keywords, which only `mergeSchemas` and those behind it know; and where they cannot say it at all, it has fewer values
 * than there are, never others.
 */

import { isObject } from '../json-value.js';
import { ALL_TYPES, REST } from './schema-keywords.js';
import type { Schema, SchemaObject } from './schema-merge.js';
import { isFormat } from './text/formats.js';
import { work } from './text/work.js';

/** A keyword whose opposite no schema can say. */
export class NotNegatable extends Error {
  constructor(readonly keyword: string) {
    super(`the opposite of "${keyword}" cannot be enforced`);
  }
}

/** Finds what a `$ref` points to. */
export type Resolve = (pointer: string) => Schema;

const MAX_HOPS = 32;
const STEPS = 200;

/** Worked out when it is come to: schemas may contain themselves. */
const not = (schema: unknown): Schema => (typeof schema === 'boolean' ? !schema : { not: schema });

/** Throws NotNegatable. */
export function negate(schema: unknown, resolve: Resolve, hops = 0): Schema {
  if (typeof schema === 'boolean') return !schema;
  if (!isObject(schema)) throw new NotNegatable('not');
  if (hops > MAX_HOPS) throw new NotNegatable('$ref');
  work(STEPS);
  const target = (pointer: string) => negate(resolve(pointer), resolve, hops + 1);
  return someOf(
    Object.entries(schema).map(
      ([key, value]) =>
        () =>
          logicClause(key, value, schema, target) ?? typeClause(key, value, schema) ?? false,
    ),
  );
}

/** Of ways to break a schema, those that there are words for. Throws NotNegatable where there are none. */
function someOf(ways: (() => Schema)[]): Schema {
  const kept: Schema[] = [];
  let missing = null as NotNegatable | null;
  for (const way of ways) {
    try {
      const schema = way();
      if (schema === true) return true;
      if (schema !== false) kept.push(schema);
    } catch (error) {
      if (!(error instanceof NotNegatable)) throw error;
      missing = error;
    }
  }
  if (kept.length === 0 && missing !== null) throw missing;
  if (missing !== null) kept.push({ [REST.unsaid]: missing.keyword });
  return kept.length <= 1 ? (kept[0] ?? false) : { [REST.some]: kept };
}

/** Null: another keyword. */
function logicClause(
  key: string,
  value: unknown,
  schema: SchemaObject,
  target: (pointer: string) => Schema,
): Schema | null {
  const list = Array.isArray(value) ? value : [];
  switch (key) {
    case '$ref':
      return target(String(value));
    case 'not':
      return value as Schema;
    case 'allOf':
      return someOf(list.map((each) => () => not(each)));
    case 'anyOf':
      return { allOf: list.map(not) };
    case 'oneOf': {
      const twice = list.flatMap((one, index) => list.slice(index + 1).map((other) => ({ allOf: [one, other] })));
      const none = { allOf: list.map(not) };
      return twice.length === 0 ? none : { [REST.some]: [none, ...twice] };
    }
    case 'if': {
      const { then = true, else: otherwise = true } = schema;
      return someOf([() => ({ allOf: [value, not(then)] }), () => ({ allOf: [not(value), not(otherwise)] })]);
    }
    case 'enum':
    case 'const':
      return { [REST.notOneOf]: key === 'enum' ? list : [value] };
    case 'type':
      return notTypes([value].flat() as string[]);
    default:
      return null;
  }
}

function notTypes(types: string[]): Schema {
  const others = ALL_TYPES.filter((type) => !types.includes(type));
  if (!types.includes('integer') || types.includes('number')) return others.length > 0 && { type: [...others] };
  const rest = others.filter((type) => type !== 'number');
  const fractions = { type: 'number', [REST.notInteger]: true };
  return rest.length === 0 ? fractions : { [REST.some]: [{ type: [...rest] }, fractions] };
}

const OPPOSITE: Record<string, (value: number) => SchemaObject> = {
  minimum: (value) => ({ type: 'number', exclusiveMaximum: value }),
  maximum: (value) => ({ type: 'number', exclusiveMinimum: value }),
  minLength: (value) => (value > 0 ? { type: 'string', maxLength: value - 1 } : {}),
  maxLength: (value) => ({ type: 'string', minLength: value + 1 }),
  minItems: (value) => (value > 0 ? { type: 'array', maxItems: value - 1 } : {}),
  maxItems: (value) => ({ type: 'array', minItems: value + 1 }),
  minProperties: (value) => (value > 0 ? { type: 'object', maxProperties: value - 1 } : {}),
  maxProperties: (value) => ({ type: 'object', minProperties: value + 1 }),
  multipleOf: (value) => ({ type: 'number', [REST.notMultipleOf]: [value] }),
};

/** Null: a keyword that asks for nothing. */
function typeClause(key: string, value: unknown, schema: SchemaObject): Schema | null {
  const opposite = OPPOSITE[key];
  if (opposite !== undefined && typeof value === 'number') {
    if (key === 'minimum' && schema.exclusiveMinimum === true) return { type: 'number', maximum: value };
    if (key === 'maximum' && schema.exclusiveMaximum === true) return { type: 'number', minimum: value };
    const clause = opposite(value);
    return Object.keys(clause).length > 0 && clause;
  }
  switch (key) {
    case 'exclusiveMinimum':
      return typeof value === 'number' ? { type: 'number', maximum: value } : null;
    case 'exclusiveMaximum':
      return typeof value === 'number' ? { type: 'number', minimum: value } : null;
    case 'pattern':
      return { type: 'string', [REST.texts]: [{ pattern: value, isNot: true }] };
    case 'format':
      // Others are notes, and no value is against a note.
      if (typeof value === 'string' && !isFormat(value)) return null;
      return { type: 'string', [REST.texts]: [{ format: value, isNot: true }] };
    case 'required':
      if (!Array.isArray(value)) return null;
      return someOf(value.map((name) => () => ({ type: 'object', properties: { [String(name)]: false } })));
    case 'properties':
      return notProperties(value);
    case 'items':
      if (Array.isArray(value) || schema.prefixItems !== undefined) throw new NotNegatable(key);
      return notAll('array', key, not(value));
    case 'propertyNames':
      return notAll('object', key, not(value));
    case 'contains':
      if (schema.minContains !== undefined || schema.maxContains !== undefined) throw new NotNegatable(key);
      return { type: 'array', items: not(value) };
    case 'additionalProperties':
      if (value === true) return null;
      if (value !== false || isObject(schema.patternProperties)) throw new NotNegatable(key);
      return { type: 'object', [REST.others]: [Object.keys(isObject(schema.properties) ? schema.properties : {})] };
    default:
      if (
        !ASKING.has(key) ||
        (isObject(value) && Object.keys(value).length === 0) ||
        (value === true && key !== 'uniqueItems')
      )
        return null;
      throw new NotNegatable(key);
  }
}

/** Keywords whose opposite is that some part is otherwise, and that have no words for it. */
const ASKING: ReadonlySet<string> = new Set([
  ...['patternProperties', 'unevaluatedProperties', 'prefixItems', 'additionalItems', 'unevaluatedItems'],
  ...['uniqueItems', 'dependentRequired', 'dependentSchemas', 'dependencies'],
  ...['$dynamicRef', '$recursiveRef', 'extends', 'disallow', 'divisibleBy', ...Object.values(REST)],
]);

function notProperties(value: unknown): Schema {
  return someOf(
    Object.entries(isObject(value) ? value : {}).map(([name, property]) => () => {
      const opposite = not(property);
      return opposite !== false && { type: 'object', required: [name], properties: { [name]: opposite } };
    }),
  );
}

/** Lists and names, of which none is as it should be: one would do, and there are no words for that. */
function notAll(type: 'array' | 'object', key: string, opposite: Schema): Schema {
  if (opposite === false) return false;
  const none = { type, [key]: opposite, [type === 'array' ? 'minItems' : 'minProperties']: 1 };
  return { [REST.some]: [none, { [REST.unsaid]: key }] };
}

/** What `not`, `if` and the keywords that depend on a property ask for, in other words. Throws NotNegatable. */
export function impliedBy(schema: SchemaObject, resolve: Resolve): Schema[] {
  const implied: Schema[] = [];
  if (schema.not !== undefined) implied.push(negate(schema.not, resolve));
  if (schema.if !== undefined && (schema.then !== undefined || schema.else !== undefined)) {
    const { if: condition, then = true, else: otherwise = true } = schema;
    const yes = { allOf: [condition, then] };
    implied.push({ anyOf: [yes, { allOf: [negate(condition, resolve), otherwise] }] });
  }
  for (const key of ['dependentRequired', 'dependentSchemas', 'dependencies']) {
    for (const [name, needed] of Object.entries(isObject(schema[key]) ? schema[key] : {})) {
      const names = Array.isArray(needed) ? needed : typeof needed === 'string' ? [needed] : null;
      const having =
        names === null ? { allOf: [{ required: [name] }, needed] } : { type: 'object', required: [name, ...names] };
      implied.push({ anyOf: [{ properties: { [name]: false } }, having] });
    }
  }
  return implied;
}
