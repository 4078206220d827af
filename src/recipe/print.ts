/** A plan as commands that a person could type, in order, with the folder of each and the reason where it is not the documented one. */
import { quotePattern } from '../shell.js';
import { joinCommand } from './command-line.js';
import type { Plan, Step } from './plan.js';

/** `{package}` is jsg's own folder, `{jobs}` the number of jobs. */
export function formatPlan(plan: Plan, packageFolder: string): string {
  const fill = (text: string) =>
    text.replaceAll('{jobs}', String(plan.jobs.count)).replaceAll('{package}', packageFolder.replace(/\/$/, ''));
  const { cwd, lines } = plan.steps.reduce(
    (before, step) => {
      const added = stepLines(step, before.cwd, before.env, fill);
      return { cwd: step.cwd, env: added.env, lines: [...before.lines, '', ...added.lines] };
    },
    { cwd: '.', env: {} as Record<string, string>, lines: [] as string[] },
  );
  const back = cwd === '.' ? [] : ['', `cd ${wayTo(cwd, '.')}`];
  return `${[...heading(plan), ...lines, ...back].join('\n')}\n`;
}

function heading({ recipe, variant, device, warnings, jobs, requirements, steps }: Plan): string[] {
  const versions = [
    device.jetpack && `JetPack ${device.jetpack}`,
    device.cuda && `CUDA ${device.cuda}`,
    device.python && `Python ${device.python}`,
    device.sm && `sm_${device.sm}`,
  ].filter(Boolean);
  const usesPip = steps.some(({ argv }) => argv.includes('pip') || argv[0] === 'pip3');
  return [
    `# ${recipe} (${variant}) for ${[device.name, ...versions].join(', ')}`,
    `# needs ${[...requirements.tools, ...requirements.modules.map((name) => `Python's ${name}`)].join(', ')}; ${requirements.diskBytes / 1e9} GB of disk; ${jobs.count} ${jobs.count === 1 ? 'job' : 'jobs'} of ${jobs.memoryBytesPerJob / 1e9} GB`,
    ...warnings.map((warning) => `# warning: ${warning}`),
    ...(usesPip ? ['', 'python3 -m venv .venv && . .venv/bin/activate   # never into the system Python'] : []),
  ];
}

function stepLines(step: Step, from: string, before: Record<string, string>, fill: (text: string) => string) {
  const env = Object.fromEntries(Object.entries(step.env).map(([name, value]) => [name, fill(value)]));
  const unset = Object.keys(before).filter((name) => !(name in env) && step.source === null);
  const exported = Object.entries(env).filter(([name, value]) => before[name] !== value);
  const lines = [
    `# ${step.title}`,
    ...(step.note ?? '')
      .split('\n')
      .filter(Boolean)
      .map((line) => `# ${line}`),
    ...(step.cwd === from ? [] : [enter(step, from)]),
    ...(unset.length > 0 ? [`unset ${unset.join(' ')}`] : []),
    ...exported.map(([name, value]) => `export ${name}=${quotePattern(value)}`),
    joinCommand(step.argv.map(fill)),
  ];
  // Fetching needs no environment and leaves what is exported as it is.
  return { lines, env: step.source === null ? env : before };
}

function enter({ cwd, makeCwd }: Step, from: string): string {
  const way = wayTo(from, cwd);
  return makeCwd ? `mkdir -p ${way} && cd ${way}` : `cd ${way}`;
}

/** Relative way between two folders: from `sglang/python` to `sglang/sgl-kernel` is `../sgl-kernel`. */
function wayTo(from: string, to: string): string {
  const parts = (path: string) => path.split('/').filter((part) => part !== '.' && part !== '');
  const [left, right] = [parts(from), parts(to)];
  let common = 0;
  while (common < left.length && left[common] === right[common]) common += 1;
  return [...left.slice(common).map(() => '..'), ...right.slice(common)].join('/') || '.';
}
