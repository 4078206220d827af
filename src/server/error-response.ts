/** Errors as OpenAI clients expect them: `{"error": {message, type, param, code}}` for every 4xx and 5xx. */
import { ERRORS, type ErrorCode, JsgError, toJsgError } from '../errors.js';
import { log } from '../log.js';
import { isUnset } from './json-value.js';

/** A fault of the request. `wireCode` is OpenAI's own code (`model_not_found`) where it has one. */
export class RequestError extends JsgError {
  readonly wireCode: string | undefined;

  constructor(message: string, options: { param?: string; wireCode?: string; code?: ErrorCode; hint?: string } = {}) {
    super(options.code ?? 'E_INVALID_REQUEST', message, options);
    this.wireCode = options.wireCode;
  }
}

/** What is wrong with the field of that name, or path. */
export function fault(param: string, message: string): RequestError {
  return new RequestError(`${param}: ${message}`, { param });
}

/** Throws E_INVALID_REQUEST for what is there and no boolean. */
export function requireBoolean(value: unknown, param: string): void {
  if (!isUnset(value) && typeof value !== 'boolean') throw fault(param, 'must be true or false');
}

export interface ErrorBody {
  error: { message: string; type: string; param: string | null; code: string };
}

export function errorBody(thrown: unknown): ErrorBody {
  const error = toJsgError(thrown);
  // What went wrong inside is for the log; it may quote the request.
  const message = error.code === 'E_INTERNAL' ? 'internal server error' : withHint(error);
  const code = (error instanceof RequestError && error.wireCode) || error.code;
  return { error: { message, type: ERRORS[error.code].type, param: error.param ?? null, code } };
}

/** Of a status from 500 on, and yet as asked for. */
const NO_FAULTS: readonly ErrorCode[] = ['E_UNAVAILABLE', 'E_TIMEOUT'];

/** `bodyOf`: the shape of the API that was asked. */
export function errorResponse(thrown: unknown, bodyOf: (thrown: unknown) => object = errorBody): Response {
  const error = toJsgError(thrown);
  const { status } = ERRORS[error.code];
  if (status >= 500 && !NO_FAULTS.includes(error.code)) logFault(error);
  return new Response(JSON.stringify(bodyOf(error)), { status, headers: headersOf(error.code) });
}

function headersOf(code: ErrorCode): Record<string, string> {
  const headers: Record<string, string> = { 'Content-Type': 'application/json' };
  if (code === 'E_QUEUE_FULL') headers['Retry-After'] = '1';
  if (code === 'E_UNAVAILABLE') headers['Retry-After'] = '5';
  if (code === 'E_UNAUTHORIZED') headers['WWW-Authenticate'] = 'Bearer';
  // Whoever still sends may stop.
  if (code === 'E_REQUEST_TOO_LARGE') headers.Connection = 'close';
  return headers;
}

function withHint(error: JsgError): string {
  return error.hint ? `${error.message}; ${error.hint}` : error.message;
}

/** One line, and for a bug of ours the stack. */
export function logFault(error: JsgError): void {
  const cause = error.cause instanceof Error ? error.cause : error;
  log.error(error.code === 'E_INTERNAL' ? `${cause.stack ?? cause.message}` : `${error.code}: ${error.message}`);
}
