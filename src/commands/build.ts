/** `jsg build RECIPE`: the plan of a build, shown as commands or as JSON. */
import { statSync } from 'node:fs';
import { probeMachine } from '../device/machine.js';
import { probeEnvironment } from '../device/python-interpreter.js';
import { type Source, sourceUnder } from '../device/source.js';
import { JsgError } from '../errors.js';
import { planDevice } from '../recipe/machine-facts.js';
import { makePlan } from '../recipe/make-plan.js';
import type { Plan } from '../recipe/plan.js';
import { formatPlan } from '../recipe/print.js';
import { loadRecipe, recipeNames } from '../recipe/recipe.js';
import { packageRoot } from '../version.js';
import type { Options } from './settings.js';

const SMI_TIMEOUT_MS = 5000;

export async function build(options: Options, [name]: string[]): Promise<number> {
  if (name === undefined) {
    throw new JsgError('E_USAGE', 'no recipe is named', { hint: `There are: ${recipeNames().join(', ')}.` });
  }
  const made = await planFor(name, options);
  if (options.json) process.stdout.write(`${JSON.stringify(made, null, 2)}\n`);
  else if (options.print || options.dryRun) process.stdout.write(formatPlan(made, packageRoot));
  else {
    throw new JsgError('E_UNAVAILABLE', 'this version of jsg shows builds and does not run them', {
      hint: `See jsg build ${name} --print for the commands, or --dry-run --json for the plan.`,
    });
  }
  return 0;
}

/** The names that the documents use. */
export const buildFlashinfer = (options: Options) => build(options, ['flashinfer']);
export const buildKernel = (options: Options) => build(options, ['sgl-kernel']);

export async function planFor(name: string, options: Options): Promise<Plan> {
  if (options.json && !options.dryRun) {
    throw new JsgError('E_USAGE', '--json goes with --dry-run', { hint: `jsg build ${name} --dry-run --json` });
  }
  const recipe = loadRecipe(name);
  const source = sourceOf(options.root as string | undefined);
  const [machine, { interpreter }, sm] = await Promise.all([
    probeMachine(source),
    probeEnvironment(source),
    askComputeCapability(source),
  ]);
  const device = planDevice({ machine, python: interpreter?.version ?? null, sm });
  return makePlan({ recipe, variant: String(options.variant ?? 'seed'), device });
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
