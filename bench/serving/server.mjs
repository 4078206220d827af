// What the measurements of this folder share: a server of jsg, and streams as a client sees them.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { SseParser } from '../../dist/server-events.js';

const program = fileURLToPath(new URL('../../bin/jsg.js', import.meta.url));

/** Starts `jsg launch` with these flags on a free port. Resolves when it serves. `nodeFlags`: of Node.js. */
export function startServer(modelPath, flags = [], nodeFlags = []) {
  const args = ['launch', '--model-path', modelPath, '--port', '0', ...flags];
  const child = spawn(process.execPath, [...nodeFlags, program, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  child.stderr.on('data', (data) => {
    log += data;
  });
  return new Promise((resolve, reject) => {
    child.on('exit', (code) => reject(new Error(`jsg ended with ${code}:\n${log}`)));
    let announced = '';
    child.stdout.on('data', (data) => {
      announced += data;
      const url = /served at (http:\S+)/.exec(announced)?.[1];
      if (!url) return;
      child.removeAllListeners('exit');
      const ended = new Promise((done) => child.on('exit', done));
      const stop = () => {
        child.kill('SIGTERM');
        return ended;
      };
      resolve({ url, pid: child.pid, stop, log: () => log });
    });
  });
}

/**
 * One streamed request. `beginMs`, `firstMs`: when it was sent, when its first text came; `times`: of every piece of text;
 * `status` other than 200: it was refused, `endMs` later, and `retryAfter` says when to come back.
 */
export async function stream(url, path, body, { headers = {}, onPiece = () => {} } = {}) {
  const beginMs = performance.now();
  const response = await fetch(`${url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ model: 'any', ...body, stream: true, stream_options: { include_usage: true } }),
  });
  const trace = { status: response.status, beginMs, times: [], text: '', usage: null, finish: null, error: null };
  if (!response.ok) {
    trace.error = await response.text();
    return { ...trace, endMs: performance.now(), retryAfter: response.headers.get('retry-after') };
  }
  const parser = new SseParser((data) => {
    if (data === '[DONE]') return;
    const chunk = JSON.parse(data);
    if (chunk.error) trace.error = chunk.error.message;
    trace.usage = chunk.usage ?? trace.usage;
    const choice = chunk.choices?.[0];
    trace.finish = choice?.finish_reason ?? trace.finish;
    const text = choice?.delta?.content ?? choice?.text ?? '';
    if (text === '') return;
    trace.text += text;
    trace.times.push(performance.now());
    onPiece(trace);
  });
  const decoder = new TextDecoder();
  for await (const bytes of response.body) parser.push(decoder.decode(bytes, { stream: true }));
  return { ...trace, firstMs: trace.times[0], endMs: performance.now() };
}

/** Resident memory of a process, MiB. */
export const rssMiB = (pid) =>
  Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024;

export const ttftMs = (trace) => trace.firstMs - trace.beginMs;

/** Time between pieces, ms, of those that came within [from, to). */
export function gapsMs(trace, from = Number.NEGATIVE_INFINITY, to = Number.POSITIVE_INFINITY) {
  const gaps = [];
  for (let i = 1; i < trace.times.length; i++) {
    if (trace.times[i] >= from && trace.times[i] < to) gaps.push(trace.times[i] - trace.times[i - 1]);
  }
  return gaps;
}

export function quantile(values, q) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))];
}
export const median = (values) => quantile(values, 0.5);

const WORDS = `time person year way day thing man world life hand part child eye woman place work week case point group
 company number problem fact water money story month book night house power hour game line end member law car city`.split(
  /\s+/,
);

/** A text of `numWords` words (each about a token) that shares no beginning with that of another seed. */
export function textOf(numWords, seed) {
  let state = (seed * 2_654_435_761 + 12345) >>> 0;
  const words = Array.from({ length: numWords }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return WORDS[(state >>> 16) % WORDS.length];
  });
  return `${seed} ${words.join(' ')}`;
}

/** The arguments: MODEL, then flags of `jsg launch`. */
export function modelAndFlags() {
  const [modelPath, ...flags] = process.argv.slice(2);
  if (modelPath === undefined) {
    console.error(`usage: node ${process.argv[1]} MODEL [launch flags]`);
    process.exit(2);
  }
  return { modelPath, flags };
}
