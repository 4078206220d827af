/** A directory for the files of one test file, gone when it ends. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { JsgError } from '../../../src/errors.js';

export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'jsg-model-'));
  afterAll(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

export function writeFile(path: string, content: Uint8Array | string): string {
  writeFileSync(path, content);
  return path;
}

/** What `act` throws, which must be an error for a person: a code, one line, no stack of ours in it. */
export function refusal(act: () => unknown): JsgError {
  try {
    act();
  } catch (error) {
    return asRefusal(error);
  }
  throw new Error('nothing was thrown');
}

export async function rejection(act: Promise<unknown>): Promise<JsgError> {
  return act.then(
    () => {
      throw new Error('nothing was thrown');
    },
    (error) => asRefusal(error),
  );
}

function asRefusal(error: unknown): JsgError {
  if (!(error instanceof JsgError)) throw error;
  if (/\n/.test(error.message)) throw new Error(`more than one line: ${error.message}`);
  return error;
}

/** A small reproducible generator: numbers from 0 up to `below`. */
export function randomNumbers(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    // mulberry32
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}
