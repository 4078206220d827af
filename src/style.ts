/** Colours for a terminal: none for pipes and files, none under NO_COLOR (https://no-color.org) or TERM=dumb. */
import { Chalk, type ChalkInstance } from 'chalk';

interface TerminalStream {
  isTTY?: boolean;
}

export function hasColor(stream: TerminalStream, env: NodeJS.ProcessEnv = process.env): boolean {
  if (env.NO_COLOR) return false;
  if (env.FORCE_COLOR && env.FORCE_COLOR !== '0') return true;
  return stream.isTTY === true && env.TERM !== 'dumb';
}

export function styleFor(stream: TerminalStream): ChalkInstance {
  return new Chalk({ level: hasColor(stream) ? 1 : 0 });
}
