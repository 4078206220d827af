/** What a person reads when a build fails: the command, its last lines, the known cause with its fix, and how to go on. */
import { JsgError } from '../../errors.js';
import type { CommandResult } from './command.js';

/** The table of known failures, handed in by the command: a recipe does not import the doctor. */
export type Explain = (log: string) => { why: string; fix: string }[];

const SHOWN_LINES = 15;

export interface Failed {
  title: string;
  argv: string[];
  cwd: string;
  logPath: string;
  result: CommandResult;
  /** Said instead of how the command ended: it ended well and its result is wrong. */
  fault?: string;
}

/** E_IO_FAILED, with everything that helps in message and hint. */
export function buildFailure({ title, argv, cwd, logPath, result, fault }: Failed, explain: Explain): JsgError {
  const [known] = explain(result.tail.join('\n'));
  const message = [
    `${title}: ${fault ?? howItEnded(result)}`,
    `  command: ${argv.join(' ')}`,
    `  in:      ${cwd}`,
    `  log:     ${logPath}`,
    ...result.tail.slice(-SHOWN_LINES).map((line) => `  | ${line}`),
    ...(known === undefined ? [] : [`  known cause: ${known.why}`]),
  ].join('\n');
  const resume = 'Run the same command again to resume: finished steps are kept.';
  return new JsgError('E_IO_FAILED', message, { hint: known === undefined ? resume : `${known.fix}\n${resume}` });
}

function howItEnded({ exitCode, signal, timedOut, startError }: CommandResult): string {
  if (startError !== null) return startError;
  if (timedOut) return 'did not end in time';
  return signal === null ? `exit code ${exitCode}` : `ended by ${signal}`;
}

/** A run that was told to stop. */
export function interrupted(): JsgError {
  return new JsgError('E_IO_FAILED', 'the build was interrupted', {
    hint: 'Run the same command again to resume: finished steps are kept.',
  });
}
