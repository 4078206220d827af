/** jsg.lock.yaml: which wheels a board was given, by address and hash. A wheel rebuilt under the same name is refused. */
import { readFile } from 'node:fs/promises';
import { parse, stringify } from 'yaml';
import { z } from 'zod';
import { JsgError } from '../errors.js';
import { writeAtomically } from '../files.js';

const packageSchema = z.strictObject({
  name: z.string(),
  version: z.string(),
  filename: z.string().regex(/^[a-z0-9][\w.+!-]*$/i),
  /** Null: it came by pip, whose configuration decides where from. */
  url: z.url().nullable(),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});
const lockSchema = z.strictObject({
  version: z.literal(1),
  /** Path of the index: `jp6/cu126`. */
  platform: z.string(),
  /** `3.10` */
  python: z.string(),
  packages: z.array(packageSchema),
});

export type LockFile = z.infer<typeof lockSchema>;
export type LockedPackage = LockFile['packages'][number];

export const LOCK_NAME = 'jsg.lock.yaml';

/** Null: there is none. Throws E_IO_FAILED where it cannot be read, or is no lock file. */
export async function readLock(path: string): Promise<LockFile | null> {
  try {
    return lockSchema.parse(parse(await readFile(path, 'utf8'), { maxAliasCount: 0 }));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    const issue = error instanceof z.ZodError ? error.issues[0] : undefined;
    const why = issue === undefined ? (error as Error).message : `${issue.path.join('.')}: ${issue.message}`;
    throw new JsgError('E_IO_FAILED', `${path}: ${why}`, {
      hint: 'Mend it, or remove it to choose the wheels anew.',
      cause: error,
    });
  }
}

/** The same packages give the same text, whatever their order. */
export function writeLock(path: string, lock: LockFile): void {
  const packages = [...lock.packages].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  const text = `# Written by jsg: the wheels of this board. Kept in version control, it makes another board the same.\n${stringify({ ...lock, packages }, { lineWidth: 0 })}`;
  try {
    writeAtomically(path, text);
  } catch (error) {
    throw new JsgError('E_IO_FAILED', `${path}: ${(error as Error).message}`, { cause: error });
  }
}

/** Throws E_USAGE where a lock was made for another platform or Python. */
export function requireSameTarget(path: string, lock: LockFile | null, platform: string, python: string): void {
  if (lock === null || (lock.platform === platform && lock.python === python)) return;
  const [had, has] = [lock, { platform, python }].map((of) => `${of.platform} and Python ${of.python}`);
  throw new JsgError('E_USAGE', `${path} is for ${had}, this is ${has}`, {
    hint: 'Its wheels do not fit here: name another file with --lock, or remove it.',
  });
}

/** A lock with these wheels instead of those of the same names. */
export function locked(lock: LockFile, packages: LockedPackage[]): LockFile {
  const names = new Set(packages.map(({ name }) => name));
  return { ...lock, packages: [...lock.packages.filter(({ name }) => !names.has(name)), ...packages] };
}
