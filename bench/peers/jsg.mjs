// jsg over HTTP: the same decode, prefill and parallel streams, as a client of /v1/completions sees them.
//
//   node bench/peers/jsg.mjs MODEL.gguf        starts a server, prints one JSON line: tokens a second of each, stops it
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const workload = JSON.parse(readFileSync(new URL('workload.json', import.meta.url), 'utf8'));
const program = fileURLToPath(new URL('../../bin/jsg.js', import.meta.url));
const VOCAB = 49152;

/** The same ids for every contender. */
const prompt = (numTokens, stream) =>
  Array.from({ length: numTokens }, (_, i) => 1000 + ((i * 7919 + stream * 104729) % (VOCAB - 1000)));

/** Resolves with the URL that the server announces on stdout. */
function startServer(modelPath) {
  const args = ['launch', '--model-path', modelPath, '--port', '0', '--num-threads', String(workload.threads)];
  const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  return new Promise((resolve, reject) => {
    child.stderr.on('data', (data) => {
      log += data;
    });
    child.on('exit', (code) => reject(new Error(`jsg ended with ${code}:\n${log}`)));
    let announced = '';
    child.stdout.on('data', (data) => {
      announced += data;
      const url = /served at (http:\S+)/.exec(announced)?.[1];
      if (url) resolve({ url, child });
    });
  });
}

/** Arrival times, in ms, of the pieces of one streamed completion of exactly `numTokens` tokens. */
async function stream(url, ids, numTokens) {
  const response = await fetch(`${url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      model: 'any',
      prompt: ids,
      max_tokens: numTokens,
      temperature: 0,
      ignore_eos: true,
      stream: true,
      stream_options: { include_usage: true },
    }),
  });
  if (!response.ok) throw new Error(`HTTP ${response.status}: ${await response.text()}`);
  const times = [];
  let rest = '';
  let usage;
  const decoder = new TextDecoder();
  for await (const bytes of response.body) {
    rest += decoder.decode(bytes, { stream: true });
    const lines = rest.split('\n\n');
    rest = lines.pop();
    for (const line of lines) {
      if (line === 'data: [DONE]') continue;
      const chunk = JSON.parse(line.slice('data: '.length));
      if (chunk.error) throw new Error(chunk.error.message);
      if (chunk.choices.length > 0) times.push(performance.now());
      usage = chunk.usage ?? usage;
    }
  }
  if (usage.completion_tokens !== numTokens) throw new Error(`${usage.completion_tokens} tokens, not ${numTokens}`);
  return times;
}

async function decodeRate(url, { promptTokens, newTokens }, seed) {
  const times = await stream(url, prompt(promptTokens, seed), newTokens);
  return ((newTokens - 1) / (times.at(-1) - times[0])) * 1000;
}

async function prefillRate(url, { promptTokens }, seed) {
  const begin = performance.now();
  const times = await stream(url, prompt(promptTokens, seed), 1);
  return (promptTokens / (times[0] - begin)) * 1000;
}

/** From the moment every stream has its first token to the last token of all, as the peers are counted. */
async function parallelRate(url, { streams, promptTokens, newTokens }, seed) {
  const runs = await Promise.all(
    Array.from({ length: streams }, (_, i) => stream(url, prompt(promptTokens, seed + i), newTokens)),
  );
  const begin = Math.max(...runs.map((times) => times[0]));
  const end = Math.max(...runs.map((times) => times.at(-1)));
  // A piece is one token, or a few where a character needed several: scaled so that a stream's pieces are its tokens.
  const tokens = runs.reduce((sum, times) => {
    const late = times.filter((time) => time > begin).length;
    return sum + late * (newTokens / times.length);
  }, 0);
  return (tokens / (end - begin)) * 1000;
}

const { url, child } = await startServer(process.argv[2]);
child.removeAllListeners('exit');
try {
  await prefillRate(url, { promptTokens: 64 }, 1);
  const figures = {
    decode: await decodeRate(url, workload.decode, 2),
    // Two runs each where the peers have two; prompts differ, so that no prefix cache could help.
    prefill: Math.max(await prefillRate(url, workload.prefill, 3), await prefillRate(url, workload.prefill, 4)),
    parallel: await parallelRate(url, workload.parallel, 5),
  };
  console.log(JSON.stringify({ name: 'jsg over HTTP', ...figures }));
} finally {
  child.kill('SIGTERM');
}
