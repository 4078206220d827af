/** Carries out plans: environment, sources, steps, proof. Whatever is done already is not done again. */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { JsgError } from '../../errors.js';
import { makeDirectory } from '../../files.js';
import { type GitSource, type PackageSource, type Plan, type Step, usesPython } from '../plan.js';
import { hashOutputs, keyOf, StepCache } from './cache.js';
import { type CommandResult, runCommand } from './command.js';
import type { OnEvent } from './events.js';
import { buildFailure, type Explain, interrupted } from './failure.js';
import { ensureClone } from './git.js';
import { chooseJobs, type MemoryNow } from './jobs.js';
import { acquireLock } from './lock.js';
import { readMemoryNow } from './memory.js';
import type { FetchedPackage, FetchPackage } from './packages.js';
import { type Report, writeReport } from './report.js';
import { installedHash, removeHalfInstalled } from './site-packages.js';
import { installs, withJobsIn, withPackageFolder } from './step.js';
import { runStep, type StepCommand, type StepContext } from './step-run.js';
import { commandSteps, packageTask, sourceTask, type Task, VENV_TASK, verifyTask } from './tasks.js';
import { ensureVenv, ownVenv, type Venv, venvEnvironment } from './venv.js';
import { type Verdict, verify } from './verify.js';

export interface RunOptions {
  /** Absolute; made where it is missing. All that the run writes is under it, but for a venv of the user's. */
  build: string;
  /** A virtual environment of the user's, or `system`; null: one of the build's own. */
  venv: string | null;
  signal: AbortSignal;
  onEvent: OnEvent;
  explain: Explain;
  /** What a person types to go on after a failure: `jsg build flashinfer`. */
  resume: string;
  /** Of git, pip and compilers, instead of this process's: where sources and wheels come from is theirs to say. */
  env?: NodeJS.ProcessEnv;
  /** Needed where a plan has packages of the index. */
  fetchPackage?: FetchPackage;
  /** Archive of a git source, which is unpacked instead of cloned: its one folder is the clone. */
  archiveOf?: (source: GitSource) => string;
  readMemory?: () => MemoryNow;
  /** Between two looks at it while a step runs; default 5 s. */
  memoryPollMs?: number;
}

export interface RunResult {
  venv: Venv | null;
  /** Source -> commit. */
  commits: Record<string, string>;
  fetched: FetchedPackage[];
  /** Steps that had something to do. */
  numRun: number;
  /** What the steps that expect a line said. */
  said: string[];
  verdicts: Verdict[];
  report: Report;
}

interface RunCommand extends Omit<StepCommand, 'signal'> {
  /** Instead of the run's. */
  signal?: AbortSignal;
  /** Its output goes to the log only. */
  isQuiet?: boolean;
}

const MEMORY_POLL_MS = 5000;
const GIT_TIMEOUT_MS = 60 * 60_000;
const VENV_TIMEOUT_MS = 10 * 60_000;

/**
 * A result for each plan, up to the first that made what does not hold. Throws E_UNAVAILABLE while another run has the folder,
 * E_BUILD_FAILED where a command fails, E_INTERRUPTED.
 */
export async function runPlans(plans: Plan[], options: RunOptions): Promise<RunResult[]> {
  try {
    makeDirectory(options.build);
  } catch (error) {
    throw new JsgError('E_IO_FAILED', `${options.build}: ${(error as Error).message}`, {
      hint: 'Name another folder with --build-dir.',
      cause: error,
    });
  }
  const lock = await acquireLock(join(options.build, '.jsg'));
  try {
    const venv = plans.some(usesPython) ? await new Run(options, lock.token).venv() : null;
    const results: RunResult[] = [];
    for (const plan of plans) {
      const result = await new Run(options, lock.token).all(plan, venv);
      results.push(result);
      // What follows would be built upon what does not hold.
      if (result.verdicts.some(({ status }) => status === 'failed')) break;
    }
    return results;
  } finally {
    lock.release();
  }
}

class Run {
  readonly #options: RunOptions;
  readonly #token: string;
  readonly #cache: StepCache;
  readonly #baseEnv: NodeJS.ProcessEnv;

  constructor(options: RunOptions, token: string) {
    this.#options = options;
    this.#token = token;
    this.#cache = new StepCache(options.build);
    this.#baseEnv = options.env ?? process.env;
  }

