/** Runs mends: each command with closed input, a time limit, and root only as far as it was granted. */
import { stripVTControlCharacters } from 'node:util';
import { execa } from 'execa';
import { JsgError } from '../errors.js';
import { explain } from './failures.js';
import type { Mend } from './fix.js';

/** `direct`: this process is root; `sudo`: by sudo without asking; `none`: nothing may be run as root. */
export type RootAccess = 'direct' | 'sudo' | 'none';

const TIMEOUT_MS = 2 * 60_000;
/** Packages are downloaded. */
const APT_TIMEOUT_MS = 60 * 60_000;
const PASSWORD_TIMEOUT_MS = 2 * 60_000;

/** Finds out how to become root. Asks for the password only where `maySudo` and `isTerminal`. */
export async function rootAccess({
  maySudo,
  isTerminal,
}: {
  maySudo: boolean;
  isTerminal: boolean;
}): Promise<RootAccess> {
  if (process.getuid?.() === 0) return 'direct';
  if (!maySudo) return 'none';
  const quiet = await execa('sudo', ['-n', 'true'], { stdin: 'ignore', timeout: 10_000, reject: false });
  if (quiet.exitCode === 0) return 'sudo';
  if (!isTerminal) return 'none';
  const asked = await execa('sudo', ['-v'], { stdio: 'inherit', timeout: PASSWORD_TIMEOUT_MS, reject: false });
  return asked.exitCode === 0 ? 'sudo' : 'none';
}

/** Runs a mend's commands one after the other; throws E_IO_FAILED with what is known of the first that fails. */
export async function runMend(
  mend: Mend,
  access: RootAccess,
  onLine: (line: string) => void = () => {},
): Promise<void> {
  for (const words of mend.commands) {
    const [program = '', ...args] = toRun(words, mend.needsRoot && access === 'sudo');
    const child = execa(program, args, {
      // nvpmodel asks before it reboots, and a mend that reboots was agreed to; nothing else is to ask.
      ...(mend.reboots ? { input: 'YES\n' } : { stdin: 'ignore' as const }),
      env: { LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive' },
      timeout: words[0] === 'apt-get' ? APT_TIMEOUT_MS : TIMEOUT_MS,
      forceKillAfterDelay: 1000,
      maxBuffer: 2 ** 20,
      all: true,
      reject: false,
    });
    child.all?.on('data', (chunk: Buffer) => onLine(lastLine(chunk.toString())));
    const result = await child;
    if (result.failed) throw failure(words, result);
  }
}

/** The words of the process: sudo that never asks, and apt-get that was agreed to already. */
function toRun(words: string[], viaSudo: boolean): string[] {
  const [program = '', ...args] = words;
  if (program !== 'apt-get') return [...(viaSudo ? ['sudo', '-n'] : []), ...words];
  const noQuestion = args.includes('-y') ? [] : ['-y'];
  const env = viaSudo ? ['sudo', '-n', 'env', 'DEBIAN_FRONTEND=noninteractive'] : [];
  return [...env, program, ...noQuestion, '-o', 'DPkg::Lock::Timeout=60', ...args];
}

interface Failed {
  all?: string | undefined;
  exitCode?: number | undefined;
  timedOut: boolean;
  shortMessage?: string;
}

function failure(words: string[], { all = '', exitCode, timedOut, shortMessage }: Failed): JsgError {
  const [known] = explain(all);
  const how = timedOut
    ? 'did not end in time'
    : exitCode === undefined
      ? lastLine(shortMessage ?? '')
      : `exit code ${exitCode}`;
  const told = known?.line ?? lastLine(all);
  return new JsgError('E_IO_FAILED', `${words.join(' ')}: ${how}${told ? `: ${told}` : ''}`, {
    ...(known === undefined ? {} : { hint: known.fix }),
  });
}

function lastLine(text: string): string {
  const lines = stripVTControlCharacters(text).split(/[\r\n]+/);
  return (lines.filter((line) => line.trim() !== '').at(-1) ?? '').trim().slice(0, 200);
}
