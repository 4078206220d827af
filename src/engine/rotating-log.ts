/** A log on disk that never outgrows its bounds: `name.log`, then `name.1.log` (the one before) to `name.4.log`. */
import { closeSync, fstatSync, mkdirSync, openSync, renameSync, writeSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { log } from '../log.js';

const MAX_BYTES = 16 * 2 ** 20;
const MAX_FILES = 5;

/** Where logs of engines are kept unless told otherwise. */
export function logDirectory(env: NodeJS.ProcessEnv = process.env): string {
  return join(env.XDG_STATE_HOME || join(homedir(), '.local', 'state'), 'jsg', 'logs');
}

export class RotatingLog {
  readonly path: string;
  #file: number | null = null;
  #bytes = 0;
  #hasWarned = false;

  /** Appends to what is there. */
  constructor(
    private readonly directory: string,
    private readonly name: string,
    private readonly maxBytes = MAX_BYTES,
  ) {
    this.path = this.#pathOf(0);
  }

  /** A full disk must not end a server: what cannot be written is told once, and left out. */
  write(line: string): void {
    const bytes = Buffer.from(`${line}\n`);
    try {
      if (this.#bytes + bytes.length > this.maxBytes && this.#bytes > 0) this.#rotate();
      this.#file ??= this.#open();
      writeSync(this.#file, bytes);
      this.#bytes += bytes.length;
    } catch (error) {
      if (!this.#hasWarned) log.warning(`${this.path} cannot be written (${(error as Error).message})`);
      this.#hasWarned = true;
    }
  }

  close(): void {
    if (this.#file !== null) closeSync(this.#file);
    this.#file = null;
  }

  #open(): number {
    // Prompts may be in it, where SGLang logs requests.
    mkdirSync(this.directory, { recursive: true, mode: 0o700 });
    const file = openSync(this.path, 'a', 0o600);
    this.#bytes = fstatSync(file).size;
    return file;
  }

  #rotate(): void {
    this.close();
    for (let index = MAX_FILES - 1; index > 0; index--) {
      try {
        renameSync(this.#pathOf(index - 1), this.#pathOf(index));
      } catch {
        // There are not that many yet.
      }
    }
    this.#bytes = 0;
  }

  #pathOf(index: number): string {
    return join(this.directory, index === 0 ? `${this.name}.log` : `${this.name}.${index}.log`);
  }
}
