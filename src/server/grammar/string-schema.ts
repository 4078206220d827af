/** What a schema says of strings, in the words of the grammar compiler. */
import { copyCounts, type Path, type SchemaContext } from './schema-context.js';
import { REST } from './schema-keywords.js';
import type { Schema, SchemaObject } from './schema-merge.js';
import { FORMATS, isFormat } from './text/formats.js';
import { GRAMMAR_MARK } from './text/grammar-writer.js';
import { catastropheOf } from './text/regex-cost.js';
import { parseRegex } from './text/regex-syntax.js';
import { anchored, isPlain, withLengths } from './text/regex-text.js';
import { expressionFor, NoAutomaton, type TextDemand, type TextRule } from './text/texts.js';

export function stringSchema(context: SchemaContext, schema: SchemaObject, path: Path): Schema {
  const counts: { minLength?: number; maxLength?: number } = {};
  copyCounts(context, schema, counts as SchemaObject, ['minLength', 'maxLength'], path);
  const { minLength: min = 0, maxLength: max = null } = counts;
  if (max !== null && min > max) return false;
  const rules = textRules(context, schema, path);
  const [rule, ...others] = rules;
  if (others.length === 0) {
    if (rule === undefined)
      return { type: 'string', ...(min > 0 && { minLength: min }), ...(max !== null && { maxLength: max }) };
    const simple = simpleSchema(rule, min, max, context.strict);
    if (simple !== null) return simple;
  }
  return joined(context, { rules, min, max, whole: context.strict }, path);
}

/** One rule as it stands; null: it takes an automaton. */
function simpleSchema(rule: TextRule, min: number, max: number | null, strict: boolean): Schema | null {
  if ('notOneOf' in rule || rule.isNot) return null;
  const hasLengths = min > 0 || max !== null;
  if ('format' in rule) {
    if (hasLengths) return null;
    const expression = FORMATS[rule.format];
    return expression === undefined ? { type: 'string', format: rule.format } : ofPattern(`^(?:${expression})$`);
  }
  if (!isPlain(rule.pattern)) return null;
  if (!hasLengths) return ofPattern(strict ? rule.pattern : anchored(rule.pattern));
  const counted = withLengths(rule.pattern, min, max);
  return counted === null ? null : ofPattern(counted);
}

const ofPattern = (pattern: string): Schema => ({ type: 'string', pattern });

/** All rules as one expression; the schema accepts nothing where no text meets them. */
function joined(context: SchemaContext, demand: TextDemand, path: Path): Schema {
  try {
    const expression = expressionFor(demand);
    return expression === null ? false : ofPattern(expression);
  } catch (error) {
    if (!(error instanceof NoAutomaton)) throw error;
    throw context.refuse(
      path,
      `${namesOf(demand)} for one string are not supported together where they are as large as here`,
    );
  }
}

function namesOf({ rules, min, max }: TextDemand): string {
  const names: string[] = rules.map((rule) =>
    'pattern' in rule ? '"pattern"' : 'format' in rule ? '"format"' : '"not"',
  );
  if (min > 0) names.push('"minLength"');
  if (max !== null) names.push('"maxLength"');
  return [...new Set(names)].join(' and ');
}

/** What a schema without `$ref`, `allOf` and options asks of a string, but for lengths. */
export function textRules(context: SchemaContext, schema: SchemaObject, path: Path): TextRule[] {
  const rules: TextRule[] = [];
  const { pattern, format } = schema;
  if (pattern !== undefined) {
    if (typeof pattern !== 'string') throw context.refuse(path, '"pattern" must be a string');
    rules.push({ pattern });
  }
  if (format !== undefined) {
    if (typeof format !== 'string') throw context.refuse(path, '"format" must be a string');
    if (isFormat(format)) rules.push({ format });
  }
  if (Array.isArray(schema[REST.texts])) rules.push(...(schema[REST.texts] as TextRule[]));
  const notOneOf = schema[REST.notOneOf];
  const texts = Array.isArray(notOneOf) ? notOneOf.filter((value) => typeof value === 'string') : [];
  if (texts.length > 0) rules.push({ notOneOf: texts });
  for (const rule of rules) if ('pattern' in rule) checkPattern(context, rule.pattern, path);
  return rules;
}

/** Throws where an expression is none for the compiler, or catastrophic. */
export function checkPattern(context: SchemaContext, pattern: string, path: Path): void {
  if (pattern.startsWith(GRAMMAR_MARK)) throw context.refuse(path, 'the "pattern" begins with a control character');
  const node = parseRegex(pattern);
  const problem = node && catastropheOf(node);
  if (problem) throw context.refuse(path, `the "pattern" ${problem}`);
}
