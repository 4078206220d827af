/**
 * The Python of a build: a virtual environment of its own, or what the user names. The system's only when it is named, by
 * `system`, as in a container that is made around it.
 */
import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import { findOnPath } from '../../device/path.js';
import { JsgError } from '../../errors.js';
import { writeAtomically } from '../../files.js';

export interface Venv {
  /** Its folder; null: the system's Python. */
  path: string | null;
  /** The interpreter, absolute. */
  python: string;
  /** Changes when it is made anew: what was installed is gone then. */
  id: string;
}

/** What `--venv` takes for the Python on PATH. */
export const SYSTEM = 'system';

/** Written last, so that a venv that has it is a whole one. */
const MARK = '.jsg-venv';

/** A Python of the user's: checked, never changed by anything but the recipe's own steps. Throws E_USAGE. */
export function ownVenv(name: string, path = process.env.PATH ?? ''): Venv {
  if (name === SYSTEM) {
    const python = findOnPath('python3', path);
    if (python === null) throw new JsgError('E_USAGE', `--venv ${SYSTEM}: there is no python3 on PATH`);
    return { path: null, python, id: python };
  }
  const folder = resolve(name);
  const python = join(folder, 'bin', 'python');
  const isEnvironment = ['pyvenv.cfg', 'conda-meta'].some((file) => existsSync(join(folder, file)));
  if (!existsSync(python) || !isEnvironment) {
    throw new JsgError('E_USAGE', `--venv: ${folder} is no virtual environment`, {
      hint: `python3 -m venv ${name}   # or --venv ${SYSTEM} for the Python on PATH`,
    });
  }
  return { path: folder, python, id: folder };
}

/** The build's own, as it would be once it is made. */
export const pythonOf = (path: string): string => join(path, 'bin', 'python');

/** Makes the venv where it is missing or was left half-made. `make` throws where Python fails. */
export async function ensureVenv(path: string, make: (path: string) => Promise<void>) {
  const mark = join(path, MARK);
  const isHere = existsSync(mark) && existsSync(pythonOf(path));
  if (!isHere) {
    // The mark goes first: a kill while the rest is removed leaves no venv that looks whole.
    rmSync(mark, { force: true });
    rmSync(path, { recursive: true, force: true });
    await make(path);
    writeAtomically(mark, randomUUID());
  }
  const venv: Venv = { path, python: pythonOf(path), id: readFileSync(mark, 'utf8') };
  return { venv, isCached: isHere };
}

/** Variables that would send an installation elsewhere, or hide what is in the venv. */
const MISLEADING = ['PYTHONPATH', 'PYTHONHOME', 'PIP_USER', 'PIP_TARGET', 'PIP_PREFIX', 'PIP_ROOT'];

/** The environment of a build's commands: the user's, the venv in front, nothing that asks a question. */
export function venvEnvironment(venv: Venv | null, base: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const common = {
    LC_ALL: 'C',
    GIT_TERMINAL_PROMPT: '0',
    PIP_NO_INPUT: '1',
    PIP_DISABLE_PIP_VERSION_CHECK: '1',
    PYTHONUNBUFFERED: '1',
  };
  if (venv === null || venv.path === null) return { ...base, ...common };
  const inherited = Object.fromEntries(Object.entries(base).filter(([name]) => !MISLEADING.includes(name)));
  return {
    ...inherited,
    ...common,
    PATH: `${join(venv.path, 'bin')}${delimiter}${base.PATH ?? '/usr/local/bin:/usr/bin:/bin'}`,
    VIRTUAL_ENV: venv.path,
  };
}
