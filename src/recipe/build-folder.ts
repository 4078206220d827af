/** Where builds are kept: sources, the virtual environment and what is made of them, one folder for each variant. */
import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';

/** `directory`: the user's choice, `--build-dir`. Recipes of one variant share a folder, and with it clones and the venv. */
export function buildFolder(variant: string, directory: string | null, env = process.env): string {
  return join(buildsFolder(directory, env), variant);
}

export function buildsFolder(directory: string | null, env = process.env): string {
  if (directory !== null) return resolve(directory);
  const base = env.XDG_DATA_HOME;
  // The XDG specification has relative paths ignored.
  return join(base && isAbsolute(base) ? base : join(homedir(), '.local', 'share'), 'jsg', 'build');
}
