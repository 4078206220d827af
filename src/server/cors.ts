/** Which web pages of other origins may ask this server: none by default. Clients that are no browsers never see it. */
import type { MiddlewareHandler } from 'hono';
import { cors } from 'hono/cors';
import { JsgError } from '../errors.js';
import { RequestError } from './error-response.js';

const ANY = '*';
/** Browsers ask again after this long, seconds. */
const MAX_AGE = 600;

/** `https://a.example,http://localhost:5173` or `*`. Throws E_USAGE for what no browser would send as an origin. */
export function parseOrigins(text: string | null): string[] {
  if (text === null) return [];
  const origins = text
    .split(',')
    .map((origin) => origin.trim())
    .filter(Boolean);
  if (origins.length === 0) throw new JsgError('E_USAGE', '--cors-origin names no origin');
  for (const origin of origins) if (origin !== ANY) requireOrigin(origin);
  return origins.includes(ANY) ? [ANY] : origins;
}

function requireOrigin(origin: string): void {
  const url = URL.canParse(origin) ? new URL(origin) : null;
  // Schemes of desktop shells and extensions have no origin to URL.
  const sent = url && url.origin !== 'null' ? url.origin : /^[a-z][a-z\d+.-]*:\/\/[^\s/?#@]+$/.exec(origin)?.[0];
  if (sent === origin) return;
  throw new JsgError('E_USAGE', `--cors-origin: '${origin}' is no origin`, {
    hint: sent ? `Browsers send it as ${sent}.` : 'Write scheme://host[:port] as the browser shows it, or *.',
  });
}

/** Answers preflights of these origins, and lets their pages read every answer, errors too. */
export function allowOrigins(origins: readonly string[]): MiddlewareHandler {
  const allow = cors({
    origin: origins.includes(ANY) ? ANY : [...origins],
    allowMethods: ['GET', 'POST', 'PUT', 'DELETE'],
    exposeHeaders: ['Retry-After'],
    maxAge: MAX_AGE,
  });
  return async (c, next) => {
    const isPlainOptions = c.req.method === 'OPTIONS' && !c.req.header('access-control-request-method');
    return includesOrigin(origins, c.req.header('origin')) && !isPlainOptions ? allow(c, next) : next();
  };
}

/**
 * Refuses what other pages send without asking first, such as a form or an image whose address is `/flush_cache`: they
 * cannot read the answer, but it would be done. Browsers say where requests come from (Sec-Fetch-Site), and whether
 * somebody followed a link (Sec-Fetch-User).
 *
 * @param openPaths that any page may link to or show
 */
export function refuseOtherPages(origins: readonly string[], openPaths: readonly string[]): MiddlewareHandler {
  return async (c, next) => {
    const isLink = c.req.method === 'GET' && c.req.header('sec-fetch-user') === '?1';
    const isOther = /^(cross|same)-site$/.test(c.req.header('sec-fetch-site') ?? '') && !isLink;
    const origin = c.req.header('origin');
    if (isOther && !openPaths.includes(c.req.path) && !includesOrigin(origins, origin)) {
      throw new RequestError('pages of other origins may not use this server', {
        code: 'E_FORBIDDEN',
        hint: hintFor(origin),
      });
    }
    await next();
  };
}

/** Files and sandboxed frames say that their origin is `null`, of which any page could make itself one. */
function hintFor(origin: string | undefined): string {
  if (origin === 'null')
    return "this page has no origin of its own: serve it from one, or start the server with --cors-origin '*'";
  return `start it with --cors-origin ${origin ?? 'ORIGIN'}`;
}

function includesOrigin(origins: readonly string[], origin: string | undefined): boolean {
  return origins.includes(ANY) || (origin !== undefined && origins.includes(origin));
}
