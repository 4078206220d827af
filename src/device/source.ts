/**
 * Where facts come from: files below a root, and commands on PATH. Reading never blocks, never follows a link out of the
 * root, and takes no more than a bounded part of a file; a command gets no terminal and a time limit.
 */
import { closeSync, constants, fstatSync, lstatSync, openSync, readdirSync, readlinkSync, readSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { execa } from 'execa';
import { findOnPath } from './path.js';

/** A file's text under the probed root; null where it cannot be read. */
export type ReadText = (path: string, maxBytes?: number) => string | null;

export interface Output {
  /** Exit status; null: it was ended, or could not be started. */
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface Source {
  /** Whether this machine is probed, so that what Node itself knows of it may stand in for a missing file. */
  isHere: boolean;
  read: ReadText;
  /** Path on this machine of a path below the root, links resolved; null: not there. */
  find: (path: string) => string | null;
  /** Target of a symbolic link, as written; null: no link. */
  link: (path: string) => string | null;
  /** Names in a folder, sorted; empty when it cannot be read. */
  list: (path: string) => string[];
  /** Runs a command of PATH; null: it is not there. One that does not end in time is ended, and keeps what it said. */
  run: (command: string, args: string[], timeoutMs?: number) => Promise<Output | null>;
}

/** Several times the list of files of torch; the one larger text, dpkg's, says so when it is read. */
const MAX_FILE_BYTES = 8 * 2 ** 20;
const MAX_OUTPUT_BYTES = 2 ** 20;
const MAX_LINKS = 32;
/** Commands run side by side, and doctor is to answer within 2 s. */
const COMMAND_TIMEOUT_MS = 1500;

export function sourceUnder(root = '/'): Source {
  const base = resolve(root);
  const find = (path: string) => findUnder(base, path);
  return {
    isHere: base === '/',
    find,
    read: (path, maxBytes = MAX_FILE_BYTES) => {
      const found = find(path);
      return found === null ? null : readText(found, maxBytes);
    },
    link: (path) => {
      const folder = find(dirname(path));
      try {
        return folder === null ? null : readlinkSync(join(folder, basename(path)));
      } catch {
        return null;
      }
    },
    list: (path) => {
      try {
        return readdirSync(find(path) ?? join(base, path)).sort();
      } catch {
        return [];
      }
    },
    run: runCommand,
  };
}

/** Resolves links as the probed machine would: absolute targets start at the root, and `..` never leaves it. */
function findUnder(base: string, path: string): string | null {
  const todo = path.split('/');
  let numLinks = 0;
  let at = base;
  while (todo.length > 0) {
    const name = todo.shift();
    if (!name || name === '.') continue;
    if (name === '..') {
      if (at !== base) at = dirname(at);
      continue;
    }
    const next = join(at, name);
    try {
      if (!lstatSync(next).isSymbolicLink()) {
        at = next;
        continue;
      }
      numLinks += 1;
      if (numLinks > MAX_LINKS) return null;
      const target = readlinkSync(next);
      if (target.startsWith('/')) at = base;
      todo.unshift(...target.split('/'));
    } catch {
      return null;
    }
  }
  return at;
}

function readText(path: string, maxBytes: number): string | null {
  let file: number | null = null;
  try {
    // Opening a FIFO would wait for a writer.
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    if (!fstatSync(file).isFile()) return null;
    return cleanText(readUpTo(file, maxBytes).toString('utf8'));
  } catch {
    return null;
  } finally {
    if (file !== null) closeSync(file);
  }
}

/** Files of /proc and /sys say that they have no bytes, so reading goes on until nothing comes. */
function readUpTo(file: number, maxBytes: number): Buffer {
  const chunks: Buffer[] = [];
  let total = 0;
  while (total < maxBytes) {
    const chunk = Buffer.alloc(Math.min(2 ** 18, maxBytes - total));
    const count = readSync(file, chunk);
    if (count === 0) break;
    chunks.push(chunk.subarray(0, count));
    total += count;
  }
  return Buffer.concat(chunks);
}

/** Text as the parsers want it: no colours, no byte order mark, lines ended by a newline; NUL ends one as well. */
export function cleanText(raw: string): string {
  return stripVTControlCharacters(raw.replace(/^\uFEFF/, '').replace(/\r\n?|\0/g, '\n'));
}

const MAX_VALUE_CHARS = 120;

/** The one value that a file holds, fit to be shown: its first line, printable, not endless. Null: none. */
export function oneValue(text: string | null): string | null {
  const line = text
    ?.split('\n')
    .map((each) =>
      each
        .replace(/[\p{C}\uFFFD]+/gu, ' ')
        .replace(/\s+/g, ' ')
        .trim(),
    )
    .find(Boolean);
  return line === undefined ? null : line.slice(0, MAX_VALUE_CHARS);
}

async function runCommand(
  command: string,
  args: string[],
  timeoutMs: number = COMMAND_TIMEOUT_MS,
): Promise<Output | null> {
  // Node has no process id for a command that is not there: ending it, as is done when jsg exits, would end jsg's own group.
  if (findOnPath(command, process.env.PATH ?? '') === null) return null;
  const child = execa(command, args, {
    stdin: 'ignore',
    env: { LC_ALL: 'C', NO_COLOR: '1' },
    timeout: timeoutMs,
    forceKillAfterDelay: 200,
    maxBuffer: MAX_OUTPUT_BYTES,
    reject: false,
  });
  // A grandchild may hold the pipes open after the child is gone.
  const gaveUp = new Promise<null>((done) => setTimeout(done, timeoutMs + 300, null).unref());
  const result = await Promise.race([child, gaveUp]);
  const neverRan = result?.exitCode === undefined && result?.signal === undefined && !result?.timedOut;
  if (result === null || neverRan) return null;
  return {
    code: result.exitCode ?? null,
    stdout: cleanText(result.stdout ?? ''),
    stderr: cleanText(result.stderr ?? ''),
  };
}
