/**
 * A headless Chromium: `$JSG_CHROMIUM`, the one that the development dependency @sparticuz/chromium carries (x86_64), or one
 * on PATH.
 */
import { spawnSync } from 'node:child_process';
import {
  accessSync,
  chmodSync,
  constants,
  createReadStream,
  createWriteStream,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { createBrotliDecompress } from 'node:zlib';
import { type Browser, chromium } from 'playwright-core';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome'];

/** Why there is none: what a person can do about it. */
export const NO_BROWSER =
  'no Chromium: on x86_64 npm ci brings one; elsewhere apt-get install chromium, or name one with JSG_CHROMIUM=FILE';

export function hasBrowser(): boolean {
  return Boolean(process.env.JSG_CHROMIUM) || carriedFolder() !== null || onPath() !== null;
}

export async function launchBrowser(): Promise<Browser> {
  const executablePath = process.env.JSG_CHROMIUM ?? (await inflateCarried()) ?? onPath();
  if (!executablePath) throw new Error(NO_BROWSER);
  // Root, as in a container, has no sandbox; the pages are our own.
  const args = ['--no-sandbox', '--no-zygote', '--disable-gpu'];
  return chromium.launch({ executablePath, args, env: { ...process.env, ...librariesFor(executablePath) } });
}

function onPath(): string | null {
  const folders = (process.env.PATH ?? '').split(delimiter).filter(Boolean);
  return folders.flatMap((folder) => NAMES.map((name) => join(folder, name))).find(isExecutable) ?? null;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Null: not on this kind of machine, or not installed. */
function carriedFolder(): string | null {
  if (process.platform !== 'linux' || process.arch !== 'x64') return null;
  try {
    return join(dirname(createRequire(import.meta.url).resolve('@sparticuz/chromium')), '../../bin');
  } catch {
    return null;
  }
}

const unpacked = fileURLToPath(new URL('../../build/chromium/', import.meta.url));

/** The package's own way unpacks to /tmp, where anybody's file would be run. */
async function inflateCarried(): Promise<string | null> {
  const folder = carriedFolder();
  if (folder === null) return null;
  const { version } = JSON.parse(readFileSync(join(folder, '../package.json'), 'utf8')) as { version: string };
  const program = join(unpacked, version, 'chromium');
  if (!existsSync(program)) {
    mkdirSync(dirname(program), { recursive: true });
    await inflate(join(folder, 'al2023.tar.br'), `${program}-libraries.tar`);
    spawnSync('tar', ['-xf', `${program}-libraries.tar`, '-C', dirname(program)]);
    await inflate(join(folder, 'chromium.br'), program);
  }
  return program;
}

async function inflate(from: string, to: string): Promise<void> {
  const temporary = `${to}.${process.pid}.tmp`;
  await pipeline(createReadStream(from), createBrotliDecompress(), createWriteStream(temporary));
  chmodSync(temporary, 0o755);
  renameSync(temporary, to);
}

/** The package carries NSS too, for machines that have none. */
function librariesFor(program: string): Record<string, string> {
  const { stdout } = spawnSync('ldd', [program], { encoding: 'utf8' });
  return /not found/.test(stdout ?? '') ? { LD_LIBRARY_PATH: join(dirname(program), 'lib') } : {};
}
