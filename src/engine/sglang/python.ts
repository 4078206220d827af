/** Which Python runs SGLang, and what the SGLang in it takes on its command line. */
import { existsSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { execa } from 'execa';
import { explain } from '../../doctor/failures.js';
import { JsgError } from '../../errors.js';
import type { Settings } from '../../profile/flags.js';
import { buildFolder } from '../../recipe/build-folder.js';
import { ownVenv, pythonOf } from '../../recipe/run/venv.js';
import { pythonScript } from '../python-module.js';
import type { InstalledSglang } from './known-flags.js';

export interface SglangPython {
  /** The interpreter. */
  path: string;
  env: NodeJS.ProcessEnv;
}

/** Importing torch from a slow card takes its time. */
const IMPORT_TIMEOUT_MS = 300_000;

/** The virtual environments that `jsg build sglang` makes, the documented versions' first. */
function recipeVenvs(env: NodeJS.ProcessEnv): string[] {
  return ['seed', 'latest'].map((variant) => join(buildFolder(variant, null, env), 'venv'));
}

/** Throws E_USAGE for an interpreter or a folder that is none, E_DEVICE_UNSUITABLE where SGLang was never built here. */
export function findPython(
  settings: Pick<Settings, 'python' | 'venv'>,
  env: NodeJS.ProcessEnv = process.env,
): SglangPython {
  const { python, venv } = settings;
  if (python !== null && venv !== null) {
    throw new JsgError('E_USAGE', '--python and --venv are given: one of them names the Python');
  }
  if (python !== null) return { path: requireProgram(python), env: serverEnvironment(env) };
  const folders = recipeVenvs(env);
  const folder = venv ?? folders.find((path) => existsSync(pythonOf(path)));
  if (folder === undefined) {
    throw new JsgError('E_DEVICE_UNSUITABLE', `there is no SGLang here: ${folders[0]} was not made yet`, {
      hint: 'Build it with `jsg build sglang`, or name another with --venv DIR or --python FILE.',
    });
  }
  const own = ownVenv(folder, env.PATH);
  return { path: own.python, env: serverEnvironment(own.path === null ? env : insideVenv(own.path, env)) };
}

/** As its `activate` sets it, so that kernels compiled at run time find its tools. */
function insideVenv(folder: string, { PYTHONPATH: _path, PYTHONHOME: _home, ...env }: NodeJS.ProcessEnv) {
  return { ...env, PATH: `${join(folder, 'bin')}:${env.PATH ?? '/usr/local/bin:/usr/bin:/bin'}`, VIRTUAL_ENV: folder };
}

function requireProgram(path: string): string {
  const found = path.includes('/') ? resolve(path) : path;
  if (!path.includes('/') || statSync(found, { throwIfNoEntry: false })?.isFile()) return found;
  throw new JsgError('E_USAGE', `--python: there is no file ${found}`);
}

/** jsg's key, and its socket to systemd, are no business of the server; its output is wanted line by line. */
function serverEnvironment({
  JSG_API_KEY: _key,
  NOTIFY_SOCKET: _socket,
  ...env
}: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return { ...env, PYTHONUNBUFFERED: '1' };
}

/** Asks the parser of the installed SGLang. Throws E_ENGINE_FAILED explaining why it cannot even be imported. */
export async function readInstalled(
  { path, env }: SglangPython,
  { withTorchao, signal }: { withTorchao: boolean; signal?: AbortSignal | undefined },
): Promise<InstalledSglang> {
  const result = await execa(path, [pythonScript('flags.py'), ...(withTorchao ? ['--torchao'] : [])], {
    env,
    extendEnv: false,
    stdin: 'ignore',
    reject: false,
    timeout: IMPORT_TIMEOUT_MS,
    forceKillAfterDelay: 2000,
    ...(signal === undefined ? {} : { cancelSignal: signal }),
  });
  if (!result.failed) return JSON.parse(result.stdout.trim().split('\n').at(-1) ?? '') as InstalledSglang;
  throw importFault(path, result.stderr ?? '', result.timedOut ? 'it took too long' : (result.shortMessage ?? ''));
}

function importFault(python: string, stderr: string, short: string): JsgError {
  if (/No module named 'sglang(?:\.srt(?:\.server_args)?)?'/.test(stderr)) {
    return new JsgError('E_DEVICE_UNSUITABLE', `${python} has no SGLang`, {
      hint: 'Build it with `jsg build sglang`, or name the Python that has it with --venv DIR or --python FILE.',
    });
  }
  const [cause] = explain(stderr);
  const last = stderr
    .split('\n')
    .filter((line) => line.trim() !== '')
    .slice(-4)
    .map((line) => `\n     | ${line}`)
    .join('');
  if (cause === undefined)
    return new JsgError('E_ENGINE_FAILED', `SGLang cannot be imported: ${short.split('\n')[0]}${last}`);
  return new JsgError('E_ENGINE_FAILED', `SGLang cannot be imported: ${cause.line}\n     why: ${cause.why}`, {
    hint: `fix: ${cause.fix.replaceAll('\n', '\n          ')}`,
  });
}
