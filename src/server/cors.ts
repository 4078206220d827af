/** Which web pages of other origins may ask this server. None by default; browsers enforce it, other clients never see it. */
import type { MiddlewareHandler } from 'hono';
import { cors } from 'hono/cors';
import { JsgError } from '../errors.js';

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
    const origin = c.req.header('origin');
    const isAllowed = origin !== undefined && (origins.includes(ANY) || origins.includes(origin));
    const isPlainOptions = c.req.method === 'OPTIONS' && !c.req.header('access-control-request-method');
    return isAllowed && !isPlainOptions ? allow(c, next) : next();
  };
}
