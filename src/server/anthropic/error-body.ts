/** Errors as Anthropic's clients expect them: `{"type": "error", "error": {type, message}}`. */
import { type ErrorCode, toJsgError } from '../../errors.js';
import { errorBody } from '../error-response.js';

const TYPES: Partial<Record<ErrorCode, string>> = {
  E_UNAUTHORIZED: 'authentication_error',
  E_NOT_FOUND: 'not_found_error',
  E_MODEL_NOT_FOUND: 'not_found_error',
  E_REQUEST_TOO_LARGE: 'request_too_large',
  E_QUEUE_FULL: 'rate_limit_error',
  E_UNAVAILABLE: 'overloaded_error',
  E_TIMEOUT: 'timeout_error',
};

export interface AnthropicErrorBody {
  type: 'error';
  /** `param` and `code` are ours: what is wrong, for programs. */
  error: { type: string; message: string; param: string | null; code: string };
}

export function anthropicErrorBody(thrown: unknown): AnthropicErrorBody {
  const { message, type, param, code } = errorBody(thrown).error;
  const own = TYPES[toJsgError(thrown).code];
  const fallback = type === 'invalid_request_error' ? type : 'api_error';
  return { type: 'error', error: { type: own ?? fallback, message, param, code } };
}
