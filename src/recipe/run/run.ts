/** Carries out a plan: sources, environment, steps. Whatever is done already is not done again. */
import { existsSync, mkdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { JsgError } from '../../errors.js';
import type { GitSource, Plan, Step } from '../plan.js';
import { hashOutputs, keyOf, StepCache } from './cache.js';
import { type CommandResult, runCommand } from './command.js';
import type { OnEvent } from './events.js';
import { buildFailure, type Explain, interrupted } from './failure.js';
import { ensureClone } from './git.js';
import { chooseJobs, fewerJobs, isUnderPressure, type MemoryNow, wasOutOfMemory } from './jobs.js';
import { acquireLock } from './lock.js';
import { readMemoryNow } from './memory.js';
import { argvOf, installs, removeRemains, withJobsIn } from './step.js';
import { ensureVenv, ownVenv, type Venv, venvEnvironment } from './venv.js';

export interface RunOptions {
  /** Absolute; made where it is missing. All that the run writes is under it, but for a venv of the user's. */
  build: string;
  /** A virtual environment of the user's; null: one of the build's own. */
  venv: string | null;
  signal: AbortSignal;
  onEvent: OnEvent;
  explain: Explain;
  env?: NodeJS.ProcessEnv;
  readMemory?: () => MemoryNow;
}

export interface RunResult {
  venv: string;
  /** Source -> commit. */
  commits: Record<string, string>;
  /** Steps that had something to do. */
  numRun: number;
}

const GIT_TIMEOUT_MS = 60 * 60_000;
const VENV_TIMEOUT_MS = 10 * 60_000;
const PRESSURE_POLL_MS = 5000;
/** A build is begun again with fewer jobs only after this many looks in a row that found too little memory. */
const PRESSURE_LOOKS = 3;

/** Throws E_UNAVAILABLE while another run has the folder, E_IO_FAILED where a command fails or the run is interrupted. */
export async function runPlan(plan: Plan, options: RunOptions): Promise<RunResult> {
  mkdirSync(options.build, { recursive: true });
  const lock = await acquireLock(join(options.build, '.jsg'));
  try {
    return await new Run(plan, options, lock.token).all();
  } finally {
    lock.release();
  }
}

class Run {
  readonly #plan: Plan;
  readonly #options: RunOptions;
  readonly #token: string;
  readonly #cache: StepCache;
  readonly #baseEnv: NodeJS.ProcessEnv;

  constructor(plan: Plan, options: RunOptions, token: string) {
    this.#plan = plan;
    this.#options = options;
    this.#token = token;
    this.#cache = new StepCache(options.build);
    this.#baseEnv = options.env ?? process.env;
  }

  async all(): Promise<RunResult> {
    const commits: Record<string, string> = {};
    for (const source of this.#plan.sources) {
      if (source.kind === 'git') commits[source.name] = await this.#fetch(source);
    }
    const venv = await this.#venv();
    let numRun = 0;
    // Each step's key holds what the steps before it made, so that a change runs all that follows from it.
    let before: unknown[] = [];
    for (const step of this.#plan.steps) {
      const { isCached, key, outputs } = await this.#step(step, venv, commits, before);
      if (!isCached) numRun += 1;
      before = [...before, { key, outputs }];
    }
    return { venv: venv.path, commits, numRun };
  }

  async #fetch(source: GitSource): Promise<string> {
    const id = `source/${source.name}`;
    const logPath = this.#logPath(id);
    const beganAt = Date.now();
    const wasHere = existsSync(join(this.#options.build, source.directory));
    this.#options.onEvent({ kind: 'begin', id, title: `Clone ${source.name} ${source.tag}`, logPath });
    const env = { ...this.#baseEnv, LC_ALL: 'C', GIT_TERMINAL_PROMPT: '0' };
    const commit = await ensureClone(source, this.#options.build, {
      git: async (args, cwd) => {
        const result = await this.#command(id, ['git', ...args], { cwd, env, timeoutMs: GIT_TIMEOUT_MS, logPath });
        if (result.isAborted) throw interrupted();
        return result;
      },
      fail: (args, cwd, result) =>
        buildFailure(
          { title: `git, ${source.name}`, argv: ['git', ...args], cwd, logPath, result },
          this.#options.explain,
        ),
    });
    this.#options.onEvent({ kind: 'end', id, isCached: wasHere, elapsedMs: Date.now() - beganAt });
    return commit;
  }

  async #venv(): Promise<Venv> {
    if (this.#options.venv !== null) return ownVenv(this.#options.venv);
    const { build } = this.#options;
    // pip takes what an interrupted installation has left for installed.
    const isSuspect = this.#plan.steps.some((step) => installs(step) && this.#cache.wasBegun(step.id));
    const logPath = this.#logPath('venv');
    return ensureVenv(join(build, 'venv'), isSuspect, async (path) => {
      const argv = ['python3', '-m', 'venv', path];
      const env = { ...this.#baseEnv, LC_ALL: 'C' };
      const result = await this.#command('venv', argv, { cwd: build, env, timeoutMs: VENV_TIMEOUT_MS, logPath });
      if (result.isAborted) throw interrupted();
      if (result.exitCode === 0) return;
      throw buildFailure({ title: 'virtual environment', argv, cwd: build, logPath, result }, this.#options.explain);
    });
  }

  async #step(step: Step, venv: Venv, commits: Record<string, string>, before: unknown[]) {
    const { build, onEvent } = this.#options;
    const inputs = await hashOutputs(build, step.inputs);
    if (inputs === null && step.inputs.length > 0) {
      throw new JsgError('E_IO_FAILED', `${step.title}: its inputs are not there: ${step.inputs.join(' ')}`);
    }
    const key = keyOf({
      command: [step.argv, step.cwd, step.env, step.expects, step.outputs],
      environment: this.#plan.environment,
      device: this.#plan.device,
      commits,
      inputs,
      before,
      venv: installs(step) ? venv.id : null,
    });
    const logPath = this.#logPath(step.id);
    onEvent({ kind: 'begin', id: step.id, title: step.title, logPath });
    const done = await this.#cache.finished(step.id, key, step.outputs);
    if (done !== null) {
      onEvent({ kind: 'end', id: step.id, isCached: true, elapsedMs: 0 });
      return { isCached: true, key, outputs: done.outputs };
    }
    const beganAt = Date.now();
    this.#cache.begin(step.id);
    await this.#tryWithFewerJobs(step, venv, logPath);
    const outputs = (await hashOutputs(build, step.outputs)) ?? {};
    const elapsedMs = Date.now() - beganAt;
    this.#cache.finish(step.id, {
      key,
      outputs,
      finishedAt: new Date().toISOString(),
      seconds: Math.round(elapsedMs / 1000),
    });
    onEvent({ kind: 'end', id: step.id, isCached: false, elapsedMs });
    return { isCached: false, key, outputs };
  }

  /** A build that runs out of memory goes on with half the jobs, down to one. */
  async #tryWithFewerJobs(step: Step, venv: Venv, logPath: string): Promise<void> {
    let jobs = chooseJobs(this.#plan.jobs, (this.#options.readMemory ?? readMemoryNow)());
    for (;;) {
      const isShort = await this.#try(step, venv, { jobs, logPath });
      if (!isShort) return;
      jobs = fewerJobs(jobs);
      this.#options.onEvent({ kind: 'note', text: `${step.title}: memory is short, going on with ${jobs} jobs` });
    }
  }

  /** True: it was ended for want of memory and may be tried with fewer jobs. */
  async #try(step: Step, venv: Venv, { jobs, logPath }: { jobs: number; logPath: string }): Promise<boolean> {
    const { build, explain } = this.#options;
    const cwd = join(build, step.cwd);
    if (step.makeCwd) mkdirSync(cwd, { recursive: true });
    if (!existsSync(cwd)) throw new JsgError('E_IO_FAILED', `${step.title}: its folder ${cwd} is not there`);
    removeRemains(step, build, cwd);
    const argv = argvOf(step, cwd, jobs);
    const watch = this.#watchPressure(jobs);
    const result = await this.#command(step.id, argv, {
      cwd,
      env: this.#stepEnvironment(step, venv, jobs),
      timeoutMs: step.timeoutMs,
      logPath,
      signal: watch.signal,
    }).finally(watch.stop);
    if (this.#options.signal.aborted) throw interrupted();
    const output = result.tail.join('\n');
    if (
      jobs > 1 &&
      (result.isAborted || (result.exitCode !== 0 && !result.timedOut && wasOutOfMemory(output, result.signal)))
    ) {
      return true;
    }
    const failed = { title: step.title, argv, cwd, logPath, result };
    // It ended by itself, so it has cleaned up; after a kill the mark stays.
    if (result.exitCode !== null && !result.timedOut) this.#cache.fail(step.id);
    if (result.exitCode !== 0) throw buildFailure(failed, explain);
    if (step.expects !== null && !output.includes(step.expects)) {
      throw buildFailure({ ...failed, fault: `its output does not say "${step.expects}"` }, explain);
    }
    if (step.outputs.length > 0 && (await hashOutputs(build, step.outputs)) === null) {
      throw buildFailure({ ...failed, fault: `it ended well but did not make ${step.outputs.join(' ')}` }, explain);
    }
    return false;
  }

  /** A signal that also fires when memory has been short for a while and fewer jobs could help. */
  #watchPressure(jobs: number): { signal: AbortSignal; stop: () => void } {
    const short = new AbortController();
    let numLooks = 0;
    const timer = setInterval(() => {
      const isShort = isUnderPressure((this.#options.readMemory ?? readMemoryNow)());
      numLooks = isShort ? numLooks + 1 : 0;
      if (jobs > 1 && numLooks >= PRESSURE_LOOKS) short.abort();
    }, PRESSURE_POLL_MS);
    timer.unref();
    return { signal: AbortSignal.any([this.#options.signal, short.signal]), stop: () => clearInterval(timer) };
  }

  #stepEnvironment(step: Step, venv: Venv, jobs: number): NodeJS.ProcessEnv {
    const launchers = isOnPath('ccache', this.#baseEnv.PATH)
      ? ['C', 'CXX', 'CUDA'].map((language) => [`CMAKE_${language}_COMPILER_LAUNCHER`, 'ccache'])
      : [];
    return {
      ...Object.fromEntries(launchers),
      ...venvEnvironment(venv, this.#baseEnv),
      ...withJobsIn(this.#plan.environment, jobs),
      ...withJobsIn(step.env, jobs),
    };
  }

  async #command(
    id: string,
    argv: string[],
    {
      signal,
      ...rest
    }: { cwd: string; env: NodeJS.ProcessEnv; timeoutMs: number; logPath: string; signal?: AbortSignal },
  ): Promise<CommandResult> {
    if (this.#options.signal.aborted) throw interrupted();
    const beganAt = Date.now();
    let known: number | null = null;
    return runCommand({
      ...rest,
      argv,
      token: this.#token,
      signal: signal ?? this.#options.signal,
      onProgress: ({ line, share }) => {
        known = share ?? known;
        this.#options.onEvent({ kind: 'progress', id, line, share: known, elapsedMs: Date.now() - beganAt });
      },
    });
  }

  /** Logs are appended to: what an earlier try said stays. */
  #logPath(id: string): string {
    return join(this.#options.build, '.jsg', 'logs', `${id.replace(/[^\w.-]/g, '_')}.log`);
  }
}

function isOnPath(program: string, path = ''): boolean {
  return path.split(delimiter).some((folder) => folder !== '' && existsSync(join(folder, program)));
}
