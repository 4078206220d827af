/** Serving under load: levels of request rates or of concurrency, each with requests of its own. */
import { performance } from 'node:perf_hooks';
import { JsgError } from '../errors.js';
import type { Bench } from './bench.js';
import { drive, type RunJob } from './drive.js';
import type { ServiceLevel } from './goodput.js';
import { LossWatch } from './loss-watch.js';
import { seededRandom } from './random.js';
import { type Message, requestBody } from './request-body.js';
import type { ServeLevel } from './result.js';
import { send } from './send.js';
import { serveFigures } from './serve-figures.js';
import type { Trace } from './trace.js';
import type { Job, Workload } from './workload.js';

export interface Load {
  /** Requests a second; Infinity: closed loop, or all at once. */
  requestRate: number;
  burstiness: number;
  maxConcurrency: number | null;
}

export interface ServeOptions {
  levels: Load[];
  /** Jobs of a level; null: as many as `durationS` takes. */
  numPrompts: number | null;
  durationS: number | null;
  warmupRequests: number;
  serviceLevel: ServiceLevel | null;
}

export interface MeasuredLevels {
  levels: ServeLevel[];
  /** What ended the run before its time, or that nothing went well in it. */
  failure: JsgError | null;
}

export async function measureServe(bench: Bench, workload: Workload, options: ServeOptions): Promise<MeasuredLevels> {
  const { levels, warmupRequests } = options;
  await Promise.all(Array.from({ length: warmupRequests }, (_, i) => runJob(bench, workload(i), null)));
  const measured: MeasuredLevels = { levels: [], failure: null };
  // Each level asks for something new: no prefix cache knows it from the level before.
  let first = warmupRequests;
  for (const [i, load] of levels.entries()) {
    if (bench.signal.aborted || measured.failure !== null) break;
    const { level, numJobs, failure } = await measureLevel(bench, workload, load, options, { first, index: i });
    if (level !== null) measured.levels.push(level);
    measured.failure = failure;
    first += numJobs;
  }
  measured.failure ??= failureOfAll(measured.levels);
  return measured;
}

/** Where not a single request went well, that is what came out. */
function failureOfAll(levels: readonly ServeLevel[]): JsgError | null {
  const [first] = levels.flatMap(({ failureExamples }) => Object.entries(failureExamples));
  if (first === undefined || levels.some(({ completed }) => completed > 0)) return null;
  return new JsgError('E_RUNTIME_FAILED', `no request went well: ${first.join(': ')}`);
}

interface Place {
  /** Number of the level's first job. */
  first: number;
  /** Of the level among all. */
  index: number;
}

async function measureLevel(
  bench: Bench,
  workload: Workload,
  load: Load,
  options: ServeOptions,
  place: Place,
): Promise<{ level: ServeLevel | null; numJobs: number; failure: JsgError | null }> {
  const what = describeLoad(load);
  const beginMs = bench.clock.now();
  const before = performance.eventLoopUtilization();
  const { traces, numJobs, inputTokensAsked, failure } = await driveLevel(bench, workload, load, options, place);
  const clientLoad = performance.eventLoopUtilization(before).utilization;
  if (traces.every((trace) => trace.failure?.kind === 'cancelled')) return { level: null, numJobs, failure };
  const figures = serveFigures(traces, beginMs, options.serviceLevel);
  const power = bench.window(what, beginMs, beginMs + figures.durationS * 1000, figures.outputTokens);
  const requestRate = Number.isFinite(load.requestRate) ? load.requestRate : null;
  const driven = { requestRate, maxConcurrency: load.maxConcurrency, inputTokensAsked };
  return { level: { ...driven, ...figures, clientLoad, power }, numJobs, failure };
}

interface Driven {
  traces: Trace[];
  numJobs: number;
  /** Of the prompts that were answered; null: not known beforehand. */
  inputTokensAsked: number | null;
  /** What the server was lost with. */
  failure: JsgError | null;
}

async function driveLevel(
  bench: Bench,
  workload: Workload,
  load: Load,
  options: ServeOptions,
  { first, index }: Place,
): Promise<Driven> {
  const { clock } = bench;
  const { numPrompts, durationS } = options;
  const watch = new LossWatch(bench);
  const { signal } = watch;
  const durationMs = durationS === null ? null : durationS * 1000;
  const what = describeLoad(load);
  const { begin, part } = placeOf(options, index);
  const beginMs = clock.now();
  const driven: Driven = { traces: [], numJobs: 0, inputTokensAsked: 0, failure: null };
  let numDone = 0;
  const tell = () => {
    const byJobs = numPrompts === null ? 0 : numDone / numPrompts;
    const byTime = durationMs === null ? 0 : (clock.now() - beginMs) / durationMs;
    const share = Math.min(1, Math.max(byJobs, byTime));
    bench.progress.update(what, begin + share * part, `${numDone} answered`);
  };
  const run: RunJob = async (n, dueMs) => {
    driven.numJobs++;
    const job = workload(first + n);
    const traces = await runJob({ ...bench, signal }, job, dueMs);
    watch.saw(traces);
    if (traces.every(({ failure }) => failure === null)) count(driven, job);
    numDone++;
    tell();
    return traces;
  };
  tell();
  const random = seededRandom(bench.seed + 7919 * index);
  driven.traces = await drive(run, { ...load, numJobs: numPrompts, durationMs, clock, random, signal });
  driven.failure = await watch.verdict();
  return driven;
}

