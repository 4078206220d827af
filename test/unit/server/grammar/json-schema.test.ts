import { describe, expect, it } from 'vitest';
import { normalizeSchema } from '../../../../src/server/grammar/json-schema.js';
import { expressionFor, type TextRule } from '../../../../src/server/grammar/text/texts.js';

const strict = (schema: unknown) => normalizeSchema(schema, { strict: true, param: 'p' });
const open = (schema: unknown) => normalizeSchema(schema, { strict: false, param: 'p' });

const expression = (...rules: TextRule[]) => expressionFor({ rules, min: 0, max: null, whole: false }) as string;

describe('normalizeSchema', () => {
  it('leaves alone what the compiler takes as it is, without notes', () => {
    const schema = {
      type: 'object',
      title: 'T',
      properties: {
        a: { type: 'string', description: 'd', minLength: 2 },
        b: { type: 'array', items: { type: 'null' } },
      },
      required: ['a'],
      additionalProperties: false,
    };
    expect(strict(schema)).toEqual({
      type: 'object',
      properties: { a: { type: 'string', minLength: 2 }, b: { type: 'array', items: { type: 'null' } } },
      required: ['a'],
      additionalProperties: false,
    });
  });

  it.each([
    ['not', { properties: { x: { not: { uniqueItems: true } } } }, 'properties.x'],
    ['if', JSON.parse('{"if": {"prefixItems": [{}]}, "then": {"required": ["a"]}}'), ''],
    [
      'prefixItems',
      {
        oneOf: [
          { type: 'array', prefixItems: [{}] },
          { type: 'array', prefixItems: [{}, {}] },
        ],
      },
      'oneOf.0',
    ],
    ['uniqueItems', { type: 'array', uniqueItems: true }, ''],
    ['contains', { type: 'array', contains: {} }, ''],
    ['multipleOf', { type: 'number', multipleOf: 0.5 }, ''],
    ['$dynamicRef', { items: { $dynamicRef: '#x' } }, 'items'],
  ])('refuses %s, and says where', (keyword, schema, place) => {
    const fault = expect.objectContaining({ code: 'E_GRAMMAR_INVALID', param: 'p' });
    expect(() => strict(schema)).toThrowError(fault);
    expect(() => strict(schema)).toThrowError(
      new RegExp(`"\\${keyword}".*${place}`.replace('\\u', 'u').replace(/\\([a-z])/, '$1')),
    );
  });

  const LAST = 2 ** 63 - 1024;
  it.each<[string, object, unknown]>([
    ['the largest 64-bit number', { maximum: 2 ** 63 - 1 }, { maximum: LAST }],
    ['the least', { minimum: -(2 ** 63) }, { minimum: -LAST }],
    ['unsigned ones', { minimum: 0, maximum: 2 ** 64 }, { minimum: 0, maximum: LAST }],
    [
      'bounds that are left out',
      { exclusiveMinimum: -1e308, exclusiveMaximum: 1e308 },
      { minimum: -LAST, maximum: LAST },
    ],
    ['two bounds', { maximum: 5, exclusiveMaximum: 1e308 }, { maximum: 5 }],
    ['what JavaScript tells apart', { maximum: 2 ** 53 - 1 }, { maximum: 2 ** 53 - 1 }],
  ])('keeps bounds of whole numbers within those of the compiler: %s', (_, bounds, kept) => {
    expect(strict({ type: 'integer', ...bounds })).toEqual({ type: 'integer', ...(kept as object) });
  });

  it.each([
    { type: 'integer', minimum: 1e300 },
    { type: 'integer', exclusiveMaximum: -1e300 },
    { type: 'integer', minimum: 1e300, maximum: 1e301 },
  ])('refuses whole numbers that nobody can write: %j', (schema) => {
    expect(() => strict(schema)).toThrowError(/no value satisfies/);
  });

  it.each([
    [
      { type: 'string', maxLength: 1e308 },
      { type: 'string', maxLength: 2 ** 31 - 1 },
    ],
    [
      { type: 'string', minLength: 2 ** 40 },
      { type: 'string', minLength: 2 ** 31 - 1 },
    ],
    [
      { type: 'array', items: true, maxItems: 1e308 },
      { type: 'array', items: true, maxItems: 2 ** 31 - 1 },
    ],
  ])('takes counts of any size: %j', (schema, compiled) => {
    expect(strict(schema)).toEqual(compiled);
  });

  it.each(['{"const": 1e400}', '{"enum": [1, -1e400]}', '{"properties": {"a": {"maximum": 1e999}}}'])(
    'refuses numbers that JSON cannot hold: %s',
    (text) => {
      expect(() => strict(JSON.parse(text))).toThrowError(/too large/);
    },
  );

  it.each([{ type: 'array', uniqueItems: false }, { if: { type: 'null' } }, { dependentRequired: {} }])(
    'takes %j, which asks for nothing',
    (schema) => {
      expect(() => strict(schema)).not.toThrow();
    },
  );

  it('looks up references, and lets a schema contain itself', () => {
    const schema = {
      $defs: {
        node: { type: 'object', properties: { next: { anyOf: [{ $ref: '#/$defs/node' }, { type: 'null' }] } } },
      },
      $ref: '#/$defs/node',
    };
    expect(strict(schema)).toEqual({
      $ref: '#/$defs/r0',
      $defs: { r0: { type: 'object', properties: { next: { anyOf: [{ $ref: '#/$defs/r0' }, { type: 'null' }] } } } },
    });
    expect(strict({ definitions: { 'a/b~c': { type: 'null' } }, $ref: '#/definitions/a~1b~0c' })).toMatchObject({
      $defs: { r0: { type: 'null' } },
    });
  });

  it.each([
    [{ $ref: '#/$defs/none' }, /leads nowhere/],
    [{ $ref: 'https://example.org/s.json' }, /only supported within the schema/],
    [{ $defs: { a: { $ref: '#/$defs/a' } }, $ref: '#/$defs/a' }, /leads back to itself/],
    [{ $defs: { a: { allOf: [{ $ref: '#/$defs/a' }] } }, $ref: '#/$defs/a' }, /leads back to itself/],
    [{ type: 'any' }, /"type" must be one of/],
    [{ enum: [] }, /no value satisfies/],
    [{ allOf: [{ type: 'string' }, { type: 'number' }] }, /no value satisfies/],
    [{ properties: 3 }, /"properties" must be an object/],
    [{ required: 'a' }, /"required" must be a list/],
    ['x', /must be a JSON schema/],
  ])('refuses %j', (schema, message) => {
    expect(() => strict(schema)).toThrowError(message);
  });

  it('merges what stands beside a reference, and the parts of allOf', () => {
    const schema = {
      $defs: { base: { type: 'object', properties: { a: { type: 'integer', minimum: 1 } }, required: ['a'] } },
      $ref: '#/$defs/base',
      allOf: [{ properties: { a: { maximum: 5 }, b: { type: 'null' } }, required: ['b'] }],
    };
    expect(strict(schema)).toEqual({
      type: 'object',
      properties: { a: { type: 'integer', minimum: 1, maximum: 5 }, b: { type: 'null' } },
      required: ['a', 'b'],
    });
    // Drafts up to 7 do not look beside a reference.
    const old = { ...schema, $schema: 'http://json-schema.org/draft-07/schema#' };
    expect(strict(old)).toMatchObject({ $ref: '#/$defs/r0' });
  });

  it('gives every option what stands beside the options', () => {
    expect(strict({ type: 'object', properties: { a: { type: 'null' } }, anyOf: [{ required: ['a'] }, {}] })).toEqual({
      anyOf: [
        { type: 'object', properties: { a: { type: 'null' } }, required: ['a'] },
        { type: 'object', properties: { a: { type: 'null' } } },
      ],
    });
    expect(strict({ type: 'string', oneOf: [{ type: 'number' }, { minLength: 1 }] })).toEqual({
      type: 'string',
      minLength: 1,
    });
  });

  it('keeps of enum and const what the rest accepts', () => {
    expect(strict({ type: 'integer', minimum: 2, enum: [1, 2, 3.5, '4', 5] })).toEqual({ enum: [2, 5] });
    expect(strict({ const: 'a', enum: ['a', 'b'] })).toEqual({ enum: ['a'] });
    expect(strict({ enum: ['a', 'bab', 'c'], pattern: 'a' })).toEqual({ enum: ['a', 'bab'] });
    expect(() => strict({ enum: [['a']], items: { type: 'null' } })).toThrowError(/"items" beside "enum"/);
  });

  it('speaks the newest draft', () => {
    expect(strict({ type: 'array', items: [{ type: 'null' }], additionalItems: false })).toEqual({
      type: 'array',
      prefixItems: [{ type: 'null' }],
      items: false,
      maxItems: 1,
    });
    expect(strict({ type: 'number', minimum: 1, exclusiveMinimum: true })).toEqual({
      type: 'number',
      exclusiveMinimum: 1,
    });
    expect(strict({ type: 'integer', minimum: 0.5, maximum: 3.5 })).toEqual({
      type: 'integer',
      minimum: 1,
      maximum: 3,
    });
    expect(strict({ type: 'number', multipleOf: 1 })).toEqual({ type: 'integer' });
  });

  it('takes a schema without a type for that of its keywords, unless all of the specification is wanted', () => {
    expect(strict({ properties: { a: {} } })).toEqual({ type: 'object', properties: { a: {} } });
    expect(open({ minLength: 1 })).toEqual({
      anyOf: [
        { type: 'null' },
        { type: 'boolean' },
        { type: 'number' },
        { type: 'string', minLength: 1 },
        { type: 'array' },
        { type: 'object' },
      ],
    });
    expect(open({ type: 'string', pattern: 'a|b' })).toEqual({
      type: 'string',
      pattern: '^[\\s\\S]*(?:a|b)[\\s\\S]*$',
    });
    expect(strict({ type: 'string', pattern: 'a|b' })).toEqual({ type: 'string', pattern: 'a|b' });
  });

  it('counts the characters of a simple pattern', () => {
    const pattern = (schema: object) => (strict({ type: 'string', ...schema }) as { pattern: string }).pattern;
    expect(pattern({ pattern: '^[a-z]+$', maxLength: 5 })).toBe('^[a-z]{1,5}$');
    expect(pattern({ pattern: '^\\d*$', minLength: 2 })).toBe('^\\d{2,}$');
  });

  it('leaves out a property that may not be there', () => {
    expect(strict({ type: 'object', properties: { a: false, b: {} }, additionalProperties: false })).toMatchObject({
      properties: { b: {} },
    });
    expect(open({ type: 'object', properties: { a: false } })).toEqual({
      type: 'object',
      patternProperties: { [expression({ notOneOf: ['a'] })]: true },
      additionalProperties: false,
    });
  });

  it('gives a property all that its name leads to', () => {
    const named = { properties: { a1: { minimum: 1 }, b: {} }, patternProperties: { '^a': { type: 'integer' } } };
    expect(strict({ type: 'object', ...named })).toEqual({
      type: 'object',
      properties: { a1: { type: 'integer', minimum: 1 }, b: {} },
      // Not once more, as one of the others.
      patternProperties: { [expression({ pattern: '^a' }, { notOneOf: ['a1', 'b'] })]: { type: 'integer' } },
      additionalProperties: false,
    });
    expect(open({ type: 'object', properties: { a: {} }, patternProperties: { '.*': { type: 'null' } } })).toEqual({
      type: 'object',
      properties: { a: { type: 'null' } },
      additionalProperties: { type: 'null' },
    });
  });

  it('has caps', () => {
    let deep: object = { type: 'null' };
    for (let i = 0; i < 100; i++) deep = { type: 'array', items: deep };
    const cases = [deep, { enum: ['x'.repeat(70_000)] }];
    let doubled: object = { type: 'null' };
    for (let i = 0; i < 16; i++) doubled = { anyOf: [doubled, doubled] };
    for (const schema of [...cases, doubled]) {
      expect(() => strict(schema)).toThrowError(expect.objectContaining({ code: 'E_GRAMMAR_LIMIT' }));
    }
  });
});
