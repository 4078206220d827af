/** Runs the command of one step: with as many jobs as memory allows, again with fewer where it runs short. */
import { closeSync, existsSync, mkdirSync, openSync, readSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { JsgError } from '../../errors.js';
import { writeAtomically } from '../../files.js';
import type { Plan, Step } from '../plan.js';
import type { StepCache } from './cache.js';
import { hashOutputs } from './cache.js';
import type { CommandResult } from './command.js';
import type { OnEvent } from './events.js';
import { buildFailure, type Explain, interrupted } from './failure.js';
import { chooseJobs, fewerJobs, isUnderPressure, type MemoryNow, wasOutOfMemory } from './jobs.js';
import { withCcache } from './path.js';
import { installedVersion } from './site-packages.js';
import { argvOf, compilesByPip, removeRemains, withJobsIn } from './step.js';
import { type Venv, venvEnvironment } from './venv.js';

/** What the steps of one run have in common. */
export interface StepContext {
  plan: Plan;
  build: string;
  venv: Venv | null;
  baseEnv: NodeJS.ProcessEnv;
  cache: StepCache;
  signal: AbortSignal;
  onEvent: OnEvent;
  explain: Explain;
  resume: string;
  readMemory: () => MemoryNow;
  /** Between two looks at the memory while a step runs. */
  memoryPollMs: number;
  /** Runs it and tells its progress under the step's id. */
  run: (command: StepCommand) => Promise<CommandResult>;
}

export interface StepCommand {
  id: string;
  argv: string[];
  cwd: string;
  env: NodeJS.ProcessEnv;
  timeoutMs: number;
  logPath: string;
  signal: AbortSignal;
}

/** A build is begun again with fewer jobs only after this many looks in a row that found too little memory. */
const PRESSURE_LOOKS = 3;
const MAX_EXPLAINED_BYTES = 32 * 2 ** 20;

/**
 * A build that runs out of memory goes on with half the jobs, down to one. Returns the line that the step expects, null
 * where it expects none. Throws E_BUILD_FAILED, E_INTERRUPTED.
 */
export async function runStep(step: Step, logPath: string, context: StepContext): Promise<string | null> {
  let jobs = chooseJobs(context.plan.jobs, context.readMemory());
  for (;;) {
    const { isShort, said } = await tryStep(step, { jobs, logPath }, context);
    if (!isShort) return said;
    jobs = fewerJobs(jobs);
    const counted = jobs === 1 ? '1 job' : `${jobs} jobs`;
    context.onEvent({ kind: 'note', text: `${step.title}: memory is short, going on with ${counted}` });
  }
}

interface Try {
  jobs: number;
  logPath: string;
}

/** `isShort`: it was ended for want of memory and may be tried with fewer jobs. */
async function tryStep(step: Step, { jobs, logPath }: Try, context: StepContext) {
  const { build, explain, signal, cache, resume } = context;
  const cwd = resolve(build, step.cwd);
  if (step.makeCwd) mkdirSync(cwd, { recursive: true });
  if (!existsSync(cwd)) throw new JsgError('E_BUILD_FAILED', `${step.title}: its folder ${cwd} is not there`);
  removeRemains(step, build, cwd);
  const argv = argvOf(step, cwd, jobs);
  const logFrom = statSync(logPath, { throwIfNoEntry: false })?.size ?? 0;
  const killsBefore = context.readMemory().oomKills;
  const watch = watchPressure(jobs, context);
  const result = await context
    .run({
      id: step.id,
      argv,
      cwd,
      env: environmentOf(step, jobs, context),
      timeoutMs: step.timeoutMs,
      logPath,
      signal: watch.signal,
    })
    .finally(watch.stop);
  if (signal.aborted) throw interrupted(resume);
  const wasKilled = (context.readMemory().oomKills ?? 0) > (killsBefore ?? Number.POSITIVE_INFINITY);
  if (jobs > 1 && isShortOfMemory(result, wasKilled)) return { isShort: true, said: null };
  // It ended by itself, so it has cleaned up; after a kill the mark stays.
  if (result.exitCode !== null && !result.timedOut) cache.fail(step.id);
  const fail = (fault?: string) =>
    buildFailure(
      {
        title: step.title,
        argv,
        cwd,
        logPath,
        result,
        venv: context.venv?.path ?? null,
        resume,
        output: logSince(logPath, logFrom),
        ...(fault !== undefined && { fault }),
      },
      explain,
    );
  if (result.exitCode !== 0) throw fail();
  const said =
    step.expects === null ? null : (result.tail.findLast((line) => line.includes(step.expects ?? '')) ?? null);
  if (step.expects !== null && said === null) throw fail(`its output does not say "${step.expects}"`);
  if (step.outputs.length > 0 && (await hashOutputs(build, step.outputs)) === null) {
    throw fail(`it ended well but did not make ${step.outputs.join(' ')}`);
  }
  return { isShort: false, said };
}

function isShortOfMemory({ isAborted, exitCode, timedOut, tail, signal }: CommandResult, wasKilled: boolean): boolean {
  return isAborted || (exitCode !== 0 && !timedOut && (wasKilled || wasOutOfMemory(tail.join('\n'), signal)));
}

/** A signal that also fires when memory has been short for a while and fewer jobs could help. */
function watchPressure(
  jobs: number,
  { signal, readMemory, memoryPollMs }: StepContext,
): { signal: AbortSignal; stop: () => void } {
  const short = new AbortController();
  let numLooks = 0;
  const timer = setInterval(() => {
    numLooks = isUnderPressure(readMemory()) ? numLooks + 1 : 0;
    if (jobs > 1 && numLooks >= PRESSURE_LOOKS) short.abort();
  }, memoryPollMs);
  timer.unref();
  return { signal: AbortSignal.any([signal, short.signal]), stop: () => clearInterval(timer) };
}

function environmentOf(step: Step, jobs: number, context: StepContext): NodeJS.ProcessEnv {
  const { plan, venv, baseEnv } = context;
  return {
    ...withCcache(venvEnvironment(venv, baseEnv)),
    // Otherwise pip keeps what a compiler says to itself, and with it how far it is.
    ...(compilesByPip(step) ? { PIP_VERBOSE: '1' } : {}),
    ...torchConstraint(context),
    ...withJobsIn(plan.environment, jobs),
    ...withJobsIn(step.env, jobs),
  };
}

/** The torch that is there stays: another one, of the public index, has no CUDA on a Jetson. pip then says what contradicts it. */
function torchConstraint({ plan, build, venv, baseEnv }: StepContext): NodeJS.ProcessEnv {
  const version = venv?.path && plan.recipe !== 'torch' ? installedVersion(venv.path, 'torch') : null;
  if (version === null) return {};
  const path = join(build, '.jsg', 'constraints.txt');
  writeAtomically(path, `torch==${version}\n`);
  return { PIP_CONSTRAINT: [baseEnv.PIP_CONSTRAINT, path].filter(Boolean).join(' ') };
}

/** What this try has written: the cause of a failure may stand far above its last lines. */
export function logSince(path: string, from: number): string {
  const file = openSync(path, 'r');
  try {
    const size = Math.min(Math.max(0, statSync(path).size - from), MAX_EXPLAINED_BYTES);
    const buffer = Buffer.alloc(size);
    return buffer.toString('utf8', 0, readSync(file, buffer, 0, size, from));
  } finally {
    closeSync(file);
  }
}
