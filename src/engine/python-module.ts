/** A Python module that serves, as a command: its API key, where it has one, is on no command line. */
import { join } from 'node:path';
import { packageRoot } from '../version.js';
import type { ChildSpec } from './child.js';

export const pythonScript = (name: string) => join(packageRoot, 'scripts', 'sglang', name);

/** `python -m MODULE ARGS`, or with a key the same through a script that reads it from stdin. */
export function moduleCommand(
  { path, env }: { path: string; env: NodeJS.ProcessEnv },
  module: string,
  args: string[],
  apiKey: string | null,
): Omit<ChildSpec, 'onLine'> {
  if (apiKey === null) return { argv: [path, '-m', module, ...args], env, input: null };
  return { argv: [path, pythonScript('launch.py'), module, ...args], env, input: `${apiKey}\n` };
}
