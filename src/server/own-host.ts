/**
 * A server that this machine alone may ask, without a key, against web pages that point a name of theirs at it (DNS
 * rebinding): to a browser it would be of their own origin. But it sends the name.
 */
import { hostname } from 'node:os';
import type { MiddlewareHandler } from 'hono';
import { RequestError } from './error-response.js';

/** Refuses requests for another name than this machine's. Addresses are nobody's to point elsewhere. */
export function requireOwnHost(ownNames: readonly string[] = [hostname()]): MiddlewareHandler {
  return async (c, next) => {
    const host = c.req.header('host');
    if (host !== undefined && !isOwnHost(host, ownNames)) {
      throw new RequestError(`this server is not asked by the name ${JSON.stringify(host)}`, {
        code: 'E_FORBIDDEN',
        hint: 'ask 127.0.0.1 or localhost; or start it with --api-key, or with --insecure',
      });
    }
    await next();
  };
}

/** `host`: as the header has it, with or without a port. */
export function isOwnHost(host: string, ownNames: readonly string[]): boolean {
  const name = host.replace(/:\d*$/, '').replace(/\.$/, '').toLowerCase();
  if (/^\d{1,3}(\.\d{1,3}){3}$/.test(name) || /^\[[\da-f:.]+\]$/.test(name)) return true;
  return /^(.+\.)?localhost$/.test(name) || ownNames.some((own) => own.toLowerCase() === name);
}
