/** The virtual environment of a build: its own, or one that the user names. Never the system's Python. */
import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { JsgError } from '../../errors.js';
import { writeAtomically } from '../../files.js';

export interface Venv {
  path: string;
  /** Changes when it is made anew: what was installed is gone then. */
  id: string;
}

/** Written last, so that a venv that has it is a whole one. */
const MARK = '.jsg-venv';

/** A venv of the user's: checked, never changed by anything but the recipe's own steps. */
export function ownVenv(path: string): Venv {
  if (!existsSync(join(path, 'bin', 'python')) || !existsSync(join(path, 'pyvenv.cfg'))) {
    throw new JsgError('E_USAGE', `${path} is no virtual environment`, { hint: `python3 -m venv ${path}` });
  }
  return { path, id: path };
}

/** Makes the venv where it is missing, was left half-made, or is to be made `anew`. `make` throws where Python fails. */
export async function ensureVenv(path: string, anew: boolean, make: (path: string) => Promise<void>): Promise<Venv> {
  const mark = join(path, MARK);
  if (anew || !existsSync(mark) || !existsSync(join(path, 'bin', 'python'))) {
    // The mark goes first: a kill while the rest is removed leaves no venv that looks whole.
    rmSync(mark, { force: true });
    rmSync(path, { recursive: true, force: true });
    await make(path);
    writeAtomically(mark, randomUUID());
  }
  return { path, id: readFileSync(mark, 'utf8') };
}

/** The environment of a build's commands: the user's, the venv in front, nothing that asks a question. */
export function venvEnvironment(venv: Venv, base: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { PYTHONPATH: _path, PYTHONHOME: _home, ...inherited } = base;
  return {
    ...inherited,
    PATH: `${join(venv.path, 'bin')}:${base.PATH ?? '/usr/local/bin:/usr/bin:/bin'}`,
    VIRTUAL_ENV: venv.path,
    LC_ALL: 'C',
    GIT_TERMINAL_PROMPT: '0',
    PIP_NO_INPUT: '1',
    PIP_DISABLE_PIP_VERSION_CHECK: '1',
    PYTHONUNBUFFERED: '1',
  };
}
