/** A request body against its schema: the first fault becomes a 400 that names the field. */
import type { z } from 'zod';
import { log } from '../../log.js';
import { ownText } from '../../own-text.js';
import { fault, RequestError } from '../error-response.js';
import type { JsonObject } from '../request-body.js';
import { REFUSAL_CODES, type Refusals } from './refusals.js';

/** What one endpoint understands. */
export interface RequestShape<T extends z.ZodObject> {
  schema: T;
  /** Fields whose neglect would change the answer. */
  refusals: Refusals;
  /** Fields of OpenAI or SGLang that have no effect here. */
  accepted: readonly string[];
}

const MAX_UNKNOWN_FIELDS = 256;
const unknownFields = new Set<string>();

/** Throws E_INVALID_REQUEST with the field in `param`, prefixed where the object is inside another. */
export function parseRequest<T extends z.ZodObject>(
  shape: RequestShape<T>,
  body: JsonObject,
  prefix = '',
): z.output<T> {
  for (const [field, value] of Object.entries(body)) {
    if (Object.hasOwn(shape.schema.shape, field)) continue;
    if (Object.hasOwn(shape.refusals, field)) {
      const reason = shape.refusals[field]?.(value, body);
      if (reason) throw refusal(prefix, field, reason);
    } else if (!shape.accepted.includes(field)) {
      noteUnknown(field);
    }
  }
  const result = shape.schema.safeParse(body);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const param = prefix + (issue?.path.join('.') ?? '');
  throw fault(param, issue?.message ?? 'is not valid');
}

function refusal(prefix: string, field: string, reason: string): RequestError {
  const param = `${prefix}${field}`;
  const wireCode = Object.hasOwn(REFUSAL_CODES, field) ? REFUSAL_CODES[field] : undefined;
  return new RequestError(`${param}: ${reason}`, { param, ...(wireCode && { wireCode }) });
}

/** Clients send extras; each is worth one line in a server's life. */
function noteUnknown(field: string): void {
  const name = field.slice(0, 64);
  if (unknownFields.has(name) || unknownFields.size >= MAX_UNKNOWN_FIELDS) return;
  unknownFields.add(ownText(name));
  log.warning(`ignoring the unknown request field ${JSON.stringify(name)} (said once)`);
}
