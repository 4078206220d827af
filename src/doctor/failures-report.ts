/** Explanations as a person reads them, 80 columns wide, and as a script does. */
import type { ChalkInstance } from 'chalk';
import { wrap } from '../table.js';
import type { Explanation } from './failures.js';

const COLUMNS = 80;
const INDENT = '  ';

/** `name`: where the log came from. */
export function formatExplanations(found: Explanation[], name: string, numLines: number, style: ChalkInstance): string {
  if (found.length === 0) {
    const counted = `${numLines} ${numLines === 1 ? 'line' : 'lines'}`;
    return `No known failure in ${name} (${counted}). If it failed, its first line with "error" says more than its last.\n`;
  }
  const parts = found.map(({ finding, line, lineNumber, why, fix }, index) => [
    `${style.red(finding)}  ${style.dim(`${name}:${lineNumber}`)}${index > 0 ? style.dim('  (may follow from the first)') : ''}`,
    ...wrap(line, COLUMNS - 4).map((text) => `${INDENT}${style.dim('|')} ${text}`),
    ...wrap(`why: ${why}`, COLUMNS - INDENT.length).map((text) => INDENT + text),
    `${INDENT}fix:`,
    ...fix.split('\n').flatMap(fixLines),
  ]);
  return `${parts.map((lines) => lines.join('\n')).join('\n\n')}\n`;
}

/** A command stays on one line, so that it can be copied; its note goes before it. */
function fixLines(line: string): string[] {
  const [, command = line, note] = /^(.*?)(?:^|\s{2,})#\s+(.*)$/.exec(line) ?? [];
  const notes = note === undefined ? [] : wrap(note, COLUMNS - 6).map((text) => `# ${text}`);
  return [...notes, ...(command === '' ? [] : [command])].map((text) => INDENT + INDENT + text);
}

export function toJson({ finding, line, lineNumber, why, fix }: Explanation) {
  return { finding, line, line_number: lineNumber, why, fix };
}
