// Whether a server stays what it is: every kind of request, some cut off in the middle, some wrong, for half an hour.
// Resident memory and open descriptors are read once a minute, when nothing runs, V8 has collected its garbage and the
// engine has had malloc give back what is free: what lies about differs by more from one minute to the next than a small
// leak would add in an hour.
//
//   node bench/serving/soak.mjs MODEL [launch flags]
//
// MINUTES=30, WARM_UP=8 minutes of them before memory is judged, STREAMS=12 clients. Prints a line a minute, then the
// slope of the memory by least squares, and one JSON line. Exits with 1 where a valid request was not answered with 2xx,
// a wrong one with other than 4xx, memory grew by more than 1 MiB an hour, or descriptors differed by more than a connection
// a client.
import { readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'undici';
import { modelAndFlags, quantile, rssMiB, startServer, stream, textOf } from './server.mjs';

const minutes = Number(process.env.MINUTES ?? 30);
const warmUp = Number(process.env.WARM_UP ?? 8);
const numStreams = Number(process.env.STREAMS ?? 12);
const MAX_SLOPE_MIB_H = 1;
const { modelPath, flags } = modelAndFlags();
const { url, pid, stop, log } = await startServer(modelPath, flags, ['--inspect=127.0.0.1:0']);
const inspector = await connect(/Debugger listening on (ws:\S+)/.exec(log())[1]);

/** Asks Node.js's inspector for one thing after the other. */
async function connect(address) {
  const socket = new WebSocket(address);
  await new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onerror = () => reject(new Error(`no inspector at ${address}`));
  });
  let id = 0;
  const ask = (method) =>
    new Promise((resolve, reject) => {
      const asked = ++id;
      socket.onmessage = ({ data }) => {
        const answer = JSON.parse(data);
        if (answer.id !== asked) return;
        if (answer.error) reject(new Error(`${method}: ${answer.error.message}`));
        else resolve();
      };
      socket.send(JSON.stringify({ id: asked, method }));
    });
  return { ask, close: () => socket.close() };
}

let state = 1;
/** The same numbers in every run: a whole number below n. */
function below(n) {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  return Math.floor((state / 2 ** 32) * n);
}
const one = (values) => values[below(values.length)];
const user = (text) => [{ role: 'user', content: text }];
const SCHEMA = {
  type: 'object',
  properties: { name: { type: 'string', maxLength: 20 }, age: { type: 'integer' }, ok: { type: 'boolean' } },
  required: ['name', 'age', 'ok'],
  additionalProperties: false,
};
const TOOL = { type: 'function', function: { name: 'get_weather', parameters: SCHEMA } };
const FORMAT = { type: 'json_schema', json_schema: { name: 'person', schema: SCHEMA } };

const VALID = [
  () => ['/v1/chat/completions', { messages: user(textOf(20 + below(300), below(50))), max_tokens: 1 + below(60) }],
  () => ['/v1/chat/completions', { messages: user('Hi'), n: 2, temperature: 1, max_tokens: 20, logprobs: true }],
  () => ['/v1/chat/completions', { messages: user('A person'), max_tokens: 90, response_format: FORMAT }],
  () => ['/v1/chat/completions', { messages: user('Rain?'), tools: [TOOL], tool_choice: 'required', max_tokens: 80 }],
  () => ['/v1/completions', { prompt: [textOf(40, below(9)), 'Once'], max_tokens: 1 + below(40), seed: below(99) }],
  () => ['/v1/completions', { prompt: 'Count:', max_tokens: 30, stop: [','], presence_penalty: 0.5, echo: true }],
  () => ['/v1/responses', { input: textOf(30, below(9)), max_output_tokens: 16 + below(30), store: below(2) === 0 }],
  () => ['/v1/messages', { messages: user('Hello'), max_tokens: 1 + below(30) }],
  () => ['/generate', { text: 'The sky is', sampling_params: { max_new_tokens: 16, regex: '[a-z ]{3,40}' } }],
  () => ['/tokenize', { prompt: textOf(below(500), below(99)) }],
];
const WRONG = [
  () => ['/v1/chat/completions', { messages: [] }],
  () => ['/v1/chat/completions', { messages: user('x'), max_tokens: -1 }],
  () => ['/v1/chat/completions', { messages: user('x'), temperature: 'hot' }],
  () => ['/v1/chat/completions', { messages: user(textOf(20_000, below(9))) }],
  () => ['/v1/completions', { prompt: 'x', regex: '((((' }],
  () => ['/v1/completions', { prompt: 'x', n: 1000 }],
  () => ['/v1/embeddings', { input: 'x' }],
  () => ['/v1/nothing', {}],
];
const STREAMABLE = new Set(['/v1/chat/completions', '/v1/completions']);
const counts = { answered: 0, streamed: 0, cancelled: 0, refused: 0, bad: 0 };

