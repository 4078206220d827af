/** What comes out of `normalizeSchema` accepts nothing that the schema does not, by an independent validator. */
import { Ajv, type AnySchema } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { normalizeSchema } from '../../../../src/server/grammar/json-schema.js';

const options = { strict: false, validateFormats: false };
const given = new Ajv(options);
const made = new Ajv2020(options);

const ATOMS = [null, true, false, -1, 0, 1, 2, 3, 5, 10, 2.5, '', 'a', 'b', 'ab', 'abc', 'a1', 'x-1', 'A', 'é'];
const LISTS = [[], [1], ['a'], [1, 'a'], [1, 2], ['a', 'b', 'c'], [[]], [null, null, null, null]];
const OBJECTS = ['a', 'b', 'a1', 'x-1', 'z'].flatMap((name) => [
  ...[1, 5, 'a', 'b', null, [], {}].map((value) => ({ [name]: value })),
  ...[1, 'a', null].flatMap((value) => ['a', 'b', 'c'].map((other) => ({ [name]: value, [other]: 'a' }))),
]);
const INSTANCES: unknown[] = [
  ...ATOMS,
  ...LISTS,
  {},
  ...OBJECTS,
  { a: 1, b: 1, c: 1 },
  { a: { a: 1 } },
  { a: [1, 'a'] },
];

const typed = (type: string, schema: object) => ({ type, ...schema });
// Written as JSON: `then` is a word of its own.
const parse = (text: string): AnySchema => JSON.parse(text);

/** Schemas that come out as what they mean. */
const EXACT: AnySchema[] = [
  { not: { type: 'object' } },
  { not: { type: ['string', 'null', 'number'] } },
  { not: { enum: [1, 'a', null, true] } },
  { not: { const: 'a' } },
  typed('integer', { not: { enum: [0, 2, 3] } }),
  typed('number', { minimum: 0, not: { const: 2 } }),
  typed('boolean', { not: { const: true } }),
  { not: { minimum: 2 } },
  typed('integer', { not: { minimum: 2, maximum: 4 } }),
  { not: { minLength: 2 } },
  typed('string', { not: { pattern: '^a' } }),
  typed('string', { pattern: 'a', allOf: [{ pattern: 'b' }, { not: { pattern: 'c' } }] }),
  typed('string', { pattern: '^[ab]+', minLength: 2, maxLength: 2 }),
  typed('string', { pattern: '^$|^a' }),
  typed('object', { not: { required: ['a'] } }),
  typed('object', { not: { required: ['a', 'b'] } }),
  typed('object', { not: { properties: { a: { type: 'string' } }, required: ['a'] } }),
  typed('object', { properties: { a: { not: { type: 'null' } } } }),
  { not: { not: { type: 'string' } } },
  { not: { anyOf: [{ type: 'string' }, { required: ['a'] }] } },
  { not: { allOf: [{ type: 'number' }, { minimum: 3 }] } },
  { not: { oneOf: [{ type: 'number' }, { minimum: 3 }] } },
  { oneOf: [{ type: 'integer' }, { type: 'string' }] },
  { oneOf: [{ type: 'string' }, { enum: ['a', 1] }] },
  typed('object', { oneOf: [{ required: ['a'] }, { required: ['b'] }] }),
  typed('object', {
    properties: { a: { type: 'integer' } },
    oneOf: [{ required: ['a'] }, { required: ['b'] }, { required: ['c'] }],
  }),
  {
    oneOf: [
      typed('object', { properties: { a: { const: 1 } }, required: ['a'] }),
      typed('object', { properties: { a: { enum: ['a', 'b'] } }, required: ['a'] }),
    ],
  },
  {
    oneOf: [
      typed('object', { properties: { a: {}, b: {} }, additionalProperties: false }),
      typed('object', { properties: { a: {}, c: {} }, additionalProperties: false }),
    ],
  },
  parse('{"type": "object", "if": {"required": ["a"]}, "then": {"required": ["b"]}, "else": {"required": ["z"]}}'),
  parse('{"if": {"type": "string"}, "then": {"maxLength": 1}}'),
  typed('object', { dependencies: { a: ['b'] } }),
  typed('object', { dependencies: { a: { required: ['b'] }, z: ['a'] } }),
  typed('object', { properties: { a: false } }),
  typed('object', {
    properties: { a: { type: 'integer' } },
    patternProperties: { '^a': { type: 'integer' }, '1$': { minimum: 2 } },
  }),
  typed('object', { patternProperties: { '^a': false } }),
  typed('object', { patternProperties: { '^x-': {} }, properties: { a: {} }, additionalProperties: false }),
  typed('object', { propertyNames: { pattern: '^a' }, properties: { a: { type: 'integer' } } }),
  typed('object', { propertyNames: { maxLength: 1 } }),
  typed('array', { items: false }),
  typed('array', { items: [{}, false] }),
  typed('array', { uniqueItems: true, maxItems: 1 }),
  typed('number', { multipleOf: 5 }),
];

