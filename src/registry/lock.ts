/** jsg.lock.yaml: which wheels a board was given, by address and hash. A wheel rebuilt under the same name is refused. */
import { readFile } from 'node:fs/promises';
import { parse, stringify } from 'yaml';
import { z } from 'zod';
import { JsgError } from '../errors.js';
import { writeAtomically } from '../files.js';
import type { Candidate } from './select.js';

const packageSchema = z.strictObject({
  name: z.string(),
  version: z.string(),
  filename: z.string().regex(/^[a-z0-9][\w.+!-]*$/i),
  url: z.url(),
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

/** A lock with this wheel instead of the one of the same name. Throws E_CHECKSUM_MISMATCH without a hash. */
export function locked(lock: LockFile, { name, version, filename, url, sha256 }: Candidate): LockFile {
  if (sha256 === null) throw new JsgError('E_CHECKSUM_MISMATCH', `${filename}: without a sha256 it cannot be locked`);
  const others = lock.packages.filter((entry) => entry.name !== name);
  return { ...lock, packages: [...others, { name, version, filename, url, sha256 }] };
}
