/** A file of API keys: one a line, blank lines and lines that begin with # aside; read again when it changes. */
import { readFileSync, type StatsListener, statSync, unwatchFile, watchFile } from 'node:fs';
import { JsgError } from '../errors.js';
import { log } from '../log.js';

const MAX_FILE_BYTES = 1 << 20;
/** Printable ASCII, without the comma that separates keys of `--api-key`. */
const KEY = /^[!-+\--~]{1,512}$/;
/** Also files that are renamed into place, or are links to others, are seen by their times. */
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
 * Hands over the keys whenever the file has changed. A file that is gone or wrong changes nothing and is said: a slip of
 * the pen must neither open the server nor lock everybody out. Returns what ends it.
 */
export function watchKeyFile(
  file: string,
  replace: (keys: string[]) => void,
  intervalMs = WATCH_INTERVAL_MS,
): () => void {
  const onChange: StatsListener = () => {
    try {
      const keys = readKeyFile(file);
      replace(keys);
      log.info(`${file} has changed: ${keys.length} API ${keys.length === 1 ? 'key' : 'keys'} from now on`);
    } catch (error) {
      log.warning(`${(error as Error).message}; the API keys stay as they were`);
    }
  };
  watchFile(file, { interval: intervalMs, persistent: false }, onChange);
  return () => unwatchFile(file, onChange);
}
