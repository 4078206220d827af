/** One step of a plan: its command with everything filled in, and what is done before it can run again. */
import { rmSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { JsgError } from '../../errors.js';
import { packageRoot } from '../../version.js';
import type { Step } from '../plan.js';
import { findGlob, newestMatch } from './files.js';

const fillPackage = (text: string) => text.replaceAll('{package}', packageRoot.replace(/\/$/, ''));

/** Paths with jsg's own folder filled in. */
export const pathsOf = (globs: string[]): string[] => globs.map((glob) => fillPackage(glob));

/** The step with jsg's own folder filled in. */
export function withPackageFolder(step: Step): Step {
  const env = Object.fromEntries(Object.entries(step.env).map(([name, value]) => [name, fillPackage(value)]));
  return { ...step, argv: pathsOf(step.argv), env, inputs: pathsOf(step.inputs), outputs: pathsOf(step.outputs) };
}

/** The words to run: `{jobs}` and globs filled in. */
export function argvOf(step: Step, cwd: string, jobs: number): string[] {
  return step.argv.map((word) => {
    const filled = withJobs(word, jobs);
    if (!filled.includes('*')) return filled;
    const match = newestMatch(cwd, filled);
    if (match === null) throw new JsgError('E_BUILD_FAILED', `${step.title}: no file matches ${filled} in ${cwd}`);
    return match;
  });
}

export const withJobs = (text: string, jobs: number): string => text.replaceAll('{jobs}', String(jobs));

export const withJobsIn = (env: Record<string, string>, jobs: number): Record<string, string> =>
  Object.fromEntries(Object.entries(env).map(([name, value]) => [name, withJobs(value, jobs)]));

const usesPip = ({ argv }: Step): boolean => argv.some((word) => /^pip[\d.]*$/.test(basename(word)));

/** Whether pip builds something from its sources. */
export const compilesByPip = (step: Step): boolean =>
  usesPip(step) && (step.argv.includes('wheel') || step.argv.includes('.'));

/** Whether the step changes the virtual environment. */
export const installs = (step: Step): boolean => usesPip(step) && step.argv.includes('install');

/**
 * Removes what an earlier try may have left half-written. setuptools copies only what is newer, so a file that a kill cut
 * short would go into the wheel; compiled objects stay, ninja knows which of them are whole.
 */
export function removeRemains({ outputs, argv }: Step, build: string, cwd: string): void {
  for (const path of outputs.flatMap((glob) => findGlob(build, glob))) {
    if (/\.(whl|tar\.gz|zip)$/.test(path)) rmSync(resolve(build, path), { force: true });
  }
  const usesSetuptools =
    argv.some((word) => basename(word) === 'setup.py') || argv.includes('install') || argv.includes('wheel');
  if (!usesSetuptools) return;
  for (const glob of ['build/lib*', 'build/bdist.*', '*.egg-info']) {
    for (const path of findGlob(cwd, glob)) rmSync(join(cwd, path), { recursive: true, force: true });
  }
}
