// llama.cpp through node-llama-cpp, in this process: decode, prefill and parallel streams of one GGUF.
//
//   node bench/peers/node_llama_cpp.mjs MODEL.gguf        prints one JSON line: tokens a second of each
//
// The prebuilt binary picks its CPU variant at run time. Flash attention on and off are both measured and the better one
// counts for each figure.
import { readFileSync } from 'node:fs';
import { getLlama } from 'node-llama-cpp';

const workload = JSON.parse(readFileSync(new URL('workload.json', import.meta.url), 'utf8'));
const VOCAB = 49152;

/** The same ids for every contender. */
const prompt = (numTokens, stream) =>
  Array.from({ length: numTokens }, (_, i) => 1000 + ((i * 7919 + stream * 104729) % (VOCAB - 1000)));

/** Reads `count` greedy tokens of one sequence; resolves with the times of the first and the last. */
async function take(sequence, ids, count) {
  let first = 0;
  let taken = 0;
  for await (const _ of sequence.evaluate(ids, { temperature: 0, yieldEogToken: true })) {
    if (taken++ === 0) first = performance.now();
    if (taken === count) break;
  }
  return { first, last: performance.now(), taken };
}

async function withContext(model, flashAttention, streams, contextSize, act) {
  const context = await model.createContext({
    sequences: streams,
    contextSize,
    batchSize: 512,
    flashAttention,
    threads: { ideal: workload.threads, min: workload.threads },
  });
  const result = await act(Array.from({ length: streams }, () => context.getSequence()));
  await context.dispose();
  return result;
}

async function measure(model, flash) {
  const { decode, prefill, parallel } = workload;
  const figures = {};
  await withContext(model, flash, 1, 1024, async ([sequence]) => {
    await sequence.evaluateWithoutGeneratingNewTokens(prompt(64, 1));
    await sequence.clearHistory();
    const { first, last, taken } = await take(sequence, prompt(decode.promptTokens, 0), decode.newTokens);
    figures.decode = ((taken - 1) / (last - first)) * 1000;
    const runs = [];
    for (let i = 0; i < 2; i++) {
      await sequence.clearHistory();
      const begin = performance.now();
      await sequence.evaluateWithoutGeneratingNewTokens(prompt(prefill.promptTokens, 0));
      runs.push((prefill.promptTokens / (performance.now() - begin)) * 1000);
    }
    figures.prefill = Math.max(...runs);
  });
  await withContext(model, flash, parallel.streams, 256, async (sequences) => {
    const runs = await Promise.all(
      sequences.map((sequence, i) => take(sequence, prompt(parallel.promptTokens, i), parallel.newTokens)),
    );
    // From the moment every stream has its first token, as the other contenders count.
    const begin = Math.max(...runs.map((run) => run.first));
    const end = Math.max(...runs.map((run) => run.last));
    figures.parallel = ((parallel.streams * (parallel.newTokens - 1)) / (end - begin)) * 1000;
  });
  return figures;
}

const llama = await getLlama({ gpu: false, build: 'never', logLevel: 'error', maxThreads: workload.threads });
const model = await llama.loadModel({ modelPath: process.argv[2], gpuLayers: 0 });
const flash = await measure(model, true);
const plain = await measure(model, false);
const best = Object.fromEntries(Object.keys(flash).map((key) => [key, Math.max(flash[key], plain[key])]));
console.log(JSON.stringify({ name: 'llama.cpp (node-llama-cpp 3.22.1)', ...best, detail: { flash, plain } }));
await model.dispose();
process.exit(0);
