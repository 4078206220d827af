/** Reads the command of a finding's fix, so that what is shown is what is run. */

export interface FixCommand {
  /** Run one after the other while they succeed; `sudo` is taken off. */
  commands: string[][];
  needsRoot: boolean;
  /** What stands behind `#`; empty: nothing. */
  note: string;
}

/** Quoted text, or what holds nothing that a shell would act on. */
const WORD = /\s*(?:'([^']*)'|"([^"$`\\]*)"|([\w@%+=:,./-]+))(?=\s|$)/y;

/**
 * `command && command   # note`. Null for anything else that a shell would have to read (pipes, variables, globs, several
 * lines): a person runs that.
 */
export function parseFix(fix: string): FixCommand | null {
  const [, line = '', note = ''] = /^(.*?)(?:\s{2,}#\s*(.*))?$/s.exec(fix) ?? [];
  if (/\n/.test(fix)) return null;
  const commands: string[][] = [];
  let needsRoot = false;
  for (const part of line.split(' && ')) {
    const words = wordsOf(part);
    if (words === null) return null;
    if (words[0] === 'sudo') needsRoot = true;
    commands.push(words[0] === 'sudo' ? words.slice(1) : words);
  }
  if (commands.some(([program = '']) => program === '' || program.startsWith('-'))) return null;
  return { commands, needsRoot, note };
}

function wordsOf(text: string): string[] | null {
  const words: string[] = [];
  WORD.lastIndex = 0;
  let at = 0;
  while (text.slice(at).trim() !== '') {
    WORD.lastIndex = at;
    const found = WORD.exec(text);
    if (found === null) return null;
    words.push(found[1] ?? found[2] ?? found[3] ?? '');
    at = WORD.lastIndex;
  }
  return words;
}
