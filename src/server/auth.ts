/** Who a request is from: `Authorization: Bearer KEY`, or `x-api-key: KEY` as Anthropic's clients send it. */
import type { Context, MiddlewareHandler } from 'hono';
import type { ApiKeys, Caller } from './api-keys.js';
import { RequestError } from './error-response.js';

const CALLER = 'caller';

/** Asks for one of the keys everywhere but on `openPaths`; where there are none, nowhere. */
export function requireApiKey(apiKeys: ApiKeys, openPaths: readonly string[]): MiddlewareHandler {
  return async (c, next) => {
    const caller = apiKeys.check(keyOf(c));
    if (caller) c.set(CALLER, caller);
    else if (!openPaths.includes(c.req.path)) {
      throw new RequestError('missing or wrong API key', {
        code: 'E_UNAUTHORIZED',
        wireCode: 'invalid_api_key',
        hint: 'send the header "Authorization: Bearer KEY"',
      });
    }
    await next();
  };
}

/** Who sent the request. Not for open paths, which anyone may ask. */
export function callerOf(c: Context): Caller {
  const caller = c.get(CALLER) as Caller | undefined;
  if (caller) return caller;
  throw new Error(`${c.req.path} is open: its callers are not known`);
}

function keyOf(c: Context): string | undefined {
  const authorization = c.req.header('authorization');
  if (authorization === undefined) return c.req.header('x-api-key');
  // sglang-router sends its key beside the client's, which is the same one.
  const keys = new Set(authorization.split(',').map((each) => /^ *Bearer +(\S+) *$/i.exec(each)?.[1]));
  return keys.size === 1 ? [...keys][0] : undefined;
}
