/**
 * Tries a `.node` file in a child process: a file that crashes while it is loaded (SIGILL on another CPU, SIGSEGV from
 * other libraries) would otherwise end this process without a word. What has loaded once is not tried again while the
 * file and Node.js stay the same.
 */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import { explainLoadFailure } from './load-failure.js';

const TIMEOUT_MS = 30_000;
/** Files remembered: a few checkouts and versions of Node.js. */
const MAX_REMEMBERED = 16;

/** Throws E_ADDON_LOAD_FAILED. */
export async function probeAddon(path: string): Promise<void> {
  if (!existsSync(path)) throw explainLoadFailure(path, `${path}: no such file`, null);
  const key = fileKey(path);
  const remembered = readRemembered();
  if (remembered.includes(key)) return;
  await loadInChild(path);
  remember([key, ...remembered].slice(0, MAX_REMEMBERED));
}

function fileKey(path: string): string {
  const { size, mtimeMs } = statSync(path);
  return [path, size, mtimeMs, process.version, process.arch].join('|');
}

function loadInChild(path: string): Promise<void> {
  // NODE_OPTIONS may carry what has nothing to do with the addon: inspectors, hooks, loaders.
  const { NODE_OPTIONS: _, ...env } = process.env;
  const args = ['-e', 'require(process.argv[1])', path];
  return new Promise((resolve, reject) => {
    execFile(process.execPath, args, { env, timeout: TIMEOUT_MS }, (error, _stdout, stderr) => {
      if (!error) return resolve();
      reject(explainLoadFailure(path, stderr || error.message, error.signal ?? null));
    });
  });
}

function rememberedPath(): string {
  const xdg = process.env.XDG_CACHE_HOME;
  return join(xdg && isAbsolute(xdg) ? xdg : join(homedir(), '.cache'), 'jsg', 'addon-probes.json');
}

function readRemembered(): string[] {
  try {
    const keys: unknown = JSON.parse(readFileSync(rememberedPath(), 'utf8'));
    return Array.isArray(keys) ? keys.filter((key) => typeof key === 'string') : [];
  } catch {
    return [];
  }
}

/** A cache that cannot be written costs the next start 50 ms and nothing else. */
function remember(keys: string[]): void {
  const path = rememberedPath();
  const temporary = `${path}.${process.pid}`;
  try {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(temporary, `${JSON.stringify(keys, null, 1)}\n`);
    renameSync(temporary, path);
  } catch {
    // as said
  }
}
