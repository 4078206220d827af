/** What a schema says of numbers, in the words of the grammar compiler. */
import type { Path, SchemaContext } from './schema-context.js';
import { REST } from './schema-keywords.js';
import type { Schema, SchemaObject } from './schema-merge.js';

export function numberSchema(
  context: SchemaContext,
  type: 'number' | 'integer',
  schema: SchemaObject,
  path: Path,
): Schema {
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
  // Multiples of a whole number are whole.
  if (Number.isInteger(out.multipleOf)) out.type = 'integer';
  if (out.multipleOf === 1) delete out.multipleOf;
  if (out.type === 'integer' && !wholeBounds(out)) return false;
  if (out.multipleOf !== undefined && !Number.isInteger(out.multipleOf))
    throw context.refuse(path, 'the schema keyword "multipleOf" is only supported for whole numbers');
  if (!allowsFractions(context, out, schema, path)) return false;
  return withoutValues(context, out, schema, path);
}

/** What negations leave: false where nothing is. */
function allowsFractions(context: SchemaContext, out: SchemaObject, schema: SchemaObject, path: Path): boolean {
  if (schema[REST.notInteger] === true) {
    if (out.type === 'integer') return false;
    throw context.refuse(path, '"not" of whole numbers is not supported for numbers');
  }
  const steps = Array.isArray(schema[REST.notMultipleOf]) ? (schema[REST.notMultipleOf] as number[]) : [];
  if (steps.some((step) => Number(out.multipleOf ?? (out.type === 'integer' ? 1 : Number.NaN)) % step === 0))
    return false;
  if (steps.length > 0) throw context.refuse(path, '"not" of "multipleOf" is not supported');
  return true;
}

/** Numbers on both sides of those that may not be. */
function withoutValues(context: SchemaContext, out: SchemaObject, schema: SchemaObject, path: Path): Schema {
  const values = Array.isArray(schema[REST.notOneOf]) ? (schema[REST.notOneOf] as unknown[]) : [];
  const isWhole = out.type === 'integer';
  const numbers = values.filter(
    (value) => typeof value === 'number' && (!isWhole || Number.isInteger(value)),
  ) as number[];
  const sorted = [...new Set(numbers)].sort((a, b) => a - b);
  if (sorted.length > MAX_HOLES)
    throw context.refuse(path, `more than ${MAX_HOLES} numbers under "not" are not supported`);
  const ranges = [Number.NEGATIVE_INFINITY, ...sorted].map((from, index): Schema => {
    const to = sorted[index] ?? Number.POSITIVE_INFINITY;
    return isWhole
      ? within(out, 'minimum', from + 1, 'maximum', to - 1)
      : within(out, 'exclusiveMinimum', from, 'exclusiveMaximum', to);
  });
  const left = ranges.filter((range) => range !== false);
  return left.length <= 1 ? (left[0] ?? false) : { anyOf: left };
}
const MAX_HOLES = 32;

/** Both bounds made narrower; false: nothing is between them. */
function within(schema: SchemaObject, low: string, from: number, high: string, to: number): Schema {
  const out = { ...schema };
  if (from > Number.NEGATIVE_INFINITY) out[low] = Math.max(from, Number(out[low] ?? from));
  if (to < Number.POSITIVE_INFINITY) out[high] = Math.min(to, Number(out[high] ?? to));
  const least = Math.max(
    Number(out.minimum ?? Number.NEGATIVE_INFINITY),
    Number(out.exclusiveMinimum ?? Number.NEGATIVE_INFINITY),
  );
  const most = Math.min(
    Number(out.maximum ?? Number.POSITIVE_INFINITY),
    Number(out.exclusiveMaximum ?? Number.POSITIVE_INFINITY),
  );
  if (least > most) return false;
  // One value, which an exclusive bound leaves out.
  if (least === most && (out.exclusiveMinimum === least || out.exclusiveMaximum === most)) return false;
  if (out.type !== 'integer') return out;
  const first = Math.max(
    Number(out.minimum ?? Number.NEGATIVE_INFINITY),
    Number(out.exclusiveMinimum ?? Number.NEGATIVE_INFINITY) + 1,
  );
  const last = Math.min(
    Number(out.maximum ?? Number.POSITIVE_INFINITY),
    Number(out.exclusiveMaximum ?? Number.POSITIVE_INFINITY) - 1,
  );
  return first <= last && out;
}

/** The compiler's whole numbers have 64 bits; next to the last of them this is the largest that JSON's numbers tell apart. */
const WHOLE_MAX = 2 ** 63 - 1024;

/** Bounds as whole numbers that the compiler knows; false: nothing is within them. */
function wholeBounds(out: SchemaObject): boolean {
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
  return (
    reachable(out, 'minimum', 'exclusiveMinimum', -WHOLE_MAX) &&
    reachable(out, 'maximum', 'exclusiveMaximum', WHOLE_MAX)
  );
}

/** A bound beyond `last` is as good as `last`; false: it is beyond the other end, and nothing is within it. */
function reachable(out: SchemaObject, inclusive: string, exclusive: string, last: number): boolean {
  for (const key of [inclusive, exclusive]) {
    const bound = out[key];
    if (typeof bound !== 'number' || Math.abs(bound) <= WHOLE_MAX) continue;
    if (bound > 0 !== last > 0) return false;
    delete out[key];
    out[inclusive] ??= last;
  }
  return true;
}
