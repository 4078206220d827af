/** The form that a request asks of its answer, from OpenAI's `response_format` and SGLang's fields, as one grammar source. */
import { fault, RequestError, requireBoolean } from '../error-response.js';
import { isObject, isUnset } from '../json-value.js';
import { LIMITS } from '../limits.js';
import { jsonDepth } from '../request-body.js';
import { byHand } from '../schemas/fields.js';
import { responseFormatForm, schemaForm, tagForm, textOnlyForm } from '../schemas/forms.js';
import { type AnswerFormat, checkRegex, checkText, schemaFormat } from './format-source.js';
import { parseStructuralTag } from './structural-tag.js';

/** Checked by `parseAnswerFormat`, which names the place at fault. */
export const formatFields = {
  response_format: byHand(responseFormatForm),
  json_schema: byHand(schemaForm),
  regex: byHand(textOnlyForm),
  ebnf: byHand(textOnlyForm),
  structural_tag: byHand(tagForm),
};

export interface FormatRequest {
  response_format?: unknown;
  json_schema?: unknown;
  regex?: unknown;
  ebnf?: unknown;
  structural_tag?: unknown;
}

/** Any JSON object. */
const JSON_OBJECT = '{"type":"object"}';

/** Null where any text will do. Throws E_INVALID_REQUEST, E_GRAMMAR_INVALID or E_GRAMMAR_LIMIT. */
export function parseAnswerFormat(request: FormatRequest, prefix = ''): AnswerFormat | null {
  const asked = (Object.keys(formatFields) as (keyof FormatRequest)[]).filter(
    (field) => !isNone(field, request[field]),
  );
  const formats = asked
    .map((field) => parseField(field, request[field], `${prefix}${field}`))
    .filter((format) => format !== null);
  if (formats.length > 1) throw fault(`${prefix}${asked[1]}`, `cannot be asked for beside ${asked[0]}`);
  return formats[0] ?? null;
}

/** SGLang's clients send an empty text where they want none of its own forms. */
function isNone(field: keyof FormatRequest, value: unknown): boolean {
  return isUnset(value) || (value === '' && field !== 'response_format');
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
      return jsonObjectFormat(param);
    case 'json_schema':
      if (!isObject(value.json_schema)) throw fault(`${param}.json_schema`, 'must be an object with a schema');
      return namedSchemaFormat(value.json_schema, `${param}.json_schema`);
    case 'structural_tag':
      return parseStructuralTag(value, param);
    default:
      throw fault(`${param}.type`, 'must be one of text, json_object, json_schema, structural_tag');
  }
}

export function jsonObjectFormat(param: string): AnswerFormat {
  return { kind: 'json_schema', text: JSON_OBJECT, strict: false, anyOrder: false, param };
}

/** OpenAI's schema with a name. */
export function namedSchemaFormat(named: Record<string, unknown>, param: string): AnswerFormat {
  const schema = named.schema ?? named.schema_;
  if (isUnset(schema)) throw fault(`${param}.schema`, 'is required');
  if (!isUnset(named.name) && typeof named.name !== 'string') throw fault(`${param}.name`, 'must be a string');
  requireBoolean(named.strict, `${param}.strict`);
  return schemaFormat(schema, named.strict !== false, `${param}.schema`);
}

function textFormat(kind: 'regex' | 'ebnf', value: unknown, maxBytes: number, param: string): AnswerFormat {
  if (typeof value !== 'string') throw fault(param, 'must be a string');
  checkText(value, maxBytes, param);
  if (kind === 'regex') checkRegex(value, param);
  return { kind, text: value, strict: true, anyOrder: false, param };
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
