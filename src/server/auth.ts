/** API keys: `Authorization: Bearer KEY`, compared in constant time, never logged. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { MiddlewareHandler } from 'hono';
import { RequestError } from './error-response.js';

const digest = (text: string) => createHash('sha256').update(text).digest();

/** Asks for one of `apiKeys` everywhere but on `openPaths`; an empty list asks for nothing. */
export function requireApiKey(apiKeys: readonly string[], openPaths: readonly string[]): MiddlewareHandler {
  const known = apiKeys.map(digest);
  return async (c, next) => {
    if (known.length > 0 && !openPaths.includes(c.req.path) && !isKnown(known, c.req.header('authorization'))) {
      throw new RequestError('missing or wrong API key', {
        code: 'E_UNAUTHORIZED',
        wireCode: 'invalid_api_key',
        hint: 'send the header "Authorization: Bearer KEY"',
      });
    }
    await next();
  };
}

function isKnown(known: readonly Buffer[], header: string | undefined): boolean {
  const key = /^Bearer +(\S+) *$/i.exec(header ?? '')?.[1];
  if (key === undefined) return false;
  const given = digest(key);
  let found = false;
  // Every key is compared: which one matched must not show in the time taken.
  for (const each of known) found = timingSafeEqual(each, given) || found;
  return found;
}