/** Where a level lies in the whole run, by how long arrivals take; alike where that is not known of all. */
export function placeOf(
  { levels, numPrompts, durationS }: ServeOptions,
  index: number,
): { begin: number; part: number } {
  const asked = levels.map(({ requestRate }) =>
    Math.min(durationS ?? Number.POSITIVE_INFINITY, (numPrompts ?? Number.POSITIVE_INFINITY) / requestRate),
  );
  const isKnown = asked.every((seconds) => seconds > 0 && Number.isFinite(seconds));
  const seconds = isKnown ? asked : levels.map(() => 1);
  const total = seconds.reduce((sum, each) => sum + each, 0);
  const before = seconds.slice(0, index).reduce((sum, each) => sum + each, 0);
  return { begin: before / total, part: (seconds[index] ?? 0) / total };
}

function count(driven: Driven, job: Job): void {
  const asked = askedOf(job);
  const before = driven.inputTokensAsked;
  driven.inputTokensAsked = asked === null || before === null ? null : before + asked;
}

/** Tokens of a prompt that stands alone; null: a conversation holds its template and answers too. */
function askedOf({ turns }: Job): number | null {
  return turns.length === 1 ? (turns[0]?.inputTokens ?? null) : null;
}

/** The level of the most output; null: there is none. */
export function fastest(levels: readonly ServeLevel[]): ServeLevel | null {
  return levels.reduce<ServeLevel | null>(
    (best, level) => (best === null || level.outputThroughput > best.outputThroughput ? level : best),
    null,
  );
}

export function describeLoad({
  requestRate,
  maxConcurrency,
}: {
  requestRate: number | null;
  maxConcurrency: number | null;
}) {
  const rate = requestRate === null || !Number.isFinite(requestRate) ? null : `${requestRate} requests/s`;
  const most = maxConcurrency === null ? null : `${maxConcurrency} at a time`;
  return [rate, most].filter((part) => part !== null).join(', ') || 'all at once';
}

/** The turns of a conversation, each when the one before is answered; the first that fails is the last. */
async function runJob(bench: Bench, { turns }: Job, dueMs: number | null): Promise<Trace[]> {
  const { target, clock, signal, timeoutMs } = bench;
  const said: Message[] = [];
  const traces: Trace[] = [];
  for (const { messages, maxTokens } of turns) {
    said.push(...messages);
    const isFirst = traces.length === 0;
    const { trace, text } = await send(target, requestBody(target, said, maxTokens), {
      clock,
      signal,
      timeoutMs,
      keepText: turns.length > 1,
      ...(isFirst && dueMs !== null ? { startMs: dueMs } : {}),
    });
    traces.push(trace);
    if (trace.failure !== null) break;
    said.push({ role: 'assistant', content: text });
  }
  return traces;
}

/** What is to be known of the figures of a level beside them. */
export function doubtsOf(level: ServeLevel): string[] {
  const what = describeLoad(level);
  const notes: string[] = [];
  const perArrival = level.tokensPerArrival ?? 1;
  if (perArrival > 1.05) {
    notes.push(
      `${what}: text arrived ${perArrival.toFixed(2)} tokens at a time: ITL is between arrivals, TPOT is of a token`,
    );
  }
  if (level.countedBy !== 'usage') {
    notes.push(
      `${what}: the server sends no usage; a piece of text was counted as one token, prompts were not counted`,
    );
  }
  const { inputTokens, inputTokensAsked: asked } = level;
  if (asked !== null && asked !== inputTokens && level.countedBy === 'usage') {
    notes.push(`${what}: the prompts have ${inputTokens} tokens by the server's count, not ${asked}`);
  }
  const clientLoad = level.clientLoad ?? 0;
  if (clientLoad > 0.8) {
    notes.push(`${what}: this client was busy for ${Math.round(clientLoad * 100)} % of the time: it may be the limit`);
  }
  const late = level.lateMs?.max ?? 0;
  if (late > 20 && level.maxConcurrency === null) {
    notes.push(`${what}: requests went out up to ${late.toFixed(0)} ms after their time; it counts as latency`);
  }
  return notes;
}
