/** Schemas that contain themselves, as `normalizeSchema` leaves them: whether any value comes to an end. */

import { isObject } from '../json-value.js';
import type { Schema, SchemaObject } from './schema-merge.js';

/** The names of the definitions that no finite value satisfies: an object that must hold another one like it, and so on. */
export function endlessDefinitions(definitions: Readonly<Record<string, Schema>>): string[] {
  const names = Object.keys(definitions);
  const finite = new Set<string>();
  for (let before = -1; before < finite.size; ) {
    before = finite.size;
    for (const name of names) if (hasFinite(definitions[name] as Schema, finite)) finite.add(name);
  }
  return names.filter((name) => !finite.has(name));
}

/** Whether a finite value satisfies the schema, if there are some for the definitions in `finite`. */
function hasFinite(schema: Schema, finite: ReadonlySet<string>): boolean {
  if (typeof schema === 'boolean') return schema;
  const holds = (each: unknown) => hasFinite(each as Schema, finite);
  if (typeof schema.$ref === 'string') return finite.has(schema.$ref.split('/').at(-1) as string);
  const options = schema.anyOf ?? schema.oneOf;
  if (Array.isArray(options)) return options.some(holds);
  if (schema.type === 'object') return hasFiniteObject(schema, holds);
  if (schema.type === 'array') {
    const least = Number(schema.minItems ?? 0);
    const prefix = Array.isArray(schema.prefixItems) ? schema.prefixItems : [];
    return prefix.slice(0, least).every(holds) && (least <= prefix.length || holds(schema.items ?? true));
  }
  return true;
}

function hasFiniteObject(schema: SchemaObject, holds: (each: unknown) => boolean): boolean {
  const properties = isObject(schema.properties) ? schema.properties : {};
  const required = (schema.required ?? []) as string[];
  if (!required.every((name) => holds(properties[name] ?? schema.additionalProperties ?? true))) return false;
  // Others that have to be there, whichever they are.
  const numMissing = Number(schema.minProperties ?? 0) - required.length;
  if (numMissing <= 0) return true;
  const patterns = isObject(schema.patternProperties) ? Object.values(schema.patternProperties) : [];
  return [...Object.values(properties), ...patterns, schema.additionalProperties ?? true].some(holds);
}

/** The definitions that a schema points to, anywhere in it. */
export function pointedAt(value: unknown): Set<string> {
  const names = new Set<string>();
  const visit = (each: unknown): void => {
    if (Array.isArray(each)) each.forEach(visit);
    if (!isObject(each)) return;
    if (typeof each.$ref === 'string') names.add(each.$ref.split('/').at(-1) as string);
    Object.values(each).forEach(visit);
  };
  visit(value);
  return names;
}
