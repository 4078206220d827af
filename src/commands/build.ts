/** `jsg build RECIPE`: the plan of a build, shown as commands or as JSON, or carried out. */
import { statSync } from 'node:fs';
import { probeMachine } from '../device/machine.js';
import { probeEnvironment } from '../device/python-interpreter.js';
import { type Source, sourceUnder } from '../device/source.js';
import { JsgError } from '../errors.js';
import { planDevice } from '../recipe/machine-facts.js';
import { makePlan, planParts } from '../recipe/make-plan.js';
import type { Plan } from '../recipe/plan.js';
import { formatPlan } from '../recipe/print.js';
import { loadRecipe, recipeNames } from '../recipe/recipe.js';
import { ownVenv, type Venv } from '../recipe/run/venv.js';
import { packageRoot } from '../version.js';
import { runBuild } from './build-run.js';
import { buildStatus } from './build-status.js';
import { givenPlatform } from './platform.js';
import type { Options } from './settings.js';

const SMI_TIMEOUT_MS = 5000;

export async function build(options: Options, [name]: string[]): Promise<number> {
  checkOptions(options);
  if (options.status) return buildStatus(options, name ?? null);
  if (name === undefined) {
    throw new JsgError('E_USAGE', 'no recipe is named', { hint: `There are: ${recipeNames().join(', ')}.` });
  }
  const planned = await planFor(name, options);
  if (options.dryRun && options.json) process.stdout.write(`${JSON.stringify(planned.plan, null, 2)}\n`);
  else if (options.print || options.dryRun) process.stdout.write(formatPlan(planned.plan, packageRoot));
  else return runBuild(name, planned, options);
  return 0;
}

/** The names that the documents use. */
export const buildFlashinfer = (options: Options) => build(options, ['flashinfer']);
export const buildKernel = (options: Options) => build(options, ['sgl-kernel']);

export interface Planned {
  /** Of all parts together, as it is shown and as it is asked what is missing. */
  plan: Plan;
  /** One for each recipe that it includes, in order. */
  parts: Plan[];
}

function checkOptions({ json, print, status, dryRun, root }: Options): void {
  if (json && print && !dryRun && !status) {
    throw new JsgError('E_USAGE', '--print shows commands, not JSON', {
      hint: '--dry-run --json shows the plan as JSON.',
    });
  }
  if (root !== undefined && !print && !dryRun && !status) {
    throw new JsgError('E_USAGE', '--root names another machine, and builds are for this one', {
      hint: 'With --print or --dry-run the build of that machine is shown.',
    });
  }
}

export async function planFor(name: string, options: Options): Promise<Planned> {
  const recipe = loadRecipe(name);
  const own = options.venv === undefined ? null : ownVenv(String(options.venv));
  const source = sourceOf(options.root as string | undefined);
  const [machine, python, sm] = await Promise.all([
    probeMachine(source),
    pythonVersion(source, own),
    askComputeCapability(source),
  ]);
  const found = planDevice({ machine, python, sm });
  const device = { ...found, platform: givenPlatform(options) ?? found.platform };
  const request = { recipe, variant: String(options.variant ?? 'seed'), device };
  return { plan: makePlan(request), parts: planParts(request) };
}

/** Of the environment that the user names, else of the python3 on PATH. */
async function pythonVersion(source: Source, own: Venv | null): Promise<string | null> {
  if (own === null) return (await probeEnvironment(source)).interpreter?.version ?? null;
  const answer = await source.run(own.python, ['--version'], SMI_TIMEOUT_MS);
  return /^Python (\d+\.\d+\S*)/.exec(answer?.stdout ?? '')?.[1] ?? null;
}

/** Of the first GPU: `9.0` -> 90. Null: no GPU, or a Jetson's, whose driver says `N/A`. */
async function askComputeCapability({ run }: Source): Promise<number | null> {
  const answer = await run('nvidia-smi', ['--query-gpu=compute_cap', '--format=csv,noheader'], SMI_TIMEOUT_MS);
  const told = answer?.code === 0 ? /^\s*(\d{1,2})\.(\d)\s*$/m.exec(answer.stdout) : null;
  return told === null ? null : Number(`${told[1]}${told[2]}`);
}

function sourceOf(root: string | undefined): Source {
  if (root === undefined || statSync(root, { throwIfNoEntry: false })?.isDirectory()) return sourceUnder(root);
  throw new JsgError('E_USAGE', `--root: there is no folder ${root}`);
}
