/** Errors as Anthropic's clients expect them: `{"type": "error", "error": {type, message}}`. */
import { type ErrorCode, toJsgError } from '../../errors.js';
import { errorBody } from '../error-response.js';
import { REFUSAL_CODES } from '../schemas/refusals.js';

const TYPES: Partial<Record<ErrorCode, string>> = {
  E_UNAUTHORIZED: 'authentication_error',
  E_FORBIDDEN: 'permission_error',
  E_NOT_FOUND: 'not_found_error',
  E_MODEL_NOT_FOUND: 'not_found_error',
  E_REQUEST_TOO_LARGE: 'request_too_large',
  E_QUEUE_FULL: 'rate_limit_error',
  E_UNAVAILABLE: 'overloaded_error',
  E_TIMEOUT: 'timeout_error',
};

/** By which Anthropic's clients tell refusals that they have another way around. */
interface ErrorDetails {
  error_code: string;
  unsupported: string[];
}

export interface AnthropicErrorBody {
  type: 'error';
  /** `param` and `code` are ours: what is wrong, for programs. */
  error: { type: string; message: string; param: string | null; code: string; details?: ErrorDetails };
}

export function anthropicErrorBody(thrown: unknown): AnthropicErrorBody {
  const { message, type, param, code } = errorBody(thrown).error;
  const own = TYPES[toJsgError(thrown).code];
  const fallback = type === 'invalid_request_error' ? type : 'api_error';
  const details = param !== null && REFUSAL_CODES[param] === code ? { error_code: code, unsupported: [param] } : null;
  return { type: 'error', error: { type: own ?? fallback, message, param, code, ...(details && { details }) } };
}
