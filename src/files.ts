/** Files as every layer needs them: written whole or not at all, and known by their hash. */
import { createHash, randomUUID } from 'node:crypto';
import {
  closeSync,
  createReadStream,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';

/**
 * `mkdir -p` that ends: Node's own recursive mkdir spins for ever under /proc, where a parent exists but takes no child. Throws
 * what mkdir throws.
 */
export function makeDirectory(path: string): void {
  const missing: string[] = [];
  for (let at = path; !existsSync(at); at = dirname(at)) missing.unshift(at);
  for (const directory of missing) {
    try {
      mkdirSync(directory);
    } catch (error) {
      // Another process may have been quicker.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}

/** Writes beside `path` and renames: a reader never sees half of it, and a kill leaves the old file or the new one. */
export function writeAtomically(path: string, text: string): void {
  makeDirectory(dirname(path));
  const temporary = `${path}.${randomUUID()}.tmp`;
  const file = openSync(temporary, 'wx');
  try {
    try {
      writeSync(file, text);
      // Without it a power cut may leave an empty file under the new name.
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

/** 64 hexadecimal digits. Throws what reading throws. */
export async function sha256OfFile(path: string, signal?: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20, ...(signal && { signal }) })) {
    hash.update(chunk as Buffer);
  }
  return hash.digest('hex');
}

/** Whether a file is there with this content. */
export async function hasSha256(path: string, sha256: string, signal?: AbortSignal): Promise<boolean> {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true && (await sha256OfFile(path, signal)) === sha256;
}
