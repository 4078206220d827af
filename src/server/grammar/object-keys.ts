/** Which schema a property has, by its name: those that are named, those that match a pattern, and all others. */
import { isObject } from '../json-value.js';
import type { Path, SchemaContext } from './schema-context.js';
import type { SchemaObject } from './schema-merge.js';
import { checkPattern, textRules } from './string-schema.js';
import { GRAMMAR_MARK } from './text/grammar-writer.js';
import { anchored, isPlain } from './text/regex-text.js';
import { expressionFor, isUnmeetable, meets, NoAutomaton, type TextRule } from './text/texts.js';

/** The parts of an object's schema, as they stand there. */
export interface KeySchemas {
  named: SchemaObject;
  patterns: SchemaObject;
  /** `additionalProperties`, or undefined. */
  rest: unknown;
  /** `propertyNames`, or true. */
  names: unknown;
}

/** Properties of some names, as an expression for the names. */
export interface KeyRegion {
  expression: string;
  schema: unknown;
}

export interface OtherKeys {
  regions: KeyRegion[];
  /** Of all others; undefined: nothing is said of them. */
  additional: unknown;
  /** `propertyNames` that are left to the compiler. */
  names: unknown;
}

/** A pattern that every name matches. */
const MATCHES_ALL = /^\^?(\.\*)?\$?$/;
const MAX_PATTERNS = 8;

export class PropertyRules {
  readonly named: SchemaObject;
  readonly patterns: SchemaObject = {};
  readonly rest: unknown;
  readonly names: unknown;

  constructor(
    private readonly context: SchemaContext,
    { named, patterns, rest, names }: KeySchemas,
    private readonly path: Path,
  ) {
    this.named = named;
    this.names = names;
    let others = rest;
    let isAny = false;
    for (const [pattern, schema] of Object.entries(patterns)) {
      checkPattern(context, pattern, [...path, 'patternProperties']);
      if (!MATCHES_ALL.test(pattern)) this.patterns[pattern] = schema;
      else {
        others = isAny ? both(others, schema) : schema;
        isAny = true;
        for (const name of Object.keys(named)) this.named = { ...this.named, [name]: both(this.named[name], schema) };
      }
    }
    const isOpen = Object.keys(this.patterns).length > 0 && !context.strict;
    this.rest = others ?? (isOpen ? true : Object.keys(this.patterns).length > 0 ? false : undefined);
  }

  /** What the property of a name has to be. */
  schemaOf(name: string): unknown {
    const matched = Object.entries(this.patterns).filter(([pattern]) => this.#matches(pattern, name));
    const own = Object.hasOwn(this.named, name) ? [this.named[name]] : matched.length > 0 ? [] : [this.rest ?? true];
    return [...own, ...matched.map(([, schema]) => schema)].reduce(both);
  }

  #matches(pattern: string, name: string): boolean {
    try {
      return meets(name, { rules: [{ pattern }], min: 0, max: null, whole: false });
    } catch (error) {
      if (!(error instanceof NoAutomaton)) throw error;
      throw this.context.refuse(
        this.path,
        `the pattern ${JSON.stringify(pattern.slice(0, 100))} is not supported beside "properties"`,
      );
    }
  }
}

function both(a: unknown, b: unknown): unknown {
  return a === true ? b : b === true ? a : { allOf: [a, b] };
}

/**
 * The names that no property has, in regions of one schema each. The compiler takes the first schema that a name leads
 * to, and a named property again under another: regions have no name in common, and none of those that are named.
 * `banned`: may not be there.
 */