  async all(plan: Plan, venv: Venv | null): Promise<RunResult> {
    const { build } = this.#options;
    const commits: Record<string, string> = {};
    const fetched: FetchedPackage[] = [];
    for (const source of plan.sources) {
      if (source.kind === 'git') commits[source.name] = await this.#clone(plan, source);
      else fetched.push(...(await this.#fetch(plan, source, venv)));
    }
    const { numRun, said, builtAt } = await this.#steps(plan, venv, commits, fetched);
    const verdicts = await this.#verify(plan, venv);
    const report = await writeReport({ plan, build, venv, commits, fetched, builtAt, verdicts });
    return { venv, commits, fetched, numRun, said, verdicts, report };
  }

  async venv(): Promise<Venv> {
    const { build, venv, explain, resume } = this.#options;
    if (venv !== null) return this.#mended(ownVenv(venv, this.#baseEnv.PATH));
    return this.#task(VENV_TASK, async (logPath) => {
      const path = join(build, 'venv');
      const made = await ensureVenv(path, async () => {
        const argv = ['python3', '-m', 'venv', path];
        const env = venvEnvironment(null, this.#baseEnv);
        const command = { id: VENV_TASK.id, argv, cwd: build, env, timeoutMs: VENV_TIMEOUT_MS, logPath };
        const result = await this.#command(command);
        if (result.exitCode === 0) return;
        const output = result.tail.join('\n');
        const title = VENV_TASK.title;
        throw buildFailure({ title, argv, cwd: build, logPath, result, venv: null, resume, output }, explain);
      });
      return { value: this.#mended(made.venv), isCached: made.isCached };
    });
  }

  /** pip takes what an interrupted installation has left for installed. */
  #mended(venv: Venv): Venv {
    if (venv.path !== null && this.#cache.wasInstalling(venv.python)) removeHalfInstalled(venv.path);
    return venv;
  }

  async #clone(plan: Plan, source: GitSource): Promise<string> {
    const { build, explain, resume } = this.#options;
    const task = sourceTask(plan, source.name, source.tag);
    return this.#task(task, async (logPath) => {
      const isCached = existsSync(join(build, source.directory));
      const env = gitEnvironment(this.#baseEnv);
      const { archiveOf } = this.#options;
      const value = await ensureClone(source, build, {
        ...(archiveOf && { archive: archiveOf(source) }),
        run: (argv, cwd) => this.#command({ id: task.id, argv, cwd, env, timeoutMs: GIT_TIMEOUT_MS, logPath }),
        fail: (argv, cwd, result) => {
          const output = result.tail.join('\n');
          return buildFailure({ title: task.title, argv, cwd, logPath, result, venv: null, resume, output }, explain);
        },
      });
      return { value, isCached };
    });
  }

