/** Files of the build folder: found by glob, and values as text that can be hashed. */
import { createHash } from 'node:crypto';
import { readdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';

export const sha256Of = (text: string): string => createHash('sha256').update(text).digest('hex');

/** JSON with sorted keys: equal values give equal text. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    inner !== null && typeof inner === 'object' && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}

/**
 * Files and folders under `root` that match: `*` within a name, `**` any number of folders. Sorted, relative to `root`, or
 * absolute if the glob is.
 */
export function findGlob(root: string, glob: string): string[] {
  if (glob.startsWith('/') && root !== '/') return findGlob('/', glob).map((path) => `/${path}`);
  const parts = glob.split('/').filter((part) => part !== '' && part !== '.');
  return [...new Set(walk(root, '', parts))].sort();
}

function walk(root: string, at: string, parts: string[]): string[] {
  const [part, ...rest] = parts;
  if (part === undefined) return at === '' ? [] : [at];
  const below = (name: string) => (at === '' ? name : `${at}/${name}`);
  if (part === '**') {
    const folders = namesIn(join(root, at)).filter(({ isFolder }) => isFolder);
    return [...walk(root, at, rest), ...folders.flatMap(({ name }) => walk(root, below(name), parts))];
  }
  if (!part.includes('*')) return isHere(join(root, at, part)) ? walk(root, below(part), rest) : [];
  const pattern = new RegExp(`^${part.split('*').map(escapeRegExp).join('.*')}$`);
  return namesIn(join(root, at))
    .filter(({ name }) => pattern.test(name))
    .flatMap(({ name }) => walk(root, below(name), rest));
}

/** The newest match, absolute; null where there is none. */
export function newestMatch(root: string, glob: string): string | null {
  const found = findGlob(root, glob).map((path) => ({
    path: resolve(root, path),
    time: statSync(resolve(root, path)).mtimeMs,
  }));
  return found.sort((a, b) => b.time - a.time)[0]?.path ?? null;
}

const escapeRegExp = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

function namesIn(folder: string): { name: string; isFolder: boolean }[] {
  try {
    return readdirSync(folder, { withFileTypes: true }).map((entry) => ({
      name: entry.name,
      isFolder: entry.isDirectory(),
    }));
  } catch {
    return [];
  }
}

function isHere(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}
