/** Whether an answer is what was asked for. Pure. */
import { Validator } from '@cfworker/json-schema';
import { type Choices, parseSchema } from './params.js';

export interface Verdict {
  isValid: boolean;
  says: string;
  /** Where it differs from the schema; at most a few. */
  faults: string[];
  /** Undefined where the text is no JSON. */
  value: unknown;
}

const MAX_FAULTS = 5;

export function judge(text: string, { format, schema }: Pick<Choices, 'format' | 'schema'>): Verdict {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { isValid: false, says: 'Not complete JSON', faults: [], value: undefined };
  }
  if (format === 'json_object') {
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    return { isValid: isObject, says: isObject ? 'A JSON object' : 'JSON, but no object', faults: [], value };
  }
  const { valid, errors } = new Validator(parseSchema(schema), '2020-12', false).validate(value);
  // Errors of a place come with those of all that it lies in, which say nothing more.
  const inner = errors.filter(({ keyword }) => !['properties', 'items', '$ref', 'allOf'].includes(keyword));
  const faults = inner.slice(0, MAX_FAULTS).map(({ instanceLocation, error }) => `${instanceLocation}: ${error}`);
  return { isValid: valid, says: valid ? 'Matches the schema' : 'Differs from the schema', faults, value };
}
