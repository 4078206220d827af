/** `text.format` of the Responses API: the form of the answer, written flat. */

import { fault } from '../error-response.js';
import { jsonObjectFormat, namedSchemaFormat } from '../grammar/answer-format.js';
import type { AnswerFormat } from '../grammar/format-source.js';
import { isObject, isUnset } from '../json-value.js';

/** Null where any text will do. Throws E_INVALID_REQUEST, E_GRAMMAR_INVALID or E_GRAMMAR_LIMIT naming `text...`. */
export function parseTextFormat(text: unknown): AnswerFormat | null {
  if (isUnset(text)) return null;
  if (!isObject(text)) throw fault('text', 'must be an object');
  const { format } = text;
  if (isUnset(format)) return null;
  if (!isObject(format)) throw fault('text.format', 'must be an object with a type');
  switch (format.type) {
    case 'text':
      return null;
    case 'json_object':
      return jsonObjectFormat('text.format');
    case 'json_schema':
      return namedSchemaFormat(format, 'text.format');
    default:
      throw fault('text.format.type', 'must be one of text, json_object, json_schema');
  }
}