/** Of the opposite of these there are no words for all; what comes out is less. */
const NARROWER: AnySchema[] = [
  { oneOf: [{ minimum: 2 }, { maximum: 3, type: 'integer' }] },
  { not: { type: 'array', items: { type: 'integer' } } },
  { not: { patternProperties: { a: { type: 'null' } }, required: ['a'] } },
  { not: { propertyNames: { pattern: '^a' } } },
  { oneOf: [typed('array', { items: { type: 'integer' } }), typed('array', { items: { type: 'string' } })] },
  { not: { type: 'object', additionalProperties: false, properties: { a: {} } } },
];

const accepted = (validate: (value: unknown) => unknown) => INSTANCES.filter((value) => validate(value));

describe('what normalizeSchema makes', () => {
  it.each(EXACT)('%j: the same values', (schema) => {
    const wanted = accepted(given.compile(schema));
    expect(accepted(made.compile(normalize(schema)))).toEqual(wanted);
  });

  it.each(NARROWER)('%j: no others', (schema) => {
    const fewer = accepted(made.compile(normalize(schema)));
    expect(fewer.length).toBeGreaterThan(3);
    expect(fewer.filter((value) => !given.validate(schema, value))).toEqual([]);
  });

  it.each([
    ['{"$ref": "#"}', /leads back to itself|without end/],
    ['{"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}', /without end/],
    ['{"$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}]}}, "$ref": "#/$defs/a"}', /without end|leads back/],
    ['{"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}', /without end/],
    ['{"type": "array", "items": {"$ref": "#"}, "minItems": 1}', /without end/],
  ])('%s, which no finite value satisfies, is refused', (text, message) => {
    expect(() => normalize(JSON.parse(text))).toThrowError(message);
  });

  it('says so where nothing is left but what there are no words for', () => {
    const named = (name: string) => ({ not: { propertyNames: { not: { const: name } } } });
    expect(() => normalize({ type: 'object', allOf: [named('a'), named('b')] })).toThrowError(
      /"propertyNames" is not supp/,
    );
  });

  it.each([
    '{"type": "object", "properties": {"a": {"$ref": "#"}}}',
    '{"type": "array", "items": {"$ref": "#"}}',
    '{"$defs": {"a": {"anyOf": [{"type": "null"}, {"type": "array", "items": {"$ref": "#/$defs/a"}, "minItems": 1}]}}, "$ref": "#/$defs/a"}',
  ])('%s contains itself, and may end', (text) => {
    expect(() => normalize(JSON.parse(text))).not.toThrow();
  });

  it('ends soon, whatever it is given', () => {
    const query = { oneOf: ['#/$defs/a', '#/$defs/b', '#/$defs/c'].map(($ref) => ({ $ref })) };
    const recursive = {
      $defs: Object.fromEntries(
        ['a', 'b', 'c'].map((name) => [name, { properties: { [name]: query }, required: [name] }]),
      ),
      $ref: '#/$defs/a',
    };
    const patterns = Object.fromEntries(Array.from({ length: 8 }, (_, i) => [`${i}.*x.{9}`, { minimum: i }]));
    const strings = Array.from({ length: 300 }, (_, i) => ({
      type: 'string',
      pattern: `^(a|b.c)*${i}`,
      maxLength: 900,
    }));
    for (const schema of [recursive, { patternProperties: patterns }, { prefixItems: strings }]) {
      const started = process.cpuUsage();
      try {
        normalize(schema);
      } catch (error) {
        expect(error).toMatchObject({ code: expect.stringMatching(/^E_GRAMMAR_(LIMIT|INVALID)$/) });
      }
      const { user } = process.cpuUsage(started);
      expect(user / 1e6).toBeLessThan(5);
    }
  });
});

function normalize(schema: AnySchema): AnySchema {
  return normalizeSchema(schema, { strict: false, param: 'p' });
}
