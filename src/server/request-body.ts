/** Reads a JSON body within the limits: size, encoding, nesting. */
import type { Context } from 'hono';
import { JsgError } from '../errors.js';
import { RequestError } from './error-response.js';
import { LIMITS } from './limits.js';

export type JsonObject = Record<string, unknown>;

/** Bytes of large bodies that are in memory now, over all requests. */
let largeBodyBytes = 0;

/** The body as an object. Throws E_INVALID_REQUEST, E_REQUEST_TOO_LARGE, or E_UNAVAILABLE while too many are read. */
export async function readJsonObject(c: Context): Promise<JsonObject> {
  const request = c.req.raw;
  const encoding = c.req.header('content-encoding');
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
    throw new RequestError(`Content-Encoding ${JSON.stringify(encoding.slice(0, 32))} is not supported`);
  }
  if (!/^application\/([\w.-]+\+)?json *(;|$)/i.test(c.req.header('content-type') ?? '')) {
    throw new RequestError('the request needs the header "Content-Type: application/json"');
  }
  const bytes = await readBytes(request, c.req.header('content-length'));
  const value = parseJson(bytes);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new RequestError('the request body must be a JSON object');
  }
  return value as JsonObject;
}

async function readBytes(request: Request, contentLength: string | undefined): Promise<Buffer> {
  const declared = contentLength === undefined ? null : Number(contentLength);
  if (declared !== null && declared > LIMITS.bodyBytes) throw tooLarge();
  const reserved = declared ?? LIMITS.bodyBytes;
  const isLarge = reserved > LIMITS.smallBodyBytes;
  if (isLarge) {
    if (largeBodyBytes + reserved > LIMITS.bodyBudgetBytes) {
      throw new JsgError('E_UNAVAILABLE', 'too many large requests are being read; try again');
    }
    largeBodyBytes += reserved;
  }
  try {
    // A declared length is enforced by the HTTP parser; anything else is counted here.
    if (declared !== null) return Buffer.from(await request.arrayBuffer());
    return await readCounted(request);
  } catch (error) {
    if (error instanceof JsgError) throw error;
    throw new RequestError('the request body could not be read to its end');
  } finally {
    if (isLarge) largeBodyBytes -= reserved;
  }
}

async function readCounted(request: Request): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of request.body ?? []) {
    length += chunk.length;
    if (length > LIMITS.bodyBytes) throw tooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, length);
}

function tooLarge(): JsgError {
  return new RequestError(`the request body is larger than ${LIMITS.bodyBytes} bytes`, { code: 'E_REQUEST_TOO_LARGE' });
}

/** Bytes of UTF-8 JSON as a value. */
export function parseJson(bytes: Buffer): unknown {
  if (jsonDepth(bytes) > LIMITS.jsonDepth) {
    throw new RequestError(`the request body is nested deeper than ${LIMITS.jsonDepth} levels`);
  }
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new RequestError('the request body is not valid UTF-8');
  }
  try {
    return JSON.parse(text);
  } catch {
    // V8's message quotes the body, which belongs in no log.
    throw new RequestError('the request body is not valid JSON');
  }
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** Deepest nesting of brackets outside strings. A malformed text gives some number; parsing will refuse it. */
export function jsonDepth(bytes: Buffer): number {
  let depth = 0;
  let deepest = 0;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i];
    if (byte === QUOTE) {
      i = endOfString(bytes, i + 1);
      // `{` and `[`, `}` and `]` differ in one bit.
    } else if (((byte as number) | 0x20) === 0x7b) {
      depth++;
      if (depth > deepest) deepest = depth;
    } else if (((byte as number) | 0x20) === 0x7d) {
      depth--;
    }
  }
  return deepest;
}

/** Index of the quote that ends the string whose text begins at `from`, or the end of the bytes. */
function endOfString(bytes: Buffer, from: number): number {
  for (let at = bytes.indexOf(QUOTE, from); at >= 0; at = bytes.indexOf(QUOTE, at + 1)) {
    let before = at - 1;
    while (before >= from && bytes[before] === BACKSLASH) before--;
    if ((at - 1 - before) % 2 === 0) return at;
  }
  return bytes.length;
}
