// Throughput on the CPU beside llama.cpp: the contenders take turns, one process each and never two at a time.
//
//   node bench/peers/cpu.mjs MODEL.gguf [--rounds 3] [--python build/peers/bin/python] [--only jsg|llama-cpp-python|node-llama-cpp]
//
// Set up once, outside the product's dependencies:
//   python3 -m venv build/peers && build/peers/bin/pip install -r bench/peers/requirements.txt
//   npm --prefix bench/peers install --ignore-scripts --no-package-lock
import { spawnSync } from 'node:child_process';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '3' },
    python: { type: 'string', default: here('../../build/peers/bin/python') },
    only: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});
const [modelPath] = positionals;
if (!modelPath) {
  console.error('usage: node bench/peers/cpu.mjs MODEL.gguf [--rounds 3] [--python PATH] [--only NAME] [--json]');
  process.exit(2);
}

const CONTENDERS = {
  'llama-cpp-python': [values.python, here('llama_cpp_python.py')],
  'node-llama-cpp': [process.execPath, here('node_llama_cpp.mjs')],
  jsg: [process.execPath, here('jsg.mjs')],
};
const METRICS = { decode: 'decode, 1 stream', prefill: 'prefill, 512 tokens', parallel: 'decode, 8 streams' };

if (values.only && !Object.hasOwn(CONTENDERS, values.only)) {
  console.error(`--only takes one of ${Object.keys(CONTENDERS).join(', ')}, not ${values.only}`);
  process.exit(2);
}
const names = Object.keys(CONTENDERS).filter((name) => !values.only || name === values.only);
const figures = Object.fromEntries(names.map((name) => [name, []]));
for (let round = 1; round <= Number(values.rounds); round++) {
  for (const name of names) {
    const [command, script] = CONTENDERS[name];
    const result = spawnSync(command, [script, modelPath], { encoding: 'utf8', maxBuffer: 2 ** 26 });
    if (result.error || result.status !== 0) {
      console.error(`${name} failed: ${result.error ?? result.stderr}`);
      process.exit(1);
    }
    const figure = JSON.parse(result.stdout.trim().split('\n').at(-1));
    figures[name].push(figure);
    const rates = Object.keys(METRICS).map((metric) => `${metric} ${figure[metric].toFixed(1)}`);
    console.error(`round ${round}  ${name.padEnd(18)} ${rates.join('  ')} tok/s`);
  }
}

const median = (numbers) => {
  const sorted = [...numbers].sort((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
};
const medianOf = (name, metric) => median(figures[name].map((figure) => figure[metric]));
const peers = names.filter((name) => name !== 'jsg');

/** `ratio`: median to the faster peer's median. `floor`: median to the best single round of any peer, the strictest view. */
const rows = Object.entries(METRICS).map(([metric, label]) => {
  const row = { what: label };
  for (const name of names) row[name] = Number(medianOf(name, metric).toFixed(1));
  if (peers.length > 0 && names.includes('jsg')) {
    const best = Math.max(...peers.flatMap((name) => figures[name].map((figure) => figure[metric])));
    row.ratio = Number((row.jsg / Math.max(...peers.map((name) => row[name]))).toFixed(2));
    row.floor = Number((row.jsg / best).toFixed(2));
  }
  return row;
});
if (values.json) console.log(JSON.stringify({ cpu: cpus()[0].model, rounds: figures, median: rows }, null, 2));
else {
  console.log(`\nMedian of ${values.rounds} rounds, tokens a second; ${cpus()[0].model}, 2 threads`);
  console.table(rows);
}
