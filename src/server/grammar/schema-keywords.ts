/** Which keywords of JSON Schema (drafts 4 to 2020-12) there are, and what becomes of each. */

/** Types whose values a keyword speaks about; values of other types pass it. */
export const TYPE_KEYWORDS: Record<string, readonly string[]> = {
  object: [
    ...['properties', 'patternProperties', 'additionalProperties', 'unevaluatedProperties', 'propertyNames'],
    ...['required', 'minProperties', 'maxProperties'],
  ],
  array: ['items', 'prefixItems', 'additionalItems', 'unevaluatedItems', 'minItems', 'maxItems'],
  string: ['minLength', 'maxLength', 'pattern', 'format'],
  number: ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf'],
};

const APPLICATORS = ['$ref', 'allOf', 'anyOf', 'oneOf', 'enum', 'const', 'type'];

/** Keywords that say which values are valid. All others are notes, by the specification too. */
export const ASSERTIONS: ReadonlySet<string> = new Set([...APPLICATORS, ...Object.values(TYPE_KEYWORDS).flat()]);

/** Keyword -> whether it has an effect in this schema, and would be left out. */
type Effect = (value: unknown, schema: Record<string, unknown>) => boolean;
const always: Effect = () => true;
const isList = (value: unknown) => typeof value === 'object' && value !== null && Object.keys(value).length > 0;

export const UNSUPPORTED: Record<string, Effect> = {
  not: always,
  if: (_, schema) => schema.then !== undefined || schema.else !== undefined,
  dependentRequired: isList,
  dependentSchemas: isList,
  dependencies: isList,
  uniqueItems: (value) => value !== false,
  contains: always,
  $dynamicRef: always,
  $recursiveRef: always,
  extends: always,
  disallow: always,
  divisibleBy: always,
};

/** Formats that the grammar compiler knows; of others the specification says that they are notes. */
export const ALL_TYPES = ['null', 'boolean', 'number', 'string', 'array', 'object'] as const;
