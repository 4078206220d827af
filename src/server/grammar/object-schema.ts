/** What a schema says of objects, in the words of the grammar compiler. */
import { isObject } from '../json-value.js';
import { keyRegions, PropertyRules } from './object-keys.js';
import { copyCounts, type Path, type SchemaContext, stringList } from './schema-context.js';
import { REST } from './schema-keywords.js';
import type { Schema, SchemaObject } from './schema-merge.js';

export function objectSchema(context: SchemaContext, schema: SchemaObject, path: Path, depth: number): Schema {
  const others = schema[REST.others];
  if (Array.isArray(others) && others.length > 0) return withOther(context, schema, others, path, depth);
  const required = stringList(context, schema.required, 'required', path);
  const rules = propertyRules(context, schema, path);
  const out: SchemaObject = { type: 'object' };
  const counts: { minProperties?: number; maxProperties?: number } = {};
  copyCounts(context, schema, counts as SchemaObject, ['minProperties', 'maxProperties'], path);
  const { minProperties = 0, maxProperties = Number.POSITIVE_INFINITY } = counts;
  if (minProperties > maxProperties || new Set(required).size > maxProperties) return false;

  const properties: Record<string, Schema> = {};
  const banned: string[] = [];
  for (const name of new Set([...Object.keys(rules.named), ...required])) {
    const lowered = context.schema(rules.schemaOf(name), [...path, 'properties', name], depth + 1);
    if (lowered !== false) properties[name] = lowered;
    else if (required.includes(name)) return false;
    else banned.push(name);
  }
  const rest = keyRegions(context, rules, { named: Object.keys(properties), banned }, path);
  const keys: Record<string, Schema> = {};
  for (const { expression, schema: value } of rest.regions) {
    const lowered = context.schema(value, [...path, 'patternProperties', expression], depth + 1);
    if (lowered !== false) keys[expression] = lowered;
  }
  if (Object.keys(properties).length > 0) out.properties = properties;
  if (required.length > 0) out.required = [...new Set(required)];
  if (Object.keys(keys).length > 0) out.patternProperties = keys;
  if (rest.names !== null) out.propertyNames = context.schema(rest.names, [...path, 'propertyNames'], depth + 1);
  if (rest.additional !== undefined) {
    out.additionalProperties = context.schema(rest.additional, [...path, 'additionalProperties'], depth + 1);
  }
  const isClosed = rest.additional === false || (rest.additional === undefined && context.strict);
  if (isClosed && Object.keys(keys).length === 0 && Object.keys(properties).length < minProperties) return false;
  return { ...out, ...counts };
}

/** `\0others`: some property beside those of a list, which is one of those that the schema names. */
function withOther(
  context: SchemaContext,
  schema: SchemaObject,
  [known, ...more]: unknown[],
  path: Path,
  depth: number,
): Schema {
  const { [REST.others]: _, ...rest } = schema;
  const rules = propertyRules(context, schema, path);
  if (rules.rest !== false || Object.keys(rules.patterns).length > 0) {
    throw context.refuse(path, 'objects that need a property beside those that are named are not supported');
  }
  const names = Object.keys(rules.named).filter((name) => !(known as string[]).includes(name));
  const ways = names
    .map((name) => {
      const required = [...stringList(context, schema.required, 'required', path), name];
      return objectSchema(context, { ...rest, required, ...(more.length > 0 && { [REST.others]: more }) }, path, depth);
    })
    .filter((way) => way !== false);
  return ways.length <= 1 ? (ways[0] ?? false) : { anyOf: ways };
}

function propertyRules(context: SchemaContext, schema: SchemaObject, path: Path): PropertyRules {
  const map = (key: string): SchemaObject => {
    const value = schema[key] ?? {};
    if (!isObject(value)) throw context.refuse(path, `"${key}" must be an object`);
    return value;
  };
  const schemas = {
    named: map('properties'),
    patterns: map('patternProperties'),
    rest: schema.additionalProperties ?? schema.unevaluatedProperties,
    names: schema.propertyNames ?? true,
  };
  return new PropertyRules(context, schemas, path);
}
