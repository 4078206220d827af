/** The three ways a model is refused: one line that names the file and the cause. */
import { JsgError } from '../errors.js';

/** The file is damaged, or contradicts itself. */
export function modelInvalid(file: string, problem: string, hint?: string): JsgError {
  return new JsgError('E_MODEL_INVALID', `${file}: ${problem}`, { hint });
}

/** The file is sound, and describes something this runtime has no code for. */
export function modelUnsupported(file: string, problem: string, hint?: string): JsgError {
  return new JsgError('E_MODEL_UNSUPPORTED', `${file}: ${problem}`, { hint });
}

/** A failed file operation as an error a person can act on: gone, not ours to read, disk full, disk read-only. */
export function fileError(file: string, error: unknown): JsgError {
  const code = (error as NodeJS.ErrnoException).code;
  const cause = error;
  switch (code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return new JsgError('E_MODEL_NOT_FOUND', `${file}: no such file`, { cause });
    case 'EISDIR':
      return new JsgError('E_MODEL_INVALID', `${file}: is a directory, expected a file`, { cause });
    case 'EACCES':
    case 'EPERM':
      return new JsgError('E_IO_FAILED', `${file}: permission denied`, { cause, hint: 'check its owner and mode' });
    case 'EROFS':
      return new JsgError('E_IO_FAILED', `${file}: the file system is read-only`, {
        cause,
        hint: 'set XDG_CACHE_HOME (or HF_HOME) to a directory that can be written',
      });
    case 'ENOSPC':
    case 'EDQUOT':
      return new JsgError('E_IO_FAILED', `${file}: no space left on the disk`, {
        cause,
        hint: 'free some space, or set XDG_CACHE_HOME (or HF_HOME) to a larger disk',
      });
    default:
      return new JsgError('E_IO_FAILED', `${file}: ${error instanceof Error ? error.message : String(error)}`, {
        cause,
      });
  }
}

/** A value from a file inside a message: one line, short, printable. */
export function quote(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? String(value));
  const short = text.length > 60 ? `${text.slice(0, 57)}...` : text;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must not reach a terminal
  return `'${short.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, '?')}'`;
}
