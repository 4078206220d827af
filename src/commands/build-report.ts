/** What came of a build, as a person reads it and as a script does. */
import { megabytes } from '../recipe/run/checks/finding.js';
import { isUnchanged, type Report } from '../recipe/run/report.js';
import type { RunResult } from '../recipe/run/run.js';
import { styleFor } from '../style.js';

/** With pip's own lines first: `Successfully installed flashinfer-0.2.0`. */
export function formatBuilt(results: RunResult[]): string {
  const said = results.flatMap((result) => result.said);
  const reports = results.map(({ report, numRun }) =>
    formatReport(report, numRun === 0 ? 'nothing was to be done' : null),
  );
  return `${[...(said.length > 0 ? [said.join('\n')] : []), ...reports].join('\n\n')}\n`;
}

/** Lines about one recipe. */
export function formatReport(report: Report, note: string | null = null): string {
  const style = styleFor(process.stdout);
  const { recipe, variant, board, sources, artefacts, checks, python } = report;
  const on = [board.name, board.jetpack && `JetPack ${board.jetpack}`, board.sm && `sm_${board.sm}`].filter(Boolean);
  const paint = { passed: style.green, failed: style.red, skipped: style.yellow, unknown: style.red };
  return [
    `${style.bold(recipe)} (${variant}) for ${on.join(', ')}${note === null ? '' : `: ${note}`}`,
    ...sources.map((source) => `  source    ${sourceText(source)}`),
    ...artefacts.map(({ path, bytes }) => `  made      ${path}, ${megabytes(bytes)}`),
    ...checks.map(({ status, detail }) => `  ${paint[status](status.padEnd(8))}  ${detail}`),
    ...(python === null ? [] : [`  python    ${python}`]),
  ].join('\n');
}

function sourceText({ name, tag, commit, sha256 }: Report['sources'][number]): string {
  const what = [name, tag].filter(Boolean).join(' ');
  const hash = commit ?? (sha256 === null ? null : `sha256 ${sha256}`);
  return hash === null ? what : `${what}, ${hash}`;
}

const toJson = (report: Report) => ({
  recipe: report.recipe,
  variant: report.variant,
  built_at: report.builtAt,
  verified_at: report.verifiedAt,
  unchanged: isUnchanged(report),
  board: report.board,
  python: report.python,
  sources: report.sources,
  artefacts: report.artefacts,
  checks: report.checks,
});

export const reportJson = (results: RunResult[]) => json(results.map(({ report }) => toJson(report)));
export const statusJson = (reports: Report[]) => json(reports.map(toJson));

const json = (document: unknown) => `${JSON.stringify(document, null, 2)}\n`;
