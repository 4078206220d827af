/** Files of the build folder: written so that a kill at any moment leaves the old or the new one, hashed, found by glob. */
import { createHash, randomUUID } from 'node:crypto';
import {
  closeSync,
  createReadStream,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';

/** Writes beside `path` and renames: a reader never sees half of it. */
export function writeAtomically(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  const temporary = `${path}.${randomUUID()}.tmp`;
  const file = openSync(temporary, 'wx');
  try {
    writeSync(file, text);
    // Without it a power cut may leave an empty file under the new name.
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(temporary, path);
}

export const sha256Of = (text: string): string => createHash('sha256').update(text).digest('hex');

export async function sha256OfFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

/** JSON with sorted keys: equal values give equal text. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    inner !== null && typeof inner === 'object' && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}

/** Files and folders under `root` that match: `*` within a name, `**` any number of folders. Sorted, relative to `root`. */
export function findGlob(root: string, glob: string): string[] {
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
    path: join(root, path),
    time: statSync(join(root, path)).mtimeMs,
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
