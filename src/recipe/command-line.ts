/** Commands as a person types them: words apart and together, without a shell. */

/** Splits at blanks; quotes keep them. Nothing is expanded. */
export function splitCommand(line: string): string[] {
  const words = line.match(/(?:[^\s'"]|'[^']*'|"[^"]*")+/g) ?? [];
  return words.map((word) => word.replace(/'([^']*)'|"([^"]*)"/g, (_, single, double) => single ?? double));
}

/** One word for a shell. `*` is left bare, since it stands for a file there too. */
export function quoteWord(word: string): string {
  return /^[\w@%+=:,./*-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

export const joinCommand = (argv: readonly string[]) => argv.map(quoteWord).join(' ');
