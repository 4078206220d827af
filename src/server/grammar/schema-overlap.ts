/** Whether a schema can be told to accept nothing without working all of it out. */

import { RequestError } from '../error-response.js';
import { isObject } from '../json-value.js';

import { ALL_TYPES, REST } from './schema-keywords.js';
import { type Schema, type SchemaObject, valuesOf } from './schema-merge.js';
import { isUnmeetable, NoAutomaton, type TextRule } from './text/texts.js';

/** What it takes of whoever works on the whole schema; all may throw a RequestError. */
export interface Parts {
  /** Without `$ref` and `allOf`. */
  flatten(schema: unknown): Schema;
  merge(a: Schema, b: Schema): Schema;
  accepts(value: unknown, schema: SchemaObject): boolean;
}

const MAX_DEPTH = 6;
const MAX_STEPS = 5_000;

export class OverlapFinder {
  #numSteps = 0;

  constructor(private readonly parts: Parts) {}

  /** False: there may be values that satisfy both. */
  areDisjoint(a: unknown, b: unknown): boolean {
    return this.#isImpossible({ allOf: [a, b] }, 0);
  }

  #isImpossible(schema: unknown, depth: number): boolean {
    if (depth > MAX_DEPTH || ++this.#numSteps > MAX_STEPS) return false;
    try {
      const flat = this.parts.flatten(schema);
      return typeof flat === 'boolean' ? !flat : this.#isFlatImpossible(flat, depth);
    } catch (error) {
      // What is not supported is told when it is needed.
      const isRefused = error instanceof RequestError && error.code === 'E_GRAMMAR_INVALID';
      if (isRefused || error instanceof NoAutomaton) return false;
      throw error;
    }
  }

  #isFlatImpossible(schema: SchemaObject, depth: number): boolean {
    for (const key of ['anyOf', 'oneOf', REST.some]) {
      const options = schema[key];
      if (!Array.isArray(options)) continue;
      const { [key]: _, ...base } = schema;
      return options.every((option) => this.#isImpossible({ allOf: [base, option] }, depth + 1));
    }
    if (schema[REST.unsaid] !== undefined) return false;
    const values = valuesOf(schema);
    if (values !== null) return values.every((value) => !this.parts.accepts(value, schema));
    const types = schema.type === undefined ? [...ALL_TYPES] : [schema.type].flat();
    return types.every((type) => this.#hasNone(String(type), schema, depth));
  }

  #hasNone(type: string, schema: SchemaObject, depth: number): boolean {
    switch (type) {
      case 'object':
        return this.#hasNoObject(schema, depth);
      case 'array':
        return number(schema.minItems, 0) > number(schema.maxItems, Number.POSITIVE_INFINITY);
      case 'string':
        return hasNoString(schema);
      case 'number':
      case 'integer':
        return (
          number(schema.minimum, Number.NEGATIVE_INFINITY) > number(schema.maximum, Number.POSITIVE_INFINITY) ||
          number(schema.exclusiveMinimum, Number.NEGATIVE_INFINITY) >=
            number(schema.maximum, Number.POSITIVE_INFINITY) ||
          number(schema.minimum, Number.NEGATIVE_INFINITY) >=
            number(schema.exclusiveMaximum, Number.POSITIVE_INFINITY) ||
          (type === 'integer' && schema[REST.notInteger] === true)
        );
      case 'null':
        return excludes(schema, [null]);
      case 'boolean':
        return excludes(schema, [true, false]);
      default:
        return false;
    }
  }

  #hasNoObject(schema: SchemaObject, depth: number): boolean {
    if (number(schema.minProperties, 0) > number(schema.maxProperties, Number.POSITIVE_INFINITY)) return true;
    const properties = isObject(schema.properties) ? schema.properties : {};
    const required = Array.isArray(schema.required) ? (schema.required as string[]) : [];
    const others = schema.patternProperties === undefined ? (schema.additionalProperties ?? true) : true;
    return required.some((name) => {
      const property = Object.hasOwn(properties, name) ? properties[name] : others;
      return property === false || (isObject(property) && this.#isImpossible(property, depth + 1));
    });
  }
}

const number = (value: unknown, otherwise: number) => (typeof value === 'number' ? value : otherwise);

function excludes(schema: SchemaObject, values: unknown[]): boolean {
  const excluded = schema[REST.notOneOf];
  return Array.isArray(excluded) && values.every((value) => (excluded as unknown[]).includes(value));
}

function hasNoString(schema: SchemaObject): boolean {
  const [min, max] = [number(schema.minLength, 0), typeof schema.maxLength === 'number' ? schema.maxLength : null];
  if (max !== null && min > max) return true;
  const rules: TextRule[] = Array.isArray(schema[REST.texts]) ? [...(schema[REST.texts] as TextRule[])] : [];
  // One expression has some text or other.
  if (rules.length === 0) return false;
  if (typeof schema.pattern === 'string') rules.push({ pattern: schema.pattern });
  return isUnmeetable({ rules, min: 0, max: null, whole: false });
}
