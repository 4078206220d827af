/** A bench from its options to its result: a server that runs already or is started, the machine around it, what is written. */
import { randomInt } from 'node:crypto';
import type { Bench } from '../bench/bench.js';
import { CLOCK } from '../bench/clock.js';
import { boardFacts, hashModel, softwareFacts } from '../bench/facts.js';
import { Meter } from '../bench/meter.js';
import type { EndpointName } from '../bench/request-body.js';
import { type Common, RESULT_VERSION, type Result } from '../bench/result.js';
import { discoverTarget, settleTarget, type Target } from '../bench/target.js';
import { changesOf } from '../bench/validity.js';
import { type Conditions, probeConditions } from '../device/conditions.js';
import { type Source, sourceUnder } from '../device/source.js';
import { isLoopback } from '../engine/address.js';
import { type JsgError, toJsgError } from '../errors.js';
import { findModel } from '../plan/find-model.js';
import type { Reference } from '../profile/schema.js';
import { quoteWord } from '../shell.js';
import { type ReadBandwidth, readBandwidthOf } from './bench-bandwidth.js';
import { chooseForBench, startChosen } from './bench-engine.js';
import { real, whole } from './bench-options.js';
import { emit, requireWritable } from './bench-output.js';
import { type BenchProgress, benchProgress } from './bench-progress.js';
import { type PeakOf, peakOfPrefill } from './bench-roofline.js';
import { adjust, requireFitting, urlOption } from './bench-target-options.js';
import { hideSecrets, withoutSecrets } from './hide-secrets.js';
import { givenFlags, keyToSend, type Options } from './settings.js';
import { askedToEnd } from './signals.js';

/** A result before what is known of all kinds is added. `failure`: what ended the measurement before its time. */
export type Figures<R extends Result = Result> = R extends Result
  ? Omit<R, Exclude<keyof Common, 'workload' | 'notes'>> & { failure: JsgError | null }
  : never;

export interface Limits {
  readBandwidthGBs: number | null;
  peakOfPrefill: PeakOf;
}

export interface BenchPlan {
  /** Parallel streams that the server must take. */
  streams: number;
  /** Tokens of the requests that find out what the server understands. */
  trialTokens: number;
  /** Null: whatever the server has. */
  endpoint: EndpointName | null;
  measure(bench: Bench): Promise<Figures>;
  /** The figures with what limits say about them. */
  finish?(figures: Figures, limits: Limits): Figures;
}

/** Runs it, writes the result where it is wanted, and gives the exit code. */
export async function runBench(options: Options, plan: BenchPlan): Promise<number> {
  hideSecrets();
  const progress = benchProgress();
  const { value, exitCode } = await askedToEnd(async (signal) => {
    const session = new Session(options, progress, signal);
    return session.run(plan);
  });
  return conclude(options, value, exitCode);
}

/** Writes a result where it is wanted. The exit code: `exitCode`, of a signal that ended the run; throws what else did. */
export async function conclude(options: Options, result: Result, exitCode: number | null): Promise<number> {
  await emit(options, exitCode === null ? result : { ...result, status: 'partial' });
  if (exitCode !== null) return exitCode;
  const { failure } = result;
  if (failure !== null) throw toJsgError(Object.assign(new Error(failure.message), { code: failure.code }));
  return 0;
}

export class Session {
  readonly source: Source;
  readonly #root: string;
  readonly #tolerance: number;
  readonly #startedAt = new Date();
  readonly #beginMs = CLOCK.now();
  readonly #meter: Meter;
  #stop: () => Promise<void> = async () => {};
  /** Why the server that was started has ended; null: it has not, or none was started. */
  #faultOfServer: () => Promise<JsgError | null> = async () => null;
  #reference: Reference | null = null;
  #numThreads: number;
  readonly #seed: number;
  readonly #timeoutMs: number | undefined;

