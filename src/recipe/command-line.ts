/** Commands as a person types them: words apart and together, without a shell. */
import { quotePattern } from '../shell.js';

/** Splits at blanks; quotes keep them. Nothing is expanded. */
export function splitCommand(line: string): string[] {
  const words = line.match(/(?:[^\s'"]|'[^']*'|"[^"]*")+/g) ?? [];
  return words.map((word) => word.replace(/'([^']*)'|"([^"]*)"/g, (_, single, double) => single ?? double));
}

export const joinCommand = (argv: readonly string[]) => argv.map(quotePattern).join(' ');
