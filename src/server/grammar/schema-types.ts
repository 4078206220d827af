/** What a schema says of one type of values, in the words of the grammar compiler. */
import { isObject } from '../json-value.js';
import { numberSchema } from './number-schema.js';
import { objectSchema } from './object-schema.js';
import { copyCounts, type Path, type SchemaContext } from './schema-context.js';
import { REST } from './schema-keywords.js';
import type { Schema, SchemaObject } from './schema-merge.js';
import { stringSchema } from './string-schema.js';

/** The schema for values of `type` alone; false where there are none. */
export function normalizeOfType(
  context: SchemaContext,
  type: string,
  schema: SchemaObject,
  path: Path,
  depth: number,
): Schema {
  switch (type) {
    case 'object':
      return objectSchema(context, withoutEmpty(context, 'object', schema, path), path, depth);
    case 'array':
      return arraySchema(context, withoutEmpty(context, 'array', schema, path), path, depth);
    case 'string':
      return stringSchema(context, schema, path);
    case 'number':
    case 'integer':
      return numberSchema(context, type, schema, path);
    default: {
      const left = (type === 'null' ? [null] : [true, false]).filter((value) => !excluded(schema).includes(value));
      return left.length === (type === 'null' ? 1 : 2) ? { type } : left.length > 0 && { enum: left };
    }
  }
}

/** Values that it is not. */
function excluded(schema: SchemaObject): unknown[] {
  const values = schema[REST.notOneOf];
  return Array.isArray(values) ? values : [];
}

/** Of objects and lists, only the empty one can be left out. */
function withoutEmpty(
  context: SchemaContext,
  type: 'object' | 'array',
  schema: SchemaObject,
  path: Path,
): SchemaObject {
  const isList = type === 'array';
  const values = excluded(schema).filter((value) => (isList ? Array.isArray(value) : isObject(value)));
  if (values.length === 0) return schema;
  if (values.some((value) => Object.keys(value as object).length > 0)) {
    throw context.refuse(path, `"not" of a single ${isList ? 'list' : 'object'} is not supported`);
  }
  const key = isList ? 'minItems' : 'minProperties';
  return { ...schema, [key]: Math.max(1, Number(schema[key] ?? 0)) };
}

function arraySchema(context: SchemaContext, schema: SchemaObject, path: Path, depth: number): Schema {
  // Before 2020-12 a list of `items` was what `prefixItems` is, and `additionalItems` the rest.
  const isTuple = Array.isArray(schema.items);
  const prefix = schema.prefixItems ?? (isTuple ? schema.items : []);
  const rest = (isTuple ? schema.additionalItems : schema.items) ?? schema.unevaluatedItems;
  if (!Array.isArray(prefix)) throw context.refuse(path, '"prefixItems" must be a list');
  const out: SchemaObject = { type: 'array' };
  copyCounts(context, schema, out, ['minItems', 'maxItems'], path);
  const items = prefix.map((item, index) => context.schema(item, [...path, 'prefixItems', String(index)], depth + 1));
  const others = rest === undefined ? undefined : context.schema(rest, [...path, 'items'], depth + 1);
  // A list ends before the first item that nothing satisfies.
  const end = items.indexOf(false);
  if (end >= 0) items.length = end;
  const isClosed = end >= 0 || others === false;
  if (isClosed && Number(out.maxItems ?? Number.POSITIVE_INFINITY) > items.length) out.maxItems = items.length;
  if (Number(out.minItems ?? 0) > Number(out.maxItems ?? Number.POSITIVE_INFINITY)) return false;
  if (items.length > 0) out.prefixItems = items;
  if (isClosed) out.items = items.length === 0;
  else if (others !== undefined) out.items = others;
  // A list of anything is no list of nothing.
  else if (context.strict && items.length === 0) out.items = true;
  return out;
}
