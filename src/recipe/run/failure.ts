/** What a person reads when a build fails: the command, its last lines, the known cause with its fix, and how to go on. */
import { join } from 'node:path';
import { JsgError } from '../../errors.js';
import { quotePattern } from '../../shell.js';
import { joinCommand } from '../command-line.js';
import type { CommandResult } from './command.js';

/** The table of known failures, handed in by the command: a recipe does not import the doctor. */
export type Explain = (log: string) => { why: string; fix: string }[];

const SHOWN_LINES = 15;

export interface Failed {
  title: string;
  /** What a person types to go on: `jsg build flashinfer`. */
  resume: string;
  /** Its whole output; the tail where the log cannot be read. */
  output: string;
  argv: string[];
  cwd: string;
  logPath: string;
  result: CommandResult;
  /** Folder of the environment that it ran in; null: none. */
  venv: string | null;
  /** Said instead of how the command ended: it ended well and its result is wrong. */
  fault?: string;
}

/** E_BUILD_FAILED, with everything that helps in message and hint. */
export function buildFailure(failed: Failed, explain: Explain): JsgError {
  const { title, argv, cwd, logPath, result, fault, venv } = failed;
  const [known] = explain(failed.output);
  const message = [
    `${title}: ${fault ?? howItEnded(result)}`,
    `  command: ${joinCommand(argv)}`,
    `  in:      ${cwd}`,
    `  log:     ${logPath}`,
    ...result.tail.slice(-SHOWN_LINES).map((line) => `  | ${line}`),
    ...(known === undefined ? [] : [`  known cause: ${known.why}`]),
  ].join('\n');
  const isInVenv = venv !== null && known !== undefined && /\bpip3?\b/.test(known.fix);
  const hint = [
    ...(isInVenv ? [`. ${quotePattern(join(venv, 'bin', 'activate'))}   # the environment of the build`] : []),
    ...(known === undefined ? [] : [known.fix]),
    howToResume(failed.resume),
  ].join('\n');
  return new JsgError('E_BUILD_FAILED', message, { hint });
}

function howItEnded({ exitCode, signal, timedOut, startError }: CommandResult): string {
  if (startError !== null) return startError;
  if (timedOut) return 'did not end in time';
  return signal === null ? `exit code ${exitCode}` : `ended by ${signal}`;
}

const howToResume = (command: string) => `${command}   # resumes: finished steps are kept`;

/** A run that was told to stop. */
export function interrupted(command: string): JsgError {
  return new JsgError('E_INTERRUPTED', 'the build was interrupted', { hint: howToResume(command) });
}
