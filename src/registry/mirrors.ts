/** Where the Jetson index is, and which of its paths is this machine's: recipes/index/jetson.yaml and JSG_INDEX_URLS. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { compareVersions } from '../device/versions.js';
import { JsgError } from '../errors.js';
import { packageRoot } from '../version.js';

const cuda = z.array(z.string().regex(/^\d+\.\d+$/));
const tableSchema = z.strictObject({
  mirrors: z.array(z.url()).min(1),
  jetson: z.array(
    z.strictObject({ from: z.string(), path: z.string().nullable(), cuda, python: z.string(), glibc: z.string() }),
  ),
  other: z.record(z.string(), z.strictObject({ path: z.string(), cuda })),
  cuda_packages: z.array(z.string()),
});

export type IndexTable = z.infer<typeof tableSchema>;

let table: IndexTable | null = null;

export function indexTable(): IndexTable {
  table ??= tableSchema.parse(parse(readFileSync(join(packageRoot, 'recipes/index/jetson.yaml'), 'utf8')));
  return table;
}

/** What decides on the path. */
export interface PathFacts {
  /** Jetson Linux: `36.4.4`; null: no Jetson, or it is not told. */
  l4t: string | null;
  isJetson: boolean;
  hasGpu: boolean;
  machine: string;
  /** CUDA toolkit, or what the driver takes: `12.6`; null: not known. */
  cuda: string | null;
}

/** `jp6/cu126`; null: the index holds nothing for this machine. */
export function platformPath(facts: PathFacts, { jetson, other }: IndexTable = indexTable()): string | null {
  const { l4t } = facts;
  if (facts.isJetson) {
    const line = l4t === null ? undefined : jetson.find(({ from }) => compareVersions(l4t, from) >= 0);
    return line?.path == null ? null : compose(line.path, pickCuda(line.cuda, facts.cuda) ?? line.cuda[0]);
  }
  const line = facts.hasGpu ? other[facts.machine] : undefined;
  return line === undefined ? null : compose(line.path, pickCuda(line.cuda, facts.cuda));
}

const compose = (path: string, version: string | undefined) =>
  version === undefined ? null : `${path}/cu${version.replace('.', '')}`;

/** The newest of the installed major version that is not newer than what is installed. */
function pickCuda(offered: string[], installed: string | null): string | undefined {
  if (installed === null) return undefined;
  const [major, minor] = installed.split('.');
  const fits = offered.filter(
    (version) => version.split('.')[0] === major && compareVersions(version, `${major}.${minor ?? 0}`) <= 0,
  );
  return fits.sort(compareVersions).at(-1);
}

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
