/** Which keywords of JSON Schema (drafts 4 to 2020-12) there are, and what becomes of each. */

/**
 * What no keyword says: the rest that negations leave. Never in a request; the names begin with a character that no
 * keyword has.
 */
export const REST = {
  /** Schemas of which one has to be satisfied; those that cannot be enforced may be left out. */
  some: '\0some',
  /** A keyword whose opposite there are no words for. */
  unsaid: '\0unsaid',
  /** Values of any type that it is not. */
  notOneOf: '\0notOneOf',
  /** `TextRule`s of a string. */
  texts: '\0texts',
  /** A number with a fraction. */
  notInteger: '\0notInteger',
  notMultipleOf: '\0notMultipleOf',
  /** Lists of names: for each list, some property that is not in it. */
  others: '\0others',
} as const;

/** Types whose values a keyword speaks about; values of other types pass it. */
export const TYPE_KEYWORDS: Record<string, readonly string[]> = {
  object: [
    ...['properties', 'patternProperties', 'additionalProperties', 'unevaluatedProperties', 'propertyNames'],
    ...['required', 'minProperties', 'maxProperties', REST.others],
  ],
  array: ['items', 'prefixItems', 'additionalItems', 'unevaluatedItems', 'minItems', 'maxItems'],
  string: ['minLength', 'maxLength', 'pattern', 'format', REST.texts],
  number: [
    ...['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf'],
    ...[REST.notInteger, REST.notMultipleOf],
  ],
};

const APPLICATORS = ['$ref', 'allOf', 'anyOf', 'oneOf', 'enum', 'const', 'type', REST.notOneOf, REST.some, REST.unsaid];

/** Brought into the words of the others by `impliedBy`. */
export const LOGIC = ['not', 'if', 'dependentRequired', 'dependentSchemas', 'dependencies'];

/** Keywords that say which values are valid. All others are notes, by the specification too. */
export const ASSERTIONS: ReadonlySet<string> = new Set([...APPLICATORS, ...Object.values(TYPE_KEYWORDS).flat()]);

/** Keyword -> whether it has an effect in this schema, and would be left out. */
type Effect = (value: unknown, schema: Record<string, unknown>) => boolean;
const always: Effect = () => true;

export const UNSUPPORTED: Record<string, Effect> = {
  uniqueItems: (value, schema) => value !== false && !(typeof schema.maxItems === 'number' && schema.maxItems <= 1),
  contains: always,
  $dynamicRef: always,
  $recursiveRef: always,
  extends: always,
  disallow: always,
  divisibleBy: always,
};

export const ALL_TYPES = ['null', 'boolean', 'number', 'string', 'array', 'object'] as const;
