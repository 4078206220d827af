/** Prompts of `/v1/completions` and `/generate`: a text, texts, token ids, or lists of token ids. */
import { fault } from '../error-response.js';
import { LIMITS } from '../limits.js';
import { isTokenId } from './fields.js';

export type Prompt = { text: string } | { ids: number[] };

/** `isBatch`: the request held a list of prompts, so its answer is a list too (`/generate`). */
export interface Prompts {
  prompts: Prompt[];
  isBatch: boolean;
}

/** OpenAI's `prompt`: string, string[], integer[], integer[][]. Throws E_INVALID_REQUEST naming the prompt at fault. */
export function parsePrompts(value: unknown, param: string): Prompts {
  if (value === undefined || value === null) throw fault(param, 'is required');
  if (typeof value === 'string') return { prompts: [parseText(value, param)], isBatch: false };
  if (!Array.isArray(value)) throw fault(param, 'must be a string, a list of strings, or a list of token ids');
  if (value.length === 0) throw fault(param, 'must not be empty');
  if (typeof value[0] === 'number') return { prompts: [parsePromptIds(value, param)], isBatch: false };
  if (value.length > LIMITS.prompts) throw fault(param, `must have at most ${LIMITS.prompts} prompts`);
  const prompts = value.map((each, index) => {
    const path = `${param}.${index}`;
    if (typeof each === 'string' && typeof value[0] === 'string') return parseText(each, path);
    if (Array.isArray(each) && Array.isArray(value[0])) return parsePromptIds(each, path);
    throw fault(path, 'must be a string or a list of token ids, all prompts alike');
  });
  return { prompts, isBatch: true };
}

function parseText(text: string, param: string): Prompt {
  if (text === '') throw fault(param, 'must not be empty');
  return { text };
}

function parsePromptIds(ids: unknown[], param: string): Prompt {
  if (ids.length === 0) throw fault(param, 'must not be empty');
  return { ids: parseIds(ids, param) };
}

/** Throws E_INVALID_REQUEST naming the one that is no token id. */
export function parseIds(ids: unknown[], param: string): number[] {
  const wrong = ids.findIndex((id) => !isTokenId(id));
  if (wrong >= 0) throw fault(`${param}.${wrong}`, 'must be a token id');
  return ids as number[];
}
