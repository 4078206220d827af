/** A file of API keys: one a line, blank lines and lines that begin with # aside; read again when it changes. */
import { readFileSync, statSync } from 'node:fs';
import { JsgError } from '../errors.js';
import { log } from '../log.js';

const MAX_FILE_BYTES = 1 << 20;
/** Printable ASCII, without the comma that separates keys of `--api-key`. */
const KEY = /^[!-+\--~]{1,512}$/;
const WATCH_INTERVAL_MS = 2000;

/** Throws E_USAGE for a file that cannot be read, holds no key, or holds a line that is none. Keys are never quoted. */
export function readKeyFile(file: string): string[] {
  const fault = (problem: string) => new JsgError('E_USAGE', `--api-key-file: ${file} ${problem}`);
  const lines = readText(file, fault).split('\n');
  const keys = new Set<string>();
  for (const [index, line] of lines.entries()) {
    const key = line.trim();
    if (key === '' || key.startsWith('#')) continue;
    if (!KEY.test(key)) {
      throw fault(`line ${index + 1} is no key: 1 to 512 printable ASCII characters without space or comma`);
    }
    keys.add(key);
  }
  if (keys.size === 0) throw fault('holds no key');
  return [...keys];
}

function readText(file: string, fault: (problem: string) => JsgError): string {
  try {
    if (statSync(file).size > MAX_FILE_BYTES) throw fault(`is larger than ${MAX_FILE_BYTES} bytes`);
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof JsgError) throw error;
    throw fault(`cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
}

/** Warns where others than the owner may read or change the file. */
export function warnOfOpenKeyFile(file: string): void {
  const mode = statSync(file, { throwIfNoEntry: false })?.mode ?? 0;
  if ((mode & 0o077) === 0) return;
  log.warning(`--api-key-file: ${file} is open to other users (mode ${(mode & 0o777).toString(8)}): chmod 600 ${file}`);
}

/**
 * Hands over the keys whenever the file holds others than `keys`, those in use. A file that is gone or wrong changes
 * nothing and is said: a slip of the pen must neither open the server nor lock everybody out. Returns what ends it.
 */
export function watchKeyFile(
  file: string,
  keys: readonly string[],
  replace: (keys: string[]) => void,
  intervalMs = WATCH_INTERVAL_MS,
): () => void {
  let inUse = keys;
  let seen: string | null = null; // nothing yet: what changed before this began is not missed
  const look = () => {
    const stamp = stampOf(file);
    if (stamp === seen) return;
    seen = stamp;
    try {
      const found = readKeyFile(file);
      if (found.join() === inUse.join()) return;
      inUse = found;
      replace(found);
      log.info(`${file} has changed: ${found.length} API ${found.length === 1 ? 'key' : 'keys'} from now on`);
    } catch (error) {
      log.warning(`${(error as Error).message}; the API keys stay as they were`);
    }
  };
  const timer = setInterval(look, intervalMs).unref();
  return () => clearInterval(timer);
}

/** Differs where the file may: also of one that is renamed into place, or is a link to another. */
function stampOf(file: string): string {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = statSync(file, { bigint: true });
    return [dev, ino, size, mtimeNs, ctimeNs].join();
  } catch (error) {
    return String((error as NodeJS.ErrnoException).code);
  }
}
