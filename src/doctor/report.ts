/** Findings as a person reads them: 80 columns wide, by group, worst first. */
import type { ChalkInstance } from 'chalk';
import { wrap } from '../table.js';
import { type Finding, GROUPS, type Group, type Status, WORST_FIRST } from './finding.js';

const COLUMNS = 80;
const ID_WIDTH = 18;
const INDENT = 8 + ID_WIDTH;

const TITLES: Record<Group, string> = {
  machine: 'Machine',
  performance: 'Power and clocks',
  memory: 'Memory',
  software: 'JetPack and libraries',
  python: 'Python',
  runtime: 'Serving',
};

const MARKS: Record<Status, (style: ChalkInstance) => string> = {
  fail: (style) => style.red('fail'),
  warn: (style) => style.yellow('warn'),
  pass: (style) => style.green('pass'),
  skip: (style) => style.dim('skip'),
};

/** `head`: what is looked at, in a line. `next`: the command to type when all is well. */
export function formatFindings(head: string, findings: Finding[], next: string, style: ChalkInstance): string {
  const worst = (group: Finding[]) => Math.min(...group.map(({ status }) => WORST_FIRST.indexOf(status)));
  const groups = GROUPS.map((group) => ({ group, findings: findings.filter((each) => each.group === group) }))
    .filter((each) => each.findings.length > 0)
    .sort((a, b) => worst(a.findings) - worst(b.findings));
  const blocks = groups.map((each) =>
    [style.bold(TITLES[each.group]), ...formatGroup(each.findings, style)].join('\n'),
  );
  return `${[wrap(head, COLUMNS).join('\n'), ...blocks, lastLine(findings, next)].join('\n\n')}\n`;
}

function formatGroup(findings: Finding[], style: ChalkInstance): string[] {
  const sorted = [...findings].sort((a, b) => WORST_FIRST.indexOf(a.status) - WORST_FIRST.indexOf(b.status));
  return sorted.flatMap((finding) => {
    const [first = '', ...rest] = paragraphs(finding).flatMap((text) => wrapHard(text, COLUMNS - INDENT));
    const head = `  ${MARKS[finding.status](style)}  ${finding.id.padEnd(ID_WIDTH)}${first}`;
    return [head, ...rest.map((line) => ' '.repeat(INDENT) + line), ...fixLines(finding)];
  });
}

const needsWork = ({ status }: Finding) => status === 'fail' || status === 'warn';

function paragraphs(finding: Finding): string[] {
  if (!needsWork(finding)) return [finding.found];
  return [finding.found, `expected: ${finding.expected}`, `why: ${finding.why}`];
}

/** The command on lines of its own, so that it can be copied; broken only between words, with a backslash. */
function fixLines(finding: Finding): string[] {
  if (!needsWork(finding) || finding.fix === null) return [];
  const indent = ' '.repeat(8);
  return finding.fix
    .split('\n')
    .flatMap((line) => breakCommand(line, COLUMNS - indent.length - 2))
    .map((line, i) => `${indent}${i === 0 ? '$ ' : '  '}${line}`);
}

/** A note behind `#` gets a line of its own; a command is continued by a backslash. */
function breakCommand(line: string, columns: number): string[] {
  const [, command = line, note] = /^(.*?)\s{2,}(#.*)$/.exec(line) ?? [];
  // A line break within quotes would become part of the argument.
  const quoted = command.replace(/"[^"]*"|'[^']*'/g, (text) => text.replaceAll(' ', '\u0001'));
  const lines = wrap(quoted, columns - 2).map((text) => text.replaceAll('\u0001', ' '));
  const continued = lines.map((text, i) => (i < lines.length - 1 ? `${text} \\` : text));
  return [...continued, ...(note === undefined ? [] : wrap(note.slice(1), columns - 2).map((text) => `# ${text}`))];
}

/** A word longer than the column (a path, say) is broken as well. */
function wrapHard(text: string, columns: number): string[] {
  return wrap(text, columns).flatMap((line) => line.match(new RegExp(`.{1,${columns}}`, 'gu')) ?? ['']);
}

function lastLine(findings: Finding[], next: string): string {
  const count = (status: Status) => findings.filter((finding) => finding.status === status).length;
  const [failed, warned] = [count('fail'), count('warn')];
  if (failed > 0) return `Not ready: ${failed} to mend, ${warned} to look at. The command stands with each.`;
  if (warned > 0) return `Ready, with ${warned} to look at. Next: ${next}`;
  return `Ready. Next: ${next}`;
}
