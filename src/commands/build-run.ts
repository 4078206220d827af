/** `jsg build RECIPE`: preflight, the run with its display, and what came of it. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { explain } from '../doctor/failures.js';
import { JsgError } from '../errors.js';
import { buildFolder } from '../recipe/build-folder.js';
import { readMemoryNow } from '../recipe/run/memory.js';
import { withCuda } from '../recipe/run/path.js';
import { missingFor, readMachine, requireAll } from '../recipe/run/preflight.js';
import { type RunOptions, type RunResult, runPlans } from '../recipe/run/run.js';
import { tasksOf } from '../recipe/run/tasks.js';
import { ownVenv, pythonOf } from '../recipe/run/venv.js';
import type { Planned } from './build.js';
import { formatBuilt, reportJson } from './build-report.js';
import { chooseSources } from './build-sources.js';
import { showBuild } from './build-view.js';
import type { Options } from './settings.js';
import { abortedBySignals } from './signals.js';

/** Returns 0 where everything is built and proved. Throws E_DEVICE_UNSUITABLE, E_BUILD_FAILED, E_INTERRUPTED, E_UNAVAILABLE. */
export async function runBuild(name: string, { plan, parts }: Planned, options: Options): Promise<number> {
  const folder = buildFolder(plan.variant, (options.buildDir as string | undefined) ?? null);
  const venv = (options.venv as string | undefined) ?? null;
  const sources = await chooseSources(parts, folder, options);
  const env = { ...withCuda(process.env), ...sources.env };
  await preflight(name, plan, { folder, venv, env });
  for (const warning of plan.warnings) process.stderr.write(`jsg: warning: ${warning}\n`);
  const results = await runShown(parts, {
    build: folder,
    venv,
    env,
    fetchPackage: sources.fetchPackage,
    archiveOf: sources.archiveOf,
    explain,
    resume: commandOf(name, options),
  });
  process.stdout.write(options.json ? reportJson(results) : formatBuilt(results));
  const faults = results.flatMap(({ report, verdicts }) =>
    verdicts
      .filter(({ status }) => status === 'failed' || status === 'unknown')
      .map(({ detail }) => `${report.recipe}: ${detail}`),
  );
  if (faults.length === 0) return 0;
  throw new JsgError(
    'E_BUILD_FAILED',
    ['what was built does not hold:', ...faults.map((fault) => `  ${fault}`)].join('\n'),
    {
      hint: `The logs are in ${join(folder, '.jsg', 'logs')}.`,
    },
  );
}

interface Place {
  folder: string;
  venv: string | null;
  env: NodeJS.ProcessEnv;
}

async function preflight(name: string, plan: Planned['plan'], { folder, venv, env }: Place): Promise<void> {
  const { availableBytes, swapBytes } = readMemoryNow();
  const own = pythonOf(join(folder, 'venv'));
  const python = venv === null ? (existsSync(own) ? own : null) : ownVenv(venv, env.PATH).python;
  const machine = await readMachine(plan, { build: folder, python, env, freeMemoryBytes: availableBytes + swapBytes });
  requireAll(missingFor(plan, machine), name);
}

/** What a person types again; the values are few and simple. */
function commandOf(name: string, options: Options): string {
  const { variant, venv, buildDir, platform, lock, bundle } = options;
  const given = [
    ...(variant === undefined ? [] : ['--variant', variant]),
    ...(venv === undefined ? [] : ['--venv', venv]),
    ...(buildDir === undefined ? [] : ['--build-dir', buildDir]),
    ...(platform === undefined ? [] : ['--platform', platform]),
    ...(lock === undefined ? [] : ['--lock', lock]),
    ...(bundle === undefined ? [] : ['--offline', '--bundle', bundle]),
  ];
  return ['jsg', 'build', name, ...given].join(' ');
}

/** Runs the plans under a display; a signal ends the run in order. */
function runShown(parts: Planned['parts'], options: Omit<RunOptions, 'signal' | 'onEvent'>): Promise<RunResult[]> {
  return abortedBySignals(async (signal) => {
    const view = showBuild(tasksOf(parts));
    try {
      const results = await runPlans(parts, { ...options, signal, onEvent: view.onEvent });
      // It stops at what does not hold.
      await (results.length < parts.length ? view.fail() : view.end());
      return results;
    } catch (error) {
      await view.fail();
      throw error;
    }
  });
}
