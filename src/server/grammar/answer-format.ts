/** The form that a request asks of its answer, from OpenAI's `response_format` and SGLang's fields, as one grammar source. */
import { z } from 'zod';
import type { GrammarSource } from '../../addon/binding.js';
import { RequestError } from '../error-response.js';
import { LIMITS } from '../limits.js';
import { jsonDepth } from '../request-body.js';
import { normalizeSchema } from './json-schema.js';
import { parseStructuralTag } from './structural-tag.js';

/** Checked by `parseAnswerFormat`, which names the place at fault. */
export const formatFields = {
  response_format: z.unknown().optional(),
  json_schema: z.unknown().optional(),
  regex: z.unknown().optional(),
  ebnf: z.unknown().optional(),
  structural_tag: z.unknown().optional(),
};

export interface FormatRequest {
  response_format?: unknown;
  json_schema?: unknown;
  regex?: unknown;
  ebnf?: unknown;
  structural_tag?: unknown;
}

export interface AnswerFormat extends GrammarSource {
  /** The field that asks for it, for errors. */
  param: string;
}

/** Any JSON object. */
const JSON_OBJECT = '{"type":"object"}';

export function fault(param: string, message: string): RequestError {
  return new RequestError(`${param}: ${message}`, { param });
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Null where any text will do. Throws E_INVALID_REQUEST, E_GRAMMAR_INVALID or E_GRAMMAR_LIMIT. */
export function parseAnswerFormat(request: FormatRequest, prefix = ''): AnswerFormat | null {
  const asked = (Object.keys(formatFields) as (keyof FormatRequest)[]).filter((field) => !isUnset(request[field]));
  const formats = asked
    .map((field) => parseField(field, request[field], `${prefix}${field}`))
    .filter((format) => format !== null);
  if (formats.length > 1) throw fault(`${prefix}${asked[1]}`, `cannot be asked for beside ${asked[0]}`);
  return formats[0] ?? null;
}

function isUnset(value: unknown): boolean {
  return value === undefined || value === null || value === '';
}

function parseField(field: keyof FormatRequest, value: unknown, param: string): AnswerFormat | null {
  switch (field) {
    case 'response_format':
      return parseResponseFormat(value, param);
    case 'json_schema':
      return schemaFormat(typeof value === 'string' ? parseJsonText(value, param) : value, true, param);
    case 'regex':
      return textFormat('regex', value, LIMITS.regexBytes, param);
    case 'ebnf':
      return textFormat('ebnf', value, LIMITS.ebnfBytes, param);
    case 'structural_tag':
      return parseStructuralTag(typeof value === 'string' ? parseJsonText(value, param) : value, param);
  }
}

function parseResponseFormat(value: unknown, param: string): AnswerFormat | null {
  if (!isObject(value)) throw fault(param, 'must be an object with a type');
  switch (value.type) {
    case 'text':
      return null;
    case 'json_object':
      return { kind: 'json_schema', text: JSON_OBJECT, strict: false, anyOrder: false, param };
    case 'json_schema': {
      const named = value.json_schema;
      if (!isObject(named)) throw fault(`${param}.json_schema`, 'must be an object with a schema');
      const schema = named.schema ?? named.schema_;
      if (isUnset(schema)) throw fault(`${param}.json_schema.schema`, 'is required');
      if (!isUnset(named.strict) && typeof named.strict !== 'boolean') {
        throw fault(`${param}.json_schema.strict`, 'must be true or false');
      }
      return schemaFormat(schema, named.strict !== false, `${param}.json_schema.schema`);
    }
    case 'structural_tag':
      return parseStructuralTag(value, param);
    default:
      throw fault(`${param}.type`, 'must be one of text, json_object, json_schema, structural_tag');
  }
}

/** `strict`: objects have the properties that the schema names and no others, as SGLang has it. */
export function schemaFormat(schema: unknown, strict: boolean, param: string): AnswerFormat {
  return { kind: 'json_schema', text: schemaText(schema, strict, param), strict, anyOrder: false, param };
}

/** The schema as the compiler takes it. */
export function schemaText(schema: unknown, strict: boolean, param: string): string {
  return JSON.stringify(normalizeSchema(schema, { strict, param }));
}

function textFormat(kind: 'regex' | 'ebnf', value: unknown, maxBytes: number, param: string): AnswerFormat {
  if (typeof value !== 'string') throw fault(param, 'must be a string');
  checkText(value, maxBytes, param);
  return { kind, text: value, strict: true, anyOrder: false, param };
}

/** Of a regular expression or EBNF: within the caps, and nothing that is no Unicode. */
export function checkText(text: string, maxBytes: number, param: string): void {
  if (Buffer.byteLength(text) > maxBytes) {
    throw new RequestError(`${param}: must be at most ${maxBytes} bytes long`, { param, code: 'E_GRAMMAR_LIMIT' });
  }
  const lone = /\p{Surrogate}/u.exec(text);
  if (lone) throw fault(param, `must be well-formed Unicode; character ${lone.index} is half of a pair`);
  let depth = 0;
  for (const char of text) {
    if (char === '(') depth++;
    else if (char === ')') depth--;
    if (depth > LIMITS.grammarDepth) {
      throw new RequestError(`${param}: parentheses are nested deeper than ${LIMITS.grammarDepth} levels`, {
        param,
        code: 'E_GRAMMAR_LIMIT',
      });
    }
  }
}

/** SGLang sends schemas as text. */
function parseJsonText(text: string, param: string): unknown {
  if (Buffer.byteLength(text) > LIMITS.schemaBytes) {
    throw new RequestError(`${param}: must be at most ${LIMITS.schemaBytes} bytes long`, {
      param,
      code: 'E_GRAMMAR_LIMIT',
    });
  }
  if (jsonDepth(Buffer.from(text)) > LIMITS.jsonDepth) {
    throw new RequestError(`${param}: is nested deeper than ${LIMITS.jsonDepth} levels`, {
      param,
      code: 'E_GRAMMAR_LIMIT',
    });
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw fault(param, `is not valid JSON (${(error as Error).message.replace(/,? ?"[\s\S]*$/, '').slice(0, 100)})`);
  }
}
