/** Grammar sources as requests give them: a checked text, and the field that it came from. */
import type { GrammarSource } from '../../addon/binding.js';
import { fault, RequestError } from '../error-response.js';
import { LIMITS } from '../limits.js';
import { normalizeSchema } from './json-schema.js';
import { catastropheOf } from './text/regex-cost.js';
import { parseRegex } from './text/regex-syntax.js';
import { withinWork } from './work-limit.js';

export interface AnswerFormat extends GrammarSource {
  /** The field that asks for it, for errors. */
  param: string;
}

/** `strict`: objects have the properties that the schema names and no others, as SGLang has it. */
export function schemaFormat(schema: unknown, strict: boolean, param: string): AnswerFormat {
  return { kind: 'json_schema', text: schemaText(schema, strict, param), strict, anyOrder: false, param };
}

/** The schema as the compiler takes it. */
export function schemaText(schema: unknown, strict: boolean, param: string): string {
  return JSON.stringify(normalizeSchema(schema, { strict, param }));
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

/** Throws E_GRAMMAR_LIMIT for an expression that is catastrophic. What cannot be read here the compiler complains of. */
export function checkRegex(text: string, param: string): void {
  const problem = withinWork(param, () => {
    const node = parseRegex(text);
    return node && catastropheOf(node);
  });
  if (problem) throw new RequestError(`${param}: the expression ${problem}`, { param, code: 'E_GRAMMAR_LIMIT' });
}