function complain(path, body, status, text) {
  counts.bad += 1;
  console.log(`${path} ${JSON.stringify(body).slice(0, 200)}\n  ${status} ${text.slice(0, 300)}`);
}

async function post(path, body, signal) {
  const headers = { 'content-type': 'application/json' };
  const init = { method: 'POST', headers, signal, body: JSON.stringify({ model: 'any', ...body }) };
  const response = await fetch(`${url}${path}`, init);
  return { status: response.status, text: await response.text() };
}

/** What is stored is memory that is meant to stay: so it is gone on from and deleted. */
async function goOnAndDelete(first) {
  const { id, store } = JSON.parse(first);
  if (!store) return;
  const next = { input: 'And then?', previous_response_id: id, max_output_tokens: 16, store: false };
  const { status, text } = await post('/v1/responses', next);
  if (status !== 200) complain('/v1/responses', next, status, text);
  const gone = await fetch(`${url}/v1/responses/${id}`, { method: 'DELETE' });
  if (!gone.ok) complain(`/v1/responses/${id}`, {}, gone.status, await gone.text());
  else await gone.arrayBuffer();
}

async function cutOff(path, body) {
  const signal = AbortSignal.timeout(1 + below(400));
  try {
    const { status, text } = await post(path, { ...body, stream: STREAMABLE.has(path) }, signal);
    if (status === 200 && path === '/v1/responses') await goOnAndDelete(text); // there before it could be cut off
  } catch (error) {
    if (error.name !== 'TimeoutError') throw error;
    counts.cancelled += 1;
  }
}

async function request() {
  const kind = below(10);
  if (kind === 0) {
    const [path, body] = one(WRONG)();
    const { status, text } = await post(path, body);
    if (status < 400 || status >= 500) complain(path, body, status, text);
    counts.refused += 1;
    return;
  }
  const [path, body] = one(VALID)();
  if (kind <= 2) return cutOff(path, body);
  if (kind <= 5 && STREAMABLE.has(path)) {
    const { status, error } = await stream(url, path, body);
    if (status !== 200 || error !== null) complain(path, body, status, String(error));
    counts.streamed += 1;
    return;
  }
  const { status, text } = await post(path, body);
  if (status !== 200) complain(path, body, status, text);
  else if (path === '/v1/responses') await goOnAndDelete(text);
  counts.answered += 1;
}

const numDescriptors = () => readdirSync(`/proc/${pid}/fd`).length;

/** The slope of y over x by least squares. */
function slope(points) {
  const mean = (of) => points.reduce((sum, point) => sum + of(point), 0) / points.length;
  const [x, y] = [mean((p) => p.x), mean((p) => p.y)];
  const covariance = points.reduce((sum, p) => sum + (p.x - x) * (p.y - y), 0);
  return covariance / points.reduce((sum, p) => sum + (p.x - x) ** 2, 0);
}

try {
  const readings = [];
  for (let minute = 1; minute <= minutes; minute++) {
    const end = performance.now() + 60_000;
    const client = async () => {
      while (performance.now() < end) await request();
    };
    await Promise.all(Array.from({ length: numStreams }, client));
    await sleep(7000); // connections that are kept alive have ended
    await inspector.ask('HeapProfiler.collectGarbage');
    await post('/generate', { text: 'x', sampling_params: { max_new_tokens: 1 } }); // after which the engine is idle anew
    await sleep(8000);
    readings.push({ minute, rss: rssMiB(pid), descriptors: numDescriptors() });
    const { rss, descriptors } = readings.at(-1);
    console.log(`${minute} min: ${rss.toFixed(1)} MiB, ${descriptors} descriptors, ${JSON.stringify(counts)}`);
  }
  const judged = readings.filter(({ minute }) => minute > warmUp);
  const mibPerHour = slope(judged.map(({ minute, rss }) => ({ x: minute / 60, y: rss })));
  const descriptors = judged.map((reading) => reading.descriptors);
  const spread = quantile(descriptors, 1) - quantile(descriptors, 0);
  console.log(`memory: ${mibPerHour.toFixed(2)} MiB an hour after ${warmUp} minutes; descriptors differ by ${spread}`);
  console.log(JSON.stringify({ name: 'soak', mibPerHour, spread, counts, readings }));
  process.exitCode = counts.bad > 0 || mibPerHour > MAX_SLOPE_MIB_H || spread > numStreams ? 1 : 0;
} finally {
  inspector.close();
  await stop();
}
