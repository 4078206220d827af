// Run by runtime-exit.test.ts: ends the process in the way it is told, in the middle of something.
// Arguments: addon, way, small spec, large spec, sampling (JSON).
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { isMainThread, threadId, Worker, workerData } from 'node:worker_threads';

const [addon, way, small, large, sampling] = isMainThread ? process.argv.slice(2) : workerData;
const binding = createRequire(import.meta.url)(addon);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const start = (spec, onStep = () => {}) => binding.createRuntime(JSON.parse(spec), onStep, () => {});
const submit = (runtime, maxNewTokens) =>
  runtime.submit({
    id: 1,
    promptIds: Int32Array.of(1, 2, 3),
    maxNewTokens,
    minNewTokens: 0,
    stopTokenIds: new Int32Array(0),
    sampling: JSON.parse(sampling),
    promptLogprobs: false,
    cacheSalt: 0,
    priority: 0,
  });
const worker = (name) => new Worker(new URL(import.meta.url), { workerData: [addon, name, small, large, sampling] });

/** These begin again when they are done. */
async function quantize() {
  const scheme = { bits: 4, groupSize: 32, method: 'hqq', biased: false };
  const matrix = { dtype: 'F32', offset: 0, rows: 1024, cols: 4096, scheme, numThreads: 2 };
  for (;;) await binding.quantizeMatrix({ path: process.execPath, ...matrix });
}

async function save() {
  const runtime = await start(small);
  for (let i = 0; ; i++) {
    const path = join(process.env.FOLDER, `session-${threadId}-${i}`);
    await runtime.saveCache({ path, header: new Uint8Array(1e6) });
  }
}

async function compile() {
  if (!binding.hasGrammars) return sleep(1e6);
  const numbers = Int32Array.from({ length: 256 }, (_, i) => i);
  const compiler = await binding.createGrammarCompiler({
    bytes: Uint8Array.from(numbers),
    ends: numbers.map((i) => i + 1),
    vocabSize: 512,
    stopTokenIds: Int32Array.of(0),
    merges: new Int32Array(0),
    byteIds: numbers,
    startsWithCharacters: false,
  });
  for (let i = 0; ; i++) {
    const sources = Array.from({ length: 8 }, (_, j) => `${i} ${j} (a|b){1,3000}`);
    await Promise.all(
      sources.map((text) => compiler.compile({ kind: 'regex', text, strict: true, anyOrder: false }).catch(() => {})),
    );
  }
}

async function exitDuring(_work, afterMs) {
  await sleep(afterMs);
  process.exit(7);
}

const endless = {
  quantize,
  save,
  compile,
  work: async () => {
    const runtime = await start(small);
    submit(runtime, 900);
    await sleep(1e6);
  },
  load: async () => {
    await start(large);
    await sleep(1e6);
  },
};

const ways = {
  'exit while loading': async () => {
    void start(large);
    await sleep(30);
    process.exit(7);
  },
  'exit while running': async () => {
    submit(await start(small), 900);
    await sleep(3);
    process.exit(7);
  },
  'exit in a listener': async () => {
    const runtime = await start(small, () => process.exit(7));
    submit(runtime, 900);
  },
  'exit while stopping': async () => {
    const runtime = await start(small);
    submit(runtime, 900);
    void runtime.stop();
    process.exit(7);
  },
  'exit while measuring': () => exitDuring(binding.measureReadBandwidth('cpu', 2e8, 1), 20),
  'exit while quantising': () => exitDuring(quantize(), 20),
  'exit while saving': () => exitDuring(save(), 60),
  'exit while compiling': () => exitDuring(compile(), 300),
  'end idle': async () => {
    await start(small);
  },
  'end after stop': async () => {
    const runtime = await start(small);
    submit(runtime, 900);
    await runtime.stop();
  },
  'end after the last token': async () => {
    let numTokens = 0;
    process.on('exit', () => process.stdout.write(`${numTokens} tokens`));
    const runtime = await start(small, (_events, numEvents) => {
      numTokens += numEvents;
    });
    submit(runtime, 20);
  },
  'throw in a listener': async () => {
    process.on('uncaughtException', ({ message }) => {
      process.stdout.write(`caught ${message}`);
      process.exit(7);
    });
    const runtime = await start(small, () => {
      throw new Error('mine');
    });
    submit(runtime, 20);
  },
  'terminate workers': async () => {
    for (const name of [
      'exit while running',
      'exit in a listener',
      'work',
      'load',
      'quantize',
      'save',
      'compile',
      'end idle',
      'end after stop',
    ]) {
      const running = worker(name);
      const ended = new Promise((resolve) => running.once('exit', resolve));
      if (name in endless) {
        await sleep(name === 'compile' ? 300 : 100);
        await running.terminate();
      }
      await ended;
    }
    process.stdout.write('all gone');
  },
  ...endless,
};
await ways[way]();
