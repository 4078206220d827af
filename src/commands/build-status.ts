/** `jsg build --status`: what is built, from which commit, for which board, verified how. Changes nothing. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { JsgError } from '../errors.js';
import { buildsFolder } from '../recipe/build-folder.js';
import { isUnchanged, type Report, readReport, reportedRecipes } from '../recipe/run/report.js';
import { formatReport, statusJson } from './build-report.js';
import type { Options } from './settings.js';

/** `recipe`: null: all. Returns 0; 1 where nothing is built. */
export function buildStatus({ variant, buildDir, json }: Options, recipe: string | null): number {
  const folder = buildsFolder((buildDir as string | undefined) ?? null);
  const reports = reportsIn(folder)
    .filter((report) => recipe === null || report.recipe === recipe)
    .filter((report) => variant === undefined || report.variant === variant);
  if (json) process.stdout.write(statusJson(reports));
  else if (reports.length > 0) process.stdout.write(`${reports.map(formatStatus).join('\n\n')}\n`);
  else {
    throw new JsgError('E_NOT_FOUND', `${recipe ?? 'nothing'} is ${recipe === null ? '' : 'not '}built in ${folder}`, {
      hint: recipe === null ? 'jsg build --help names the recipes.' : `jsg build ${recipe}`,
    });
  }
  return reports.length > 0 ? 0 : 1;
}

function reportsIn(folder: string): Report[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder).flatMap((variant) => {
    const build = join(folder, variant);
    return reportedRecipes(build).flatMap((recipe) => readReport(build, recipe) ?? []);
  });
}

const formatStatus = (report: Report) =>
  formatReport(
    report,
    isUnchanged(report) ? `built ${report.builtAt ?? report.verifiedAt}` : 'its files have changed since it was built',
  );
