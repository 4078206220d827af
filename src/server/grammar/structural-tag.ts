/** Structural tags: text in which some parts follow a grammar. XGrammar's own format, and SGLang's older one. */

import { fault, RequestError } from '../error-response.js';
import { isObject } from '../json-value.js';
import { LIMITS } from '../limits.js';
import { type AnswerFormat, checkRegex, checkText, schemaText } from './format-source.js';
import { withinWork } from './work-limit.js';

/** Throws E_INVALID_REQUEST, E_GRAMMAR_INVALID or E_GRAMMAR_LIMIT naming the place. */
export function parseStructuralTag(value: unknown, param: string): AnswerFormat {
  if (!isObject(value)) throw fault(param, 'must be an object');
  if (Buffer.byteLength(JSON.stringify(value)) > LIMITS.schemaBytes) {
    throw new RequestError(`${param}: must be at most ${LIMITS.schemaBytes} bytes long`, {
      param,
      code: 'E_GRAMMAR_LIMIT',
    });
  }
  const isOlder = value.format === undefined;
  const format = withinWork(param, () =>
    isOlder ? triggeredTags(value, param) : checkFormat(value.format, `${param}.format`, 0),
  );
  return structuralTag(format, param);
}

export function structuralTag(format: unknown, param: string): AnswerFormat {
  const text = JSON.stringify({ type: 'structural_tag', format });
  return { kind: 'structural_tag', text, strict: true, anyOrder: false, param };
}

/** SGLang's `structures` with `triggers`. */
function triggeredTags(value: Record<string, unknown>, param: string): unknown {
  const { structures, triggers } = value;
  if (!Array.isArray(structures) || structures.length === 0)
    throw fault(`${param}.structures`, 'must be a list that is not empty');
  const isList = Array.isArray(triggers) && triggers.length > 0;
  if (!isList || triggers.some((each) => typeof each !== 'string' || each === '')) {
    throw fault(`${param}.triggers`, 'must be a list of strings that is not empty');
  }
  const tags = structures.map((structure, index) => {
    const at = `${param}.structures.${index}`;
    if (!isObject(structure)) throw fault(at, 'must be an object');
    const { begin, end } = structure;
    if (typeof begin !== 'string' || typeof end !== 'string') throw fault(at, 'must have a begin and an end');
    const schema = schemaText(structure.schema ?? structure.schema_ ?? true, true, `${at}.schema`);
    return { type: 'tag', begin, content: { type: 'json_schema', json_schema: JSON.parse(schema) }, end };
  });
  return { type: 'triggered_tags', triggers, tags };
}

/** A copy whose schemas, expressions and grammars have been checked, wherever they are in it. */
function checkFormat(value: unknown, param: string, depth: number): unknown {
  if (depth > LIMITS.schemaDepth) {
    throw new RequestError(`${param}: is nested deeper than ${LIMITS.schemaDepth} levels`, {
      param,
      code: 'E_GRAMMAR_LIMIT',
    });
  }
  if (Array.isArray(value)) return value.map((each, index) => checkFormat(each, `${param}.${index}`, depth + 1));
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => {
      const at = `${param}.${key}`;
      if (key === 'json_schema') return [key, JSON.parse(schemaText(each, true, at))];
      if (key === 'pattern' && typeof each === 'string') {
        checkText(each, LIMITS.regexBytes, at);
        checkRegex(each, at);
      }
      if (key === 'grammar' && typeof each === 'string') checkText(each, LIMITS.ebnfBytes, at);
      return [key, checkFormat(each, at, depth + 1)];
    }),
  );
}
