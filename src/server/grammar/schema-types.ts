/** What a schema says of one type of values, in the words of the grammar compiler. */
import { objectSchema } from './object-schema.js';
import { copyCounts, type Path, type SchemaContext } from './schema-context.js';
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

function arraySchema(context: SchemaContext, schema: SchemaObject, path: Path, depth: number): Schema {
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

function numberSchema(context: SchemaContext, type: 'number' | 'integer', schema: SchemaObject, path: Path): Schema {
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
