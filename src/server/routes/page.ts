/** GET / and its assets. */
import type { Context } from 'hono';
import type { PageFile } from '../page.js';

/** Nothing from anywhere else, no script that is not a file of ours, no markup made of text. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'self'",
  "object-src 'none'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ');

const HEADERS = {
  'Content-Security-Policy': CONTENT_SECURITY_POLICY,
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  Vary: 'Accept-Encoding',
};

export function pageFile(file: PageFile, c: Context): Response {
  const gzipped = takesGzip(c.req.header('accept-encoding')) ? file.gzipped : null;
  const etag = `"${file.hash}${gzipped ? '-gz' : ''}"`;
  const headers: Record<string, string> = {
    ...HEADERS,
    ETag: etag,
    'Cache-Control': file.isImmutable ? 'public, max-age=31536000, immutable' : 'no-cache',
  };
  if (isKnown(c.req.header('if-none-match'), etag)) return new Response(null, { status: 304, headers });
  const body = gzipped ?? file.body;
  if (gzipped) headers['Content-Encoding'] = 'gzip';
  headers['Content-Type'] = file.contentType;
  headers['Content-Length'] = String(body.length);
  return new Response(new Uint8Array(body), { headers });
}

/** `gzip;q=0` is a no. */
function takesGzip(header = ''): boolean {
  return header.split(',').some((coding) => /^\s*gzip\s*(;\s*q=(?!0(\.0*)?\s*$).*)?$/i.test(coding));
}

function isKnown(header = '', etag: string): boolean {
  return header.split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag || tag.trim() === '*');
}
