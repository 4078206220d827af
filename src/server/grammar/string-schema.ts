/** What a schema says of strings, in the words of the grammar compiler. */
import { copyCounts, type Path, type SchemaContext } from './schema-context.js';
import type { Schema, SchemaObject } from './schema-merge.js';

export function stringSchema(context: SchemaContext, schema: SchemaObject, path: Path): Schema {
  const out: SchemaObject = { type: 'string' };
  copyCounts(context, schema, out, ['minLength', 'maxLength'], path);
  if (out.minLength === 0) delete out.minLength;
  for (const key of ['pattern', 'format'] as const) {
    if (schema[key] === undefined) continue;
    if (typeof schema[key] !== 'string') throw context.refuse(path, `"${key}" must be a string`);
    out[key] = schema[key];
  }
  if (typeof out.pattern !== 'string') return out;
  const counted = withLengths(out.pattern, out.minLength as number | undefined, out.maxLength as number | undefined);
  if (counted !== null) {
    delete out.minLength;
    delete out.maxLength;
    out.pattern = counted;
  }
  if (!context.strict) out.pattern = anchored(out.pattern as string);
  return out;
}

/** `^[a-z]+$` with lengths is `^[a-z]{min,max}$`; null: no lengths, or another kind of pattern. */
function withLengths(pattern: string, min: number | undefined, max: number | undefined): string | null {
  if (min === undefined && max === undefined) return null;
  const [, set, times] = /^\^((?:\[(?:[^\]\\]|\\.)+\])|\\[dws]|\.)([*+])\$$/.exec(pattern) ?? [];
  if (set === undefined) return null;
  const least = Math.max(min ?? 0, times === '+' ? 1 : 0);
  return `^${set}{${least},${max ?? ''}}$`;
}

/** The specification looks for a pattern anywhere in the string; the compiler takes it for all of it. */
function anchored(pattern: string): string {
  const starts = pattern.startsWith('^');
  const ends = /(?:^|[^\\])(?:\\\\)*\$$/.test(pattern);
  const body = pattern.slice(starts ? 1 : 0, ends ? -1 : undefined);
  const inner = starts && ends && !body.includes('|') ? body : `(?:${body})`;
  if ((starts || ends) && hasBareChoice(body)) return pattern;
  return `^${starts ? '' : '[\\s\\S]*'}${inner}${ends ? '' : '[\\s\\S]*'}$`;
}

/** Whether a `|` stands outside of all groups: anchors then belong to one side only. */
function hasBareChoice(body: string): boolean {
  let depth = 0;
  let inSet = false;
  for (let i = 0; i < body.length; i++) {
    const char = body[i];
    if (char === '\\') i++;
    else if (inSet) inSet = char !== ']';
    else if (char === '[') inSet = true;
    else if (char === '(') depth++;
    else if (char === ')') depth--;
    else if (char === '|' && depth === 0) return true;
  }
  return false;
}