  /** None where the package's own step fetches it. */
  async #fetch(plan: Plan, source: PackageSource, venv: Venv | null): Promise<FetchedPackage[]> {
    const { fetchPackage, onEvent, signal, build } = this.#options;
    const { index } = source;
    if (index === null) return [];
    if (fetchPackage === undefined || venv === null) throw new JsgError('E_INTERNAL', `nothing fetches ${source.name}`);
    const task = packageTask(plan, source.name);
    return this.#task(task, async () => {
      const beganAt = Date.now();
      const tell = (line: string, share: number | null) =>
        onEvent({ kind: 'progress', id: task.id, line, share, elapsedMs: Date.now() - beganAt });
      const context = { directory: join(build, index.directory), python: venv.python, signal, tell };
      const { packages, isCached } = await fetchPackage(source, context).catch((error: unknown) => {
        throw signal.aborted ? interrupted(this.#options.resume) : error;
      });
      return { value: packages, isCached };
    });
  }

  async #steps(plan: Plan, venv: Venv | null, commits: Record<string, string>, fetched: FetchedPackage[]) {
    const context: StepContext = {
      ...this.#options,
      plan,
      venv,
      baseEnv: this.#baseEnv,
      cache: this.#cache,
      readMemory: () => this.#memory(),
      memoryPollMs: this.#options.memoryPollMs ?? MEMORY_POLL_MS,
      run: (command) => this.#command(command),
    };
    let numRun = 0;
    const said: string[] = [];
    let builtAt: string | null = null;
    // Each step's key holds what the steps before it made, so that a change runs all that follows from it.
    const before: unknown[] = [commits, fetched.map(({ name, sha256 }) => [name, sha256])];
    for (const step of commandSteps(plan).map((each) => withPackageFolder(each))) {
      const { isCached, record } = await this.#step(step, context, before);
      if (!isCached) numRun += 1;
      if (record.said !== null && !isCached) said.push(record.said);
      if (builtAt === null || record.finishedAt > builtAt) builtAt = record.finishedAt;
      before.push({ key: record.key, outputs: record.outputs });
    }
    return { numRun, said, builtAt };
  }

  async #step(step: Step, context: StepContext, before: unknown[]) {
    const { build } = this.#options;
    const inputs = await hashOutputs(build, step.inputs);
    if (inputs === null && step.inputs.length > 0) {
      throw new JsgError('E_BUILD_FAILED', `${step.title}: its inputs are not there: ${step.inputs.join(' ')}`);
    }
    const key = keyOf({
      command: [step.argv, step.cwd, step.env, step.expects, step.outputs],
      environment: context.plan.environment,
      device: context.plan.device,
      inputs,
      modules: step.modules.map((name) => (context.venv?.path ? installedHash(context.venv.path, name) : null)),
      before,
      venv: installs(step) ? (context.venv?.id ?? null) : null,
    });
    return this.#task(step, async (logPath) => {
      const done = await this.#cache.finished(step.id, key, step.outputs);
      if (done !== null) return { value: { isCached: true, record: done }, isCached: true };
      const beganAt = Date.now();
      this.#cache.begin(step.id, installs(step) ? (context.venv?.python ?? null) : null);
      const said = await runStep(step, logPath, context);
      const outputs = (await hashOutputs(build, step.outputs)) ?? {};
      const seconds = Math.round((Date.now() - beganAt) / 1000);
      const record = { key, outputs, finishedAt: new Date().toISOString(), seconds, said };
      this.#cache.finish(step.id, record);
      return { value: { isCached: false, record }, isCached: false };
    });
  }

  async #verify(plan: Plan, venv: Venv | null): Promise<Verdict[]> {
    if (plan.checks.length === 0) return [];
    const task = verifyTask(plan);
    return this.#task(task, async (logPath) => {
      const value = await verify(plan, {
        build: this.#options.build,
        python: venv?.python ?? null,
        // What compiles a kernel at its first launch goes by what the build went by.
        env: {
          ...venvEnvironment(venv, this.#baseEnv),
          ...withJobsIn(plan.environment, chooseJobs(plan.jobs, this.#memory())),
        },
        run: (command) => this.#command({ id: task.id, logPath, isQuiet: true, ...command }),
        tell: (line) => this.#options.onEvent({ kind: 'progress', id: task.id, line, share: null, elapsedMs: 0 }),
      });
      return { value, isCached: false };
    });
  }

  #memory(): MemoryNow {
    return (this.#options.readMemory ?? readMemoryNow)();
  }

  /** Tells begin and end of a part of the run. */
  async #task<T>({ id, title }: Task, work: (logPath: string) => Promise<{ value: T; isCached: boolean }>): Promise<T> {
    const { build, onEvent, signal, resume } = this.#options;
    if (signal.aborted) throw interrupted(resume);
    // Logs are appended to: what an earlier try said stays.
    const logPath = resolve(build, '.jsg', 'logs', `${id.replace(/[^\w.-]/g, '_')}.log`);
    const beganAt = Date.now();
    onEvent({ kind: 'begin', id, title, logPath });
    const { value, isCached } = await work(logPath);
    onEvent({ kind: 'end', id, isCached, elapsedMs: Date.now() - beganAt });
    return value;
  }

  /** Throws E_INTERRUPTED when the run is told to stop meanwhile. */
  async #command({ id, isQuiet = false, ...rest }: RunCommand): Promise<CommandResult> {
    const { signal, onEvent, resume } = this.#options;
    if (signal.aborted) throw interrupted(resume);
    const beganAt = Date.now();
    let known: number | null = null;
    const result = await runCommand({
      signal,
      ...rest,
      token: this.#token,
      onProgress: ({ line, share }) => {
        known = share ?? known;
        if (isQuiet) return;
        onEvent({ kind: 'progress', id, line, share: known, elapsedMs: Date.now() - beganAt });
      },
    });
    if (signal.aborted) throw interrupted(resume);
    return result;
  }
}

/** Git's own settings are the user's; a connection that has gone quiet is given up. */
const gitEnvironment = (base: NodeJS.ProcessEnv): NodeJS.ProcessEnv => ({
  GIT_HTTP_LOW_SPEED_LIMIT: '1000',
  GIT_HTTP_LOW_SPEED_TIME: '60',
  ...base,
  LC_ALL: 'C',
  GIT_TERMINAL_PROMPT: '0',
});
