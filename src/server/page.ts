/** The page at /: the files that `web/` is built into, read once. Each has a route of its own, so no path leads elsewhere. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { log } from '../log.js';
import { packageRoot } from '../version.js';

export interface PageFile {
  /** `/` or `/assets/index-D3yw0x1.js` */
  path: string;
  contentType: string;
  body: Buffer;
  /** Browsers take Brotli over https and on this machine only. Null: no smaller. */
  gzipped: Buffer | null;
  /** Of the content, without quotes. */
  hash: string;
  /** Its name holds a hash of its content: what is cached never goes stale. */
  isImmutable: boolean;
}

const CONTENT_TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** Empty, with a warning, where the page was not built. */
export function loadPage(folder = join(packageRoot, 'dist', 'web')): PageFile[] {
  try {
    const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
    return names.filter((name) => extname(name) in CONTENT_TYPES).map((name) => loadFile(folder, name));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    log.warning(`there is no page at /: ${folder} cannot be read (${code}); npm run build makes it`);
    return [];
  }
}

function loadFile(folder: string, name: string): PageFile {
  const body = readFileSync(join(folder, name));
  const gzipped = gzipSync(body, { level: 9 });
  return {
    path: name === 'index.html' ? '/' : `/${name}`,
    contentType: CONTENT_TYPES[extname(name)] ?? '',
    body,
    gzipped: gzipped.length < body.length ? gzipped : null,
    hash: createHash('sha256').update(body).digest('base64url').slice(0, 22),
    isImmutable: name.startsWith('assets/'),
  };
}