export function keyRegions(
  context: SchemaContext,
  rules: PropertyRules,
  { named, banned }: { named: string[]; banned: string[] },
  path: Path,
): OtherKeys {
  const { rest } = rules;
  const patterns = Object.entries(rules.patterns);
  const isClosed = rest === false || (rest === undefined && context.strict);
  const simple = { regions: [], additional: rest, names: null };
  if (patterns.length === 0 && (isClosed || (banned.length === 0 && rules.names === true))) return simple;
  const names = nameRules(context, rules.names, path);
  if (names === null) {
    if (patterns.length === 0 && banned.length === 0 && named.length === 0) return { ...simple, names: rules.names };
    throw context.refuse(path, '"propertyNames" of this kind beside named properties or patterns are not supported');
  }
  const [only, ...more] = patterns;
  if (only && more.length === 0 && isClosed && named.length === 0 && banned.length === 0 && names.length === 0) {
    const [pattern, schema] = only;
    if (isPlain(pattern)) {
      return {
        regions: [{ expression: context.strict ? pattern : anchored(pattern), schema }],
        additional: false,
        names: null,
      };
    }
  }
  if (patterns.length > MAX_PATTERNS)
    throw context.refuse(path, `more than ${MAX_PATTERNS} "patternProperties" are not supported`);
  try {
    const taken: TextRule[] = named.length + banned.length > 0 ? [{ notOneOf: [...named, ...banned] }] : [];
    const regions = splitRegions(patterns, [...names, ...taken], isClosed ? false : (rest ?? true));
    return { regions, additional: false, names: null };
  } catch (error) {
    if (!(error instanceof NoAutomaton)) throw error;
    throw context.refuse(
      path,
      'the names of other properties cannot be told apart here: "patternProperties", "propertyNames" or "not" are too large',
    );
  }
}

interface Region {
  rules: TextRule[];
  schemas: unknown[];
}

function splitRegions(patterns: [string, unknown][], common: TextRule[], rest: unknown): KeyRegion[] {
  const demand = (rules: TextRule[]) => ({ rules: [...rules, ...common], min: 0, max: null, whole: false });
  let regions: Region[] = [{ rules: [], schemas: [] }];
  for (const [pattern, schema] of patterns) {
    regions = regions
      .flatMap(({ rules, schemas }): Region[] => [
        { rules: [...rules, { pattern }], schemas: [...schemas, schema] },
        { rules: [...rules, { pattern, isNot: true }], schemas },
      ])
      .filter(({ rules }) => !isUnmeetable(demand(rules)));
  }
  return regions.flatMap(({ rules, schemas }) => {
    const schema = schemas.length === 0 ? rest : schemas.reduce(both);
    if (schema === false) return [];
    const expression = expressionFor(demand(rules));
    return expression === null ? [] : [{ expression, schema }];
  });
}

/** `propertyNames` as rules of texts; null: it asks for something else. */
function nameRules(context: SchemaContext, names: unknown, path: Path): TextRule[] | null {
  if (names === true) return [];
  const lowered = context.schema(names, [...path, 'propertyNames'], 0);
  if (lowered === true) return [];
  if (lowered === false) return [{ pattern: '^$' }, { pattern: '^$', isNot: true }];
  const options = Array.isArray(lowered.anyOf) ? lowered.anyOf : [lowered];
  const strings = options.filter(
    (option) =>
      isObject(option) && (option.type === 'string' || option.enum !== undefined || Object.keys(option).length === 0),
  );
  const [only, ...more] = strings;
  if (only === undefined || more.length > 0) return null;
  if (Array.isArray(only.enum)) {
    const texts = only.enum.filter((value: unknown) => typeof value === 'string').map(escaped);
    return [{ pattern: `^(?:${texts.join('|')})$` }];
  }
  if (only.minLength !== undefined || only.maxLength !== undefined) {
    return [{ pattern: `^[\\s\\S]{${only.minLength ?? 0},${only.maxLength ?? ''}}$` }];
  }
  if (typeof only.pattern === 'string' && only.pattern.startsWith(GRAMMAR_MARK)) return null;
  // Patterns are the whole text by now.
  return textRules(context, only, path).map((rule) =>
    'pattern' in rule ? { pattern: `^(?:${rule.pattern})$` } : rule,
  );
}

const escaped = (text: string) => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
