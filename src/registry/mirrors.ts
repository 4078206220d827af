/** Where the Jetson index is: the mirrors of wheels/index.yaml, then those of JSG_INDEX_URLS. */
import { indexTable } from '../device/wheel-index.js';
import { JsgError } from '../errors.js';

export interface Mirror {
  /** What follows is a project's name: ends in `/`. */
  simpleUrl: string;
  /** Below it lie the files that were built for this platform. */
  baseUrl: string;
}

/** The mirrors in order: those of the table, then JSG_INDEX_URLS. Throws E_USAGE. */
export function mirrorsFor(path: string, env: NodeJS.ProcessEnv = process.env, { mirrors } = indexTable()): Mirror[] {
  const given = (env.JSG_INDEX_URLS ?? '').split(/[\s,]+/).filter(Boolean);
  const found = [...mirrors, ...given].map((url) => mirrorAt(url, path));
  return found.filter(({ simpleUrl }, i) => found.findIndex((other) => other.simpleUrl === simpleUrl) === i);
}

/** A host alone gets the path and `/+simple/`; an address that ends in `simple` is complete. */
export function mirrorAt(address: string, path: string): Mirror {
  const url = URL.canParse(address) ? new URL(address) : null;
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new JsgError('E_USAGE', `JSG_INDEX_URLS: '${address}' is not a URL`, {
      hint: 'Give addresses that begin with https:// or http://, with commas between them.',
    });
  }
  url.hash = '';
  url.search = '';
  const bare = url.href.replace(/\/+$/, '');
  if (/\/\+?simple$/.test(bare)) return { simpleUrl: `${bare}/`, baseUrl: bare.replace(/\+?simple$/, '') };
  const base = bare.endsWith(`/${path}`) ? bare : `${bare}/${path}`;
  return { simpleUrl: `${base}/+simple/`, baseUrl: `${base}/` };
}
