/** Recipe, variant and device make a plan. Pure: the same plan for the same three. */
import { cudaOfPath } from '../device/wheel-index.js';
import { JsgError } from '../errors.js';
import { type Fill, filler } from './fill.js';
import { planJobs } from './jobs.js';
import type { Check, GitSource, Plan, PlanDevice, Requirements, Source, Step, WheelSource } from './plan.js';
import { loadRecipe, type Recipe, variantOf } from './recipe.js';
import { warningsFor } from './requirements.js';
import type { RecipeCheck, RecipeStep, Variant, When } from './schema.js';
import { cloneSteps, wheelSteps } from './source-steps.js';
import { versionsFor } from './variants.js';

export interface PlanRequest {
  recipe: Recipe;
  variant: string;
  device: PlanDevice;
}

const GB = 1e9;
const MINUTE_MS = 60_000;

/** Throws E_USAGE for an unknown variant, E_DEVICE_UNSUITABLE where a step needs what this device does not tell. */
export function makePlan(request: PlanRequest): Plan {
  const { recipe, variant, device } = request;
  if ('includes' in recipe.file) return joinPlans(recipe.name, planParts(request));
  const chosen = variantOf(recipe.name, recipe.file.variants, variant);
  const versions = versionsFor(device);
  const fill = filler(device, versions);
  const requirements = requirementsOf(chosen, device);
  const environment = fill.map(chosen.environment);
  const sources = chosen.sources.map((source) => sourceOf(source, device, fill));
  return {
    recipe: recipe.name,
    variant,
    device,
    warnings: [...chosen.warnings, ...(versions?.warnings ?? []), ...warningsFor(requirements, device, versions)],
    sources,
    requirements,
    environment,
    jobs: planJobs(device, requirements.memoryBytes),
    steps: [
      ...chosen.sources.flatMap((source) => ('git' in source ? cloneSteps(source) : [])),
      ...sources.flatMap((source) => (source.kind === 'package' ? wheelSteps(source) : [])),
      ...chosen.steps
        .filter((step) => isFor(step.when, device))
        .map((step) => stepOf(recipe.name, step, { environment, modules: chosen.requirements.modules, fill })),
    ],
    outputs: chosen.outputs.map(fill.text),
    checks: chosen.checks.filter((check) => isFor(check.when, device)).map((check) => checkOf(check, device)),
  };
}

/** A plan for each recipe that this one includes, in order; its own where it includes none. */
export function planParts(request: PlanRequest): Plan[] {
  const { file } = request.recipe;
  if (!('includes' in file)) return [makePlan(request)];
  return file.includes.flatMap((name) => planParts({ ...request, recipe: loadRecipe(name) }));
}

function isFor(when: When, device: PlanDevice): boolean {
  const hasGpu = device.sm !== null;
  const answers: Record<When, boolean> = {
    always: true,
    jetson: device.isJetson,
    other: !device.isJetson,
    gpu: hasGpu,
    index: usesIndex(device),
    pip: !usesIndex(device),
    cuda: hasGpu || usesIndex(device),
  };
  return answers[when];
}

/** A Jetson whose path is not known is no reason to take the public index's torch, which has no CUDA there. */
const usesIndex = ({ isJetson, platform }: PlanDevice) => isJetson || platform !== null;

function sourceOf(source: Variant['sources'][number], device: PlanDevice, fill: Fill): Source {
  if ('git' in source) {
    const { git: url, name, tag, commit = null, submodules } = source;
    return { kind: 'git', name, url, tag, commit, directory: name, submodules };
  }
  const { package: name, version, sha256 = null } = source;
  const index = source.index && usesIndex(device) ? wheelSourceOf(name, device, fill) : null;
  return { kind: 'package', name, version: version === null ? null : fill.text(version), index, sha256 };
}

function wheelSourceOf(name: string, { platform }: PlanDevice, fill: Fill): WheelSource {
  const url = fill.text('{index}');
  return { platform: platform ?? '', url, directory: `wheels/${name}` };
}

function requirementsOf({ requirements: wanted }: Variant, { isJetson }: PlanDevice): Requirements {
  return {
    jetpack: isJetson ? wanted.jetpack : null,
    cuda: wanted.cuda,
    python: wanted.python,
    tools: wanted.tools,
    modules: [...wanted.modules, ...(isJetson ? wanted.jetson_modules : [])],
    memoryBytes: wanted.memory_gb * GB,
    diskBytes: wanted.disk_gb * GB,
  };
}

