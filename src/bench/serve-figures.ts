/** The figures of one level of load, from the traces of its requests. Pure. */
import { keeps, type ServiceLevel } from './goodput.js';
import type { ServeLevel } from './result.js';
import { mean, quantileCurve, rateRange, summarise } from './stats.js';
import {
  endToEndMs,
  interTokenGapsMs,
  numArrivals,
  type Trace,
  timePerOutputTokenMs,
  timeToFirstTokenMs,
} from './trace.js';

export type ServeFigures = Omit<
  ServeLevel,
  'requestRate' | 'maxConcurrency' | 'inputTokensAsked' | 'clientLoad' | 'power'
>;

/** Parts of a run that its throughput is compared over, and points of its timeline. */
const NUM_PARTS = 10;
const NUM_POINTS = 60;

/** `beginMs`: when the level began. `serviceLevel` null: no goodput was asked for. */
export function serveFigures(
  traces: readonly Trace[],
  beginMs: number,
  serviceLevel: ServiceLevel | null,
): ServeFigures {
  const done = traces.filter(({ failure }) => failure === null).sort((a, b) => a.startMs - b.startMs);
  const failures = countFailures(traces);
  const { cancelled = 0, ...real } = failures;
  // Not by Math.max(...): there may be more requests than a call takes arguments.
  const endMs = traces.reduce((last, trace) => Math.max(last, trace.endMs), beginMs);
  const durationS = (endMs - beginMs) / 1000;
  const rate = (count: number) => (durationS > 0 ? count / durationS : 0);
  const [inputTokens, outputTokens] = [sum(done, 'promptTokens'), sum(done, 'completionTokens')];
  const good = serviceLevel === null ? [] : traces.filter((trace) => keeps(serviceLevel, trace));
  const judged = traces.length - cancelled;
  const gaps = done.flatMap(interTokenGapsMs);
  const firsts = known(done.map(timeToFirstTokenMs));
  const ends = done.map(endToEndMs);
  return {
    durationS,
    completed: done.length,
    failed: traces.length - done.length - cancelled,
    cancelled,
    failures: real,
    failureExamples: examplesOf(traces),
    inputTokens,
    cachedTokens: done.every(({ cachedTokens }) => cachedTokens === null) ? null : sum(done, 'cachedTokens'),
    outputTokens,
    requestThroughput: rate(done.length),
    outputThroughput: rate(outputTokens),
    totalThroughput: rate(inputTokens + outputTokens),
    outputThroughputCi95: rateRange(tokenRates(done, beginMs, endMs, NUM_PARTS)),
    peakConcurrency: peakOf(traces),
    goodput:
      serviceLevel === null
        ? null
        : { requestsPerSecond: rate(good.length), share: judged === 0 ? 0 : good.length / judged },
    ttftMs: summarise(firsts),
    itlMs: summarise(gaps),
    tpotMs: summarise(known(done.map(timePerOutputTokenMs))),
    e2eMs: summarise(ends),
    tokensPerArrival: mean(done.map((trace) => trace.completionTokens / numArrivals(trace))),
    countedBy: countedBy(done),
    lateMs: summarise(traces.map(({ startMs, sentMs }) => sentMs - startMs)),
    curves: {
      ttftMs: quantileCurve(firsts, 100),
      itlMs: quantileCurve(gaps, 100),
      e2eMs: quantileCurve(ends, 100),
    },
    timeline: {
      stepS: durationS / NUM_POINTS,
      outputTokensPerSecond: durationS > 0 ? tokenRates(traces, beginMs, endMs, NUM_POINTS) : [],
      running: durationS > 0 ? runningAt(traces, beginMs, endMs, NUM_POINTS) : [],
    },
  };
}

const known = (values: readonly (number | null)[]): number[] => values.filter((value) => value !== null);

const sum = (traces: readonly Trace[], key: 'promptTokens' | 'completionTokens' | 'cachedTokens') =>
  traces.reduce((total, trace) => total + (trace[key] ?? 0), 0);

function countFailures(traces: readonly Trace[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { failure } of traces) if (failure !== null) counts[failure.kind] = (counts[failure.kind] ?? 0) + 1;
  return counts;
}

function examplesOf(traces: readonly Trace[]): Record<string, string> {
  const examples: Record<string, string> = {};
  for (const { failure } of traces) {
    if (failure !== null && failure.kind !== 'cancelled') examples[failure.kind] ??= failure.message;
  }
  return examples;
}

function countedBy(traces: readonly Trace[]): ServeLevel['countedBy'] {
  const [first, ...others] = new Set(traces.map((trace) => trace.countedBy));
  return others.length > 0 ? 'mixed' : (first ?? 'usage');
}

/** Tokens a second in equal parts of the time; a piece counts for the mean tokens of its request's pieces. */
function tokenRates(traces: readonly Trace[], beginMs: number, endMs: number, numParts: number): number[] {
  const partMs = (endMs - beginMs) / numParts;
  const tokens = new Array<number>(numParts).fill(0);
  if (!(partMs > 0)) return [];
  for (const { pieceMs, completionTokens } of traces) {
    for (const at of pieceMs) {
      const part = Math.min(numParts - 1, Math.max(0, Math.floor((at - beginMs) / partMs)));
      tokens[part] = (tokens[part] ?? 0) + completionTokens / pieceMs.length;
    }
  }
  return tokens.map((count) => (count * 1000) / partMs);
}

/** Requests between sent and ended, at the middle of each part. */
function runningAt(traces: readonly Trace[], beginMs: number, endMs: number, numParts: number): number[] {
  const partMs = (endMs - beginMs) / numParts;
  return Array.from({ length: numParts }, (_, i) => {
    const at = beginMs + (i + 0.5) * partMs;
    return traces.filter((trace) => trace.sentMs <= at && at < trace.endMs).length;
  });
}

function peakOf(traces: readonly Trace[]): number {
  const changes = traces.flatMap(({ sentMs, endMs }) => [
    [sentMs, 1],
    [endMs, -1],
  ]) as [number, number][];
  // What ends at the same moment goes before what begins.
  changes.sort(([a, x], [b, y]) => a - b || x - y);
  let [running, peak] = [0, 0];
  for (const [, change] of changes) {
    running += change;
    peak = Math.max(peak, running);
  }
  return peak;
}
