/** Findings as a person reads them, 80 columns wide. */
import type { ChalkInstance } from 'chalk';
import { wrap } from '../table.js';
import type { Finding, Status } from './finding.js';

const COLUMNS = 80;
const ID_WIDTH = 13;
const INDENT = 6 + ID_WIDTH;

const MARKS: Record<Status, (style: ChalkInstance) => string> = {
  fail: (style) => style.red('fail'),
  warn: (style) => style.yellow('warn'),
  pass: (style) => style.green('pass'),
  skip: (style) => style.dim('skip'),
};

export function formatFindings(findings: Finding[], style: ChalkInstance): string {
  const lines = findings.flatMap((finding) => {
    const needsWork = finding.status === 'fail' || finding.status === 'warn';
    const paragraphs = needsWork
      ? [finding.found, `expected: ${finding.expected}`, `why: ${finding.why}`, `fix: ${finding.fix}`]
      : [finding.found];
    const [first = '', ...rest] = paragraphs.flatMap((text) => wrap(text, COLUMNS - INDENT));
    const head = `${MARKS[finding.status](style)}  ${finding.id.padEnd(ID_WIDTH)}${first}`;
    return [head, ...rest.map((line) => ' '.repeat(INDENT) + line)];
  });
  return `${[...lines, '', lastLine(findings)].join('\n')}\n`;
}

function lastLine(findings: Finding[]): string {
  const count = (status: Status) => findings.filter((finding) => finding.status === status).length;
  const [failed, warned] = [count('fail'), count('warn')];
  if (failed > 0) return `Not ready: ${failed} to mend, ${warned} to look at. The fix stands with each.`;
  if (warned > 0) return `Ready, with ${warned} to look at. Next: jsg launch --profile smollm2`;
  return 'Ready. Next: jsg launch --profile smollm2';
}
