/**
 * Every error a user can meet, in one table: the HTTP status the server answers with, the OpenAI error `type`, and the
 * exit code of the command line. Native code throws the same codes.
 */
export const ERRORS = {
  E_USAGE: { status: 400, type: 'invalid_request_error', exit: 2 },
  E_INVALID_REQUEST: { status: 400, type: 'invalid_request_error', exit: 2 },
  /** A JSON schema, regular expression or EBNF that is wrong, or asks for what is not supported. */
  E_GRAMMAR_INVALID: { status: 400, type: 'invalid_request_error', exit: 2 },
  /** A grammar that takes more time or memory than it may. */
  E_GRAMMAR_LIMIT: { status: 400, type: 'invalid_request_error', exit: 2 },
  E_UNAUTHORIZED: { status: 401, type: 'authentication_error', exit: 1 },
  E_FORBIDDEN: { status: 403, type: 'permission_error', exit: 1 },
  E_NOT_FOUND: { status: 404, type: 'invalid_request_error', exit: 1 },
  E_METHOD_NOT_ALLOWED: { status: 405, type: 'invalid_request_error', exit: 1 },
  E_REQUEST_TOO_LARGE: { status: 413, type: 'invalid_request_error', exit: 1 },
  E_QUEUE_FULL: { status: 429, type: 'rate_limit_error', exit: 1 },
  /** The time that the request gave itself. */
  E_TIMEOUT: { status: 504, type: 'timeout_error', exit: 1 },
  E_UNAVAILABLE: { status: 503, type: 'service_unavailable', exit: 1 },
  E_PROFILE_INVALID: { status: 500, type: 'server_error', exit: 2 },
  E_PROFILE_NOT_FOUND: { status: 500, type: 'server_error', exit: 2 },
  E_MODEL_NOT_FOUND: { status: 404, type: 'invalid_request_error', exit: 3 },
  E_MODEL_INVALID: { status: 500, type: 'server_error', exit: 3 },
  E_MODEL_UNSUPPORTED: { status: 500, type: 'server_error', exit: 3 },
  E_DOWNLOAD_FAILED: { status: 500, type: 'server_error', exit: 4 },
  E_CHECKSUM_MISMATCH: { status: 500, type: 'server_error', exit: 4 },
  E_DEVICE_UNSUITABLE: { status: 500, type: 'server_error', exit: 5 },
  E_OUT_OF_MEMORY: { status: 500, type: 'server_error', exit: 5 },
  E_ADDON_LOAD_FAILED: { status: 500, type: 'server_error', exit: 6 },
  E_RUNTIME_FAILED: { status: 500, type: 'server_error', exit: 6 },
  E_ENGINE_FAILED: { status: 500, type: 'server_error', exit: 6 },
  E_PORT_IN_USE: { status: 500, type: 'server_error', exit: 7 },
  E_BUILD_FAILED: { status: 500, type: 'server_error', exit: 1 },
  // 128 and SIGINT, as shells count.
  E_INTERRUPTED: { status: 500, type: 'server_error', exit: 130 },
  E_IO_FAILED: { status: 500, type: 'server_error', exit: 1 },
  E_INTERNAL: { status: 500, type: 'server_error', exit: 1 },
} as const;

export type ErrorCode = keyof typeof ERRORS;

/** An error a person is meant to read: `message` says what is wrong, `hint` what to do next. */
export class JsgError extends Error {
  override readonly name = 'JsgError';
  readonly hint: string | undefined;
  /** The request field at fault, for OpenAI-shaped error bodies. */
  readonly param: string | undefined;

  constructor(
    readonly code: ErrorCode,
    message: string,
    options: { hint?: string; param?: string; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.hint = options.hint;
    this.param = options.param;
  }
}

/** Anything thrown, as a JsgError: native errors keep their code, everything else becomes E_INTERNAL. */
export function toJsgError(error: unknown): JsgError {
  if (error instanceof JsgError) return error;
  const message = error instanceof Error ? error.message : String(error);
  const code = (error as { code?: unknown } | null)?.code;
  if (typeof code === 'string' && Object.hasOwn(ERRORS, code)) {
    return new JsgError(code as ErrorCode, message, { cause: error });
  }
  return new JsgError('E_INTERNAL', message, { cause: error });
}
