// What ten times too many requests do to those that are served: time between their tokens at capacity and under overload,
// and how quickly the others are refused.
//
//   node bench/serving/overload.mjs MODEL [launch flags]
//
// STREAMS=4 run at a time and as many wait; SECONDS=20 of each phase; FACTOR=10 times the requests of the first phase
// arrive in the second. Prints medians and p99, and one JSON line.
import { gapsMs, median, modelAndFlags, quantile, startServer, stream, textOf } from './server.mjs';

const numStreams = Number(process.env.STREAMS ?? 4);
const phaseMs = Number(process.env.SECONDS ?? 20) * 1000;
const factor = Number(process.env.FACTOR ?? 10);
const { modelPath, flags } = modelAndFlags();
const limits = ['--max-running-requests', String(numStreams), '--max-queued-requests', String(numStreams)];
const { url, stop } = await startServer(modelPath, [...limits, ...flags]);

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
  const end = performance.now() + phaseMs;
  for (let next = performance.now(); next < end; next += 1000 / perSecond) {
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, next - performance.now())));
    pending.push(request());
  }
  return Promise.all(pending);
}

function gapsOf(traces) {
  const gaps = traces.flatMap((trace) => gapsMs(trace));
  const mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length;
  return { mean, median: median(gaps), p99: quantile(gaps, 0.99) };
}

try {
  await request();
  const before = await atCapacity();
  const perSecond = (factor * before.length * 1000) / phaseMs;
  const during = await overloaded(perSecond);
  const served = during.filter((trace) => trace.status === 200);
  const refused = during.filter((trace) => trace.status === 429);
  const refusalMs = refused.map((trace) => trace.endMs - trace.beginMs);
  const figures = {
    capacity: { requests: before.length, ...gapsOf(before) },
    overload: { requests: during.length, perSecond, served: served.length, refused: refused.length, ...gapsOf(served) },
    refusal: { median: median(refusalMs), p99: quantile(refusalMs, 0.99), retryAfter: refused[0]?.retryAfter ?? null },
    others: during.length - served.length - refused.length,
  };
  figures.meanRatio = figures.overload.mean / figures.capacity.mean;
  figures.medianRatio = figures.overload.median / figures.capacity.median;
  const line = ({ mean, median, p99 }) =>
    `mean ${mean.toFixed(1)}, median ${median.toFixed(1)}, p99 ${p99.toFixed(1)} ms`;
  console.log(`at capacity, ${before.length} requests: time between tokens ${line(figures.capacity)}`);
  console.log(`${perSecond.toFixed(1)} requests a second, ${served.length} served: ${line(figures.overload)}`);
  console.log(`ratio: mean ${figures.meanRatio.toFixed(2)}, median ${figures.medianRatio.toFixed(2)} (bar: 1.3)`);
  console.log(
    `${refused.length} refused in ${figures.refusal.median.toFixed(1)} ms, p99 ${figures.refusal.p99.toFixed(1)} (bar: 20)`,
  );
  console.log(JSON.stringify({ name: 'overload', ...figures }));
} finally {
  await stop();
}
