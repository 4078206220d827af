/** Files that other processes may be reading: they see the old one or the new one, never none and never half of one. */
import { randomUUID } from 'node:crypto';
import { rename, rm } from 'node:fs/promises';

/** `write` makes a file, or a link, at the path it is given, in the same directory. Throws what it throws. */
export async function replaceFile(path: string, write: (temporary: string) => Promise<void>): Promise<void> {
  // Ends like neither a config nor weights, so that nobody takes one that a crash left behind for either.
  const temporary = `${path}.${randomUUID()}.tmp`;
  try {
    await write(temporary);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}
