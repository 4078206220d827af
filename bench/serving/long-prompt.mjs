// What a long prompt does to the streams beside it: time between their tokens before it comes, and until its first token.
//
//   node bench/serving/long-prompt.mjs MODEL [launch flags]
//
// STREAMS=4, PROMPT_TOKENS=8000 (the context is made long enough). Prints medians, p99 and their ratios, and one JSON line.
import { gapsMs, median, modelAndFlags, quantile, startServer, stream, textOf, ttftMs } from './server.mjs';

const numStreams = Number(process.env.STREAMS ?? 4);
const promptTokens = Number(process.env.PROMPT_TOKENS ?? 8000);
const QUIET_TOKENS = 200;
const { modelPath, flags } = modelAndFlags();
const context = String(promptTokens + 1024);
const { url, stop } = await startServer(modelPath, ['--context-length', context, ...flags]);
const complete = (prompt, max_tokens, more = {}, options = {}) =>
  stream(url, '/v1/completions', { prompt, max_tokens, temperature: 0, ignore_eos: true, ...more }, options);

try {
  await complete(textOf(300, 1), 8);
  // Streams that go on until the long prompt has its first token.
  const client = new AbortController();
  const running = [];
  const quiet = Array.from({ length: numStreams }, (_, i) => {
    let enough;
    const hasBegun = new Promise((resolve) => {
      enough = resolve;
    });
    const onPiece = (trace) => {
      running[i] = trace;
      if (trace.times.length >= QUIET_TOKENS) enough();
      if (client.signal.aborted) throw new Error('enough');
    };
    const done = complete(textOf(16, 100 + i), promptTokens, {}, { onPiece }).catch(() => {});
    return { hasBegun, done };
  });
  await Promise.all(quiet.map(({ hasBegun }) => hasBegun));
  const begin = performance.now();
  const long = await complete(textOf(promptTokens - 100, 7), 2);
  client.abort();
  await Promise.all(quiet.map(({ done }) => done));

  const before = running.flatMap((trace) => gapsMs(trace, trace.times[20], begin));
  const beside = running.flatMap((trace) => gapsMs(trace, begin, long.firstMs));
  const figures = {
    streams: numStreams,
    promptTokens: long.usage.prompt_tokens,
    ttftMs: ttftMs(long),
    before: { median: median(before), p99: quantile(before, 0.99), max: Math.max(...before) },
    beside: { median: median(beside), p99: quantile(beside, 0.99), max: Math.max(...beside), gaps: beside.length },
  };
  figures.ratio = figures.beside.p99 / figures.before.p99;
  const line = ({ median, p99, max }) =>
    `median ${median.toFixed(1)}, p99 ${p99.toFixed(1)}, most ${max.toFixed(1)} ms`;
  console.log(`${numStreams} streams, time between tokens: ${line(figures.before)}`);
  console.log(`beside a prompt of ${figures.promptTokens} tokens: ${line(figures.beside)}`);
  console.log(`its first token after ${(figures.ttftMs / 1000).toFixed(1)} s`);
  console.log(`p99 ratio: ${figures.ratio.toFixed(2)} (bar: 3)`);
  console.log(JSON.stringify({ name: 'long prompt beside streams', ...figures }));
} finally {
  await stop();
}