interface OfVariant {
  environment: Record<string, string>;
  modules: string[];
  fill: Fill;
}

/** The variant's environment is repeated in each of its steps, so that plans of several recipes can be joined. */
function stepOf(recipe: string, step: RecipeStep, { environment, modules, fill }: OfVariant): Step {
  return {
    id: `${recipe}/${step.id}`,
    title: fill.text(step.title),
    source: null,
    note: step.note?.trimEnd() ?? null,
    cwd: step.in,
    makeCwd: step.make,
    argv: step.run.map(fill.text),
    env: { ...environment, ...fill.map(step.env) },
    inputs: step.inputs,
    modules,
    outputs: step.outputs,
    expects: step.expects,
    timeoutMs: step.timeout_min * MINUTE_MS,
  };
}

function checkOf(check: RecipeCheck, { sm, cuda, isJetson, platform }: PlanDevice): Check {
  if ('wheel' in check) return { kind: 'wheel', file: check.wheel, minBytes: check.min_kb * 1000 };
  if ('contents' in check) {
    return { kind: 'contents', file: check.contents, prefix: check.prefix, count: check.count };
  }
  if ('sm' in check) {
    if (sm === null) throw new JsgError('E_INTERNAL', `a check of ${check.sm} is not marked 'when: gpu'`);
    return { kind: 'sm', file: check.sm, sm };
  }
  if ('import' in check) return { kind: 'import', module: check.import, version: check.version, needs: check.needs };
  // A desktop's driver takes a torch built for an older CUDA; a Jetson's libraries are those of its JetPack.
  if ('torch' in check)
    return { kind: 'torch', cuda: platform === null ? (isJetson ? cuda : null) : cudaOfPath(platform), sm };
  return { kind: 'kernel', title: check.kernel, code: check.code };
}

/** One plan of several: what is fetched twice is fetched once, with the submodules of both. */
function joinPlans(recipe: string, plans: Plan[]): Plan {
  const [first] = plans;
  if (first === undefined) throw new JsgError('E_INTERNAL', `recipe ${recipe} includes nothing`);
  const all = plans.flatMap((plan) => plan.steps);
  const steps = all.filter((step, i) => all.findIndex(({ id }) => id === step.id) === i);
  const most = (key: 'memoryBytes' | 'diskBytes') => plans.map(({ requirements }) => requirements[key]);
  const memoryBytes = Math.max(...most('memoryBytes'));
  // Modules that an earlier part installs are not asked for beforehand.
  const built = plans.map((plan) => plan.recipe);
  const modules = unique(plans.flatMap((plan) => plan.requirements.modules)).filter((name) => !built.includes(name));
  return {
    ...first,
    recipe,
    warnings: unique(plans.flatMap((plan) => plan.warnings)),
    sources: joinSources(plans.flatMap((plan) => plan.sources)),
    requirements: {
      jetpack: first.requirements.jetpack,
      cuda: newest(plans.map((plan) => plan.requirements.cuda)),
      python: [
        newest(plans.map((plan) => plan.requirements.python[0])) ?? '3.8',
        oldest(plans.map((plan) => plan.requirements.python[1])) ?? '3.14',
      ],
      tools: unique(plans.flatMap((plan) => plan.requirements.tools)),
      modules,
      memoryBytes,
      diskBytes: most('diskBytes').reduce((sum, bytes) => sum + bytes, 0),
    },
    // Each step holds its own part's.
    environment: {},
    jobs: planJobs(first.device, memoryBytes),
    steps,
    outputs: unique(plans.flatMap((plan) => plan.outputs)),
    checks: plans.flatMap((plan) => plan.checks),
  };
}

function joinSources(sources: Source[]): Source[] {
  const joined = new Map<string, Source>();
  for (const source of sources) {
    const before = joined.get(source.name);
    const isSame = before?.kind === 'git' && source.kind === 'git';
    joined.set(source.name, isSame ? withSubmodules(before, source) : source);
  }
  return [...joined.values()];
}

const withSubmodules = (a: GitSource, b: GitSource): GitSource => ({
  ...a,
  submodules: [...a.submodules, ...b.submodules],
});

const unique = <T>(values: T[]) => [...new Set(values)];
const byVersion = (a: string, b: string) => a.localeCompare(b, 'en', { numeric: true });
const sorted = (versions: (string | null)[]) => versions.filter((version) => version !== null).sort(byVersion);
const newest = (versions: (string | null)[]) => sorted(versions).at(-1) ?? null;
const oldest = (versions: (string | null)[]) => sorted(versions)[0] ?? null;
