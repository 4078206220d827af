// What ten times too many requests do to those that are served: time between their tokens at capacity and under overload,
// how quickly the others are refused, what memory does meanwhile, and what is left of it two seconds after the last of them.
//
//   node bench/serving/overload.mjs MODEL [launch flags]
//
// STREAMS=4 run at a time and as many wait; SECONDS=20 of each phase; FACTOR=10 times the requests of the first phase
// arrive in the second; the third is like the first. Prints medians and p99, and one JSON line.
import { setTimeout as sleep } from 'node:timers/promises';
import { gapsMs, median, modelAndFlags, quantile, rssMiB, startServer, stream, textOf, ttftMs } from './server.mjs';

const numStreams = Number(process.env.STREAMS ?? 4);
const phaseMs = Number(process.env.SECONDS ?? 20) * 1000;
const factor = Number(process.env.FACTOR ?? 10);
const RECOVERY_MS = 2000;
const { modelPath, flags } = modelAndFlags();
const limits = ['--max-running-requests', String(numStreams), '--max-queued-requests', String(numStreams)];
const { url, pid, stop } = await startServer(modelPath, [...limits, ...flags]);

let seed = 0;
const request = () => {
  const body = { prompt: textOf(100, ++seed), max_tokens: 100, temperature: 0, ignore_eos: true };
  return stream(url, '/v1/completions', body);
};

/** Each client asks again as soon as it has its answer: as many requests as the server can run, and no more. */
async function atCapacity() {
  const traces = [];
  const end = performance.now() + phaseMs;
  const client = async () => {
    while (performance.now() < end) traces.push(await request());
  };
  await Promise.all(Array.from({ length: numStreams }, client));
  return traces;
}

/** Requests arrive evenly, whatever becomes of them. */
async function overloaded(perSecond) {
  const pending = [];
  let maxRssMiB = 0;
  const end = performance.now() + phaseMs;
  for (let next = performance.now(); next < end; next += 1000 / perSecond) {
    await sleep(Math.max(0, next - performance.now()));
    pending.push(request());
    maxRssMiB = Math.max(maxRssMiB, rssMiB(pid));
  }
  return { maxRssMiB, lastMs: performance.now(), traces: await Promise.all(pending) };
}

function gapsOf(traces) {
  const gaps = traces.flatMap((trace) => gapsMs(trace));
  const mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length;
  return { mean, median: median(gaps), p99: quantile(gaps, 0.99), ttft: median(traces.map(ttftMs)) };
}

const ratios = (figures, base) => ({ mean: figures.mean / base.mean, median: figures.median / base.median });

try {
  await request();
  const before = await atCapacity();
  const rssBefore = rssMiB(pid);
  const perSecond = (factor * before.length * 1000) / phaseMs;
  const { traces: during, maxRssMiB, lastMs } = await overloaded(perSecond);
  await sleep(Math.max(0, lastMs + RECOVERY_MS - performance.now()));
  const rssAfter = rssMiB(pid);
  const after = await atCapacity();
  const served = during.filter((trace) => trace.status === 200);
  const refused = during.filter((trace) => trace.status === 429);
  const refusalMs = refused.map((trace) => trace.endMs - trace.beginMs);
  const figures = {
    capacity: { requests: before.length, ...gapsOf(before) },
    overload: { requests: during.length, perSecond, served: served.length, refused: refused.length, ...gapsOf(served) },
    afterwards: { requests: after.length, ...gapsOf(after) },
    refusal: { median: median(refusalMs), p99: quantile(refusalMs, 0.99), retryAfter: refused[0]?.retryAfter ?? null },
    rssMiB: { before: rssBefore, max: maxRssMiB, after: rssAfter },
    others: during.length - served.length - refused.length,
  };
  const { capacity, overload, afterwards, refusal } = figures;
  figures.ratio = ratios(overload, capacity);
  figures.ratioAfterwards = ratios(afterwards, capacity);
  const line = ({ mean, median, p99, ttft }) =>
    `mean ${mean.toFixed(1)}, median ${median.toFixed(1)}, p99 ${p99.toFixed(1)} ms; first token ${ttft.toFixed(0)} ms`;
  const times = ({ mean, median }) => `mean ${mean.toFixed(2)}, median ${median.toFixed(2)}`;
  console.log(`at capacity, ${capacity.requests} requests: time between tokens ${line(capacity)}`);
  console.log(`${perSecond.toFixed(1)} requests a second, ${overload.served} served: ${line(overload)}`);
  console.log(`2 s afterwards, ${afterwards.requests} requests: ${line(afterwards)}`);
  console.log(`ratio: ${times(figures.ratio)} (bar: 1.3); afterwards ${times(figures.ratioAfterwards)}`);
  console.log(
    `${overload.refused} refused in ${refusal.median.toFixed(1)} ms, p99 ${refusal.p99.toFixed(1)} (bar: 20); ${figures.others} failed`,
  );
  console.log(
    `memory: ${rssBefore.toFixed(0)} MiB before, at most ${maxRssMiB.toFixed(0)} in between, ${rssAfter.toFixed(0)} after`,
  );
  console.log(JSON.stringify({ name: 'overload', ...figures }));
} finally {
  await stop();
}
