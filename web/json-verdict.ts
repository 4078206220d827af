/** Whether an answer is what was asked for. Pure. */
import { Validator } from '@cfworker/json-schema';
import { type Choices, parseSchema } from './params.js';

export interface Verdict {
  /** Null: it cannot be told here. */
  isValid: boolean | null;
  says: string;
  /** Where it differs from the schema; at most a few. */
  faults: string[];
  /** Undefined where the text is no JSON. */
  value: unknown;
  /** As text for a person: laid out, or as it came. */
  shown: string;
}

const MAX_FAULTS = 5;
/** Deeper JSON is shown as it came: laid out, each level takes a longer line. */
const MAX_DEPTH = 64;

export function judge(text: string, { format, schema }: Pick<Choices, 'format' | 'schema'>): Verdict {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { isValid: false, says: 'Not complete JSON', faults: [], value: undefined, shown: text };
  }
  const shown = isDeeper(value, MAX_DEPTH) ? text : JSON.stringify(value, null, 2);
  return { ...(format === 'json_object' ? judgeObject(value) : judgeBySchema(value, schema)), value, shown };
}

type Judgement = Pick<Verdict, 'isValid' | 'says' | 'faults'>;

function judgeObject(value: unknown): Judgement {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  return { isValid: isObject, says: isObject ? 'A JSON object' : 'JSON, but no object', faults: [] };
}

function judgeBySchema(value: unknown, schema: string): Judgement {
  try {
    const { valid, errors } = new Validator(parseSchema(schema), '2020-12', false).validate(value);
    // Errors of a place come with those of all that it lies in, which say nothing more.
    const inner = errors.filter(({ keyword }) => !['properties', 'items', '$ref', 'allOf'].includes(keyword));
    const faults = inner.slice(0, MAX_FAULTS).map(({ instanceLocation, error }) => `${instanceLocation}: ${error}`);
    return { isValid: valid, says: valid ? 'Matches the schema' : 'Differs from the schema', faults };
  } catch (error) {
    // The server takes patterns that browsers refuse: `\_`, for one.
    return {
      isValid: null,
      says: `Valid JSON. This page cannot check the schema: ${(error as Error).message}`,
      faults: [],
    };
  }
}

function isDeeper(value: unknown, depth: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return depth === 0 || Object.values(value).some((each) => isDeeper(each, depth - 1));
}
