/** What is built, from which commit, for which board, verified how: one file a recipe, for `jsg build --status`. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { sha256OfFile, writeAtomically } from '../../files.js';
import type { Plan } from '../plan.js';
import { findGlob } from './files.js';
import type { FetchedPackage } from './packages.js';
import { pathsOf } from './step.js';
import type { Venv } from './venv.js';
import type { Verdict } from './verify.js';

export interface Artefact {
  /** Absolute. */
  path: string;
  bytes: number;
  sha256: string;
}

export interface Report {
  recipe: string;
  variant: string;
  /** When its last step ended, ISO 8601; null: it has no steps. */
  builtAt: string | null;
  /** When the checks were made, ISO 8601. */
  verifiedAt: string;
  /** Name, JetPack and compute capability times ten of what it was built for. */
  board: { name: string; jetpack: string | null; sm: number | null };
  /** Interpreter that it was built with and for; null: it takes none. */
  python: string | null;
  sources: { name: string; tag: string | null; commit: string | null; sha256: string | null }[];
  artefacts: Artefact[];
  checks: { kind: string; status: Verdict['status']; detail: string }[];
}

export interface Built {
  plan: Plan;
  build: string;
  venv: Venv | null;
  commits: Record<string, string>;
  fetched: FetchedPackage[];
  builtAt: string | null;
  verdicts: Verdict[];
}

const folderOf = (build: string) => join(build, '.jsg', 'built');

export async function writeReport(built: Built): Promise<Report> {
  const { plan, build, venv, commits, fetched, verdicts, builtAt } = built;
  const report: Report = {
    recipe: plan.recipe,
    variant: plan.variant,
    builtAt,
    verifiedAt: new Date().toISOString(),
    board: { name: plan.device.name, jetpack: plan.device.jetpack, sm: plan.device.sm },
    python: venv?.python ?? null,
    sources: plan.sources.map((source) => ({
      name: source.name,
      tag: source.kind === 'git' ? source.tag : source.version,
      commit: commits[source.name] ?? null,
      sha256: fetched.find(({ name }) => name === source.name)?.sha256 ?? null,
    })),
    artefacts: await artefactsOf(build, pathsOf(plan.outputs)),
    checks: verdicts.map(({ check, status, detail }) => ({ kind: check.kind, status, detail })),
  };
  writeAtomically(join(folderOf(build), `${plan.recipe}.json`), `${JSON.stringify(report, null, 2)}\n`);
  return report;
}

async function artefactsOf(build: string, globs: string[]): Promise<Artefact[]> {
  const paths = globs.flatMap((glob) => findGlob(build, glob)).map((path) => resolve(build, path));
  return Promise.all(
    paths.map(async (path) => ({ path, bytes: statSync(path).size, sha256: await sha256OfFile(path) })),
  );
}

/** The report of a recipe's last finished run; null: there is none. */
export function readReport(build: string, recipe: string): Report | null {
  try {
    const report = JSON.parse(readFileSync(join(folderOf(build), `${recipe}.json`), 'utf8')) as Partial<Report> | null;
    return Array.isArray(report?.artefacts) && Array.isArray(report.checks) ? (report as Report) : null;
  } catch {
    return null;
  }
}

export const reportedRecipes = (build: string): string[] =>
  findGlob(folderOf(build), '*.json').map((name) => name.replace(/\.json$/, ''));

/** Whether it is still as it was reported: by name and size. */
export const isUnchanged = ({ artefacts }: Report): boolean =>
  artefacts.every(({ path, bytes }) => existsSync(path) && statSync(path).size === bytes);