  constructor(
    private readonly options: Options,
    readonly progress: BenchProgress,
    readonly signal: AbortSignal,
  ) {
    requireFitting(options);
    requireWritable(options);
    this.#root = (options.root as string | undefined) ?? '/';
    this.source = sourceUnder(this.#root);
    this.#tolerance = real(options, 'clock-tolerance', 5, { min: 0.1, max: 100 }) / 100;
    this.#seed = whole(options, 'seed', 0, { min: 0, max: 2 ** 31 - 1 });
    const timeoutS = real(options, 'timeout', undefined, { min: 0.1, max: 1e6 });
    this.#timeoutMs = timeoutS === undefined ? undefined : timeoutS * 1000;
    this.#meter = new Meter(this.source, this.#tolerance);
    this.#numThreads = givenFlags(options)['num-threads'] ?? 0;
  }

  async run(plan: BenchPlan): Promise<Result> {
    const url = urlOption(this.options);
    const before = await probeConditions(this.source);
    const target = await (url === undefined ? this.#startEngine(plan) : this.#findServer(url));
    const isHere = isLoopback(new URL(target.url).hostname.replace(/^\[|\]$/g, ''));
    const isOwn = url === undefined;
    try {
      // A server of ours has ended by the time its memory is measured; another one stays, idle.
      const early = isHere && !isOwn ? await this.#readBandwidth(target) : null;
      const notes = await settleTarget(target, {
        wanted: plan.endpoint,
        maxTokens: plan.trialTokens,
        signal: this.signal,
        timeoutMs: this.#timeoutMs,
      });
      if (isHere) this.#meter.start();
      const figures = await this.#measure(plan, target);
      this.#meter.stop();
      this.progress.end();
      const after = await probeConditions(this.source);
      await this.#stop();
      const bandwidth = isOwn ? await this.#readBandwidth(target) : early;
      const readBandwidthGBs = bandwidth?.gigabytes ?? null;
      const limits = { readBandwidthGBs, peakOfPrefill: await peakOfPrefill(target, this.source) };
      const finished = plan.finish?.(figures, limits) ?? figures;
      finished.notes.unshift(...notes);
      if (bandwidth?.note) finished.notes.push(bandwidth.note);
      if (!isHere) finished.notes.push('the server is elsewhere: device, clocks and power are those of this client');
      return await this.result(target, finished, { before, after, readBandwidthGBs });
    } finally {
      this.#meter.stop();
      this.progress.end();
      await this.#stop();
      await target.agent.destroy();
    }
  }

  /** A lost connection to a server that was started is told by what that ended with. */
  async #measure(plan: BenchPlan, target: Target): Promise<Figures> {
    const explain = async (error: unknown) =>
      (toJsgError(error).code === 'E_UNAVAILABLE' ? await this.#faultOfServer() : null) ?? error;
    let figures: Figures;
    try {
      figures = await plan.measure(this.#bench(target));
    } catch (error) {
      throw await explain(error);
    }
    if (figures.failure === null) return figures;
    return { ...figures, failure: toJsgError(await explain(figures.failure)) };
  }

  /** The whole result, and what speaks against it. */
  async result(
    target: Target,
    figures: Figures,
    run: { before: Conditions; after: Conditions; readBandwidthGBs: number | null },
  ): Promise<Result> {
    const { before, after, readBandwidthGBs } = run;
    const notes = [...figures.notes, ...this.#meter.notes];
    if (target.weightBytes === null && figures.kind === 'decode') {
      notes.push('bytes a token: the server does not tell the size of its weights');
    }
    const common: Common = {
      version: RESULT_VERSION,
      startedAt: this.#startedAt.toISOString(),
      durationS: (CLOCK.now() - this.#beginMs) / 1000,
      status: figures.failure === null ? 'complete' : 'partial',
      failure: figures.failure === null ? null : { code: figures.failure.code, message: figures.failure.message },
      invalid: [...this.#meter.reasons, ...changesOf(before, after, this.#tolerance)],
      commandLine: commandLine(),
      jsg: await softwareFacts(this.source),
      model: target.model,
      modelHash: await this.#modelHash(target),
      url: target.url,
      server: target.server,
      endpoint: target.route,
      runtime: target.runtime,
      weightBytes: target.weightBytes,
      kvBytesPerToken: target.kvBytesPerToken,
      readBandwidthGBs,
      device: boardFacts(this.source, this.#root),
      conditions: { before, after },
      reference: this.#reference,
      workload: figures.workload,
      notes,
    };
    return { ...figures, ...common } as Result;
  }

  #bench(target: Target): Bench {
    return {
      target,
      clock: CLOCK,
      seed: this.#seed,
      salt: randomInt(2 ** 31),
      timeoutMs: this.#timeoutMs,
      window: (...work) => this.#meter.window(...work),
      progress: this.progress,
      signal: this.signal,
    };
  }

  #readBandwidth(target: Target): Promise<ReadBandwidth> {
    return readBandwidthOf(target, this.#numThreads, (line) => this.progress.tell(line));
  }

  async #findServer(url: string): Promise<Target> {
    const apiKey = keyToSend(this.options);
    const model = (this.options.model as string | undefined) ?? null;
    return adjust(await discoverTarget({ url, apiKey }, model, this.signal), this.options);
  }

  async #startEngine(plan: BenchPlan): Promise<Target> {
    const chosen = chooseForBench(this.options, plan.streams);
    this.#reference = chosen.profile?.reference ?? null;
    this.#numThreads = chosen.settings['num-threads'];
    const { server, apiKey } = await startChosen(chosen, this.progress, this.signal);
    this.#stop = server.stop;
    this.#faultOfServer = server.fault;
    try {
      return adjust(await discoverTarget({ url: server.url, apiKey }, null, this.signal), this.options);
    } catch (error) {
      await server.stop();
      throw error;
    }
  }

  async #modelHash({ modelPath, url }: Target): Promise<Common['modelHash']> {
    if (this.options.modelHash === false || modelPath === null || this.signal.aborted) return null;
    if (!isLoopback(new URL(url).hostname.replace(/^\[|\]$/g, ''))) return null;
    try {
      const { path } = await findModel({
        'model-path': modelPath,
        revision: null,
        'load-format': 'auto',
        dtype: 'auto',
      });
      if (path === null) return null;
      this.progress.tell('hashing the model (--no-model-hash leaves it out)');
      return await hashModel(path, this.signal);
    } catch {
      return null;
    }
  }
}

/** As it was typed, without secrets. */
export function commandLine(): string {
  const [, , ...args] = withoutSecrets(process.argv);
  return ['jsg', ...args].map(quoteWord).join(' ');
}
