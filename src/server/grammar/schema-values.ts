/** Whether values of `enum` and `const` satisfy what stands beside them. */
import { isDeepStrictEqual } from 'node:util';
import { isObject, type Path, type SchemaContext, stringList } from './schema-context.js';
import { TYPE_KEYWORDS } from './schema-keywords.js';
import type { SchemaObject } from './schema-merge.js';

const typeOf = (value: unknown): string =>
  value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value === 'object' ? 'object' : typeof value;

/** Whether a value of `enum` or `const` satisfies what stands beside it. */
export function acceptsValue(context: SchemaContext, value: unknown, schema: SchemaObject, path: Path): boolean {
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
