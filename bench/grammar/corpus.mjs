// A corpus of JSON schemas with valid and invalid instances, offline and without a model: each schema is compiled as a
// request's would be, and each instance walked through it token by token.
//   node bench/grammar/corpus.mjs DIRECTORY --model MODEL.gguf [--out results.json] [--limit N [--seed S]] [--strict]
//     [--plain PYTHON: the plain xgrammar package of that Python, on the same schemas, instances and vocabulary]
// DIRECTORY: JSON files of {"schema", "tests": [{"valid", "data"}]}, as JSONSchemaBench's maskbench/data has them. Nothing of it
// is kept here.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { loadBinding } from '../../dist/addon/binding.js';
import { loadModel } from '../../dist/model/load.js';
import { normalizeSchema } from '../../dist/server/grammar/json-schema.js';
import { numbers } from './schemas.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    model: { type: 'string' },
    out: { type: 'string' },
    limit: { type: 'string', default: '0' },
    seed: { type: 'string' },
    strict: { type: 'boolean', default: false },
    plain: { type: 'string' },
  },
});
const [directory] = positionals;
const names = readdirSync(directory)
  .filter((name) => name.endsWith('.json'))
  .sort();
const files = sample(names, Number(values.limit), values.seed);

/** Evenly over the corpus, or at random. */
function sample(all, limit, seed) {
  if (limit === 0) return all;
  if (seed === undefined) {
    const step = Math.max(1, Math.floor(all.length / limit));
    return all.filter((_, index) => index % step === 0);
  }
  const random = numbers(Number(seed));
  const keyed = all.map((name) => [random(), name]).sort(([a], [b]) => a - b);
  return keyed.slice(0, limit).map(([, name]) => name);
}

const { tokenizer, weights, eosTokenIds } = await loadModel({ model: values.model, loadFormat: 'auto' });
const { vocabSize } = weights.config;
const vocabulary = tokenizer.vocabulary({ vocabSize, stopTokenIds: eosTokenIds });
const binding = await loadBinding();
const compiler = await binding.createGrammarCompiler(vocabulary);
const [eos] = eosTokenIds;

function read(name) {
  const { schema, tests } = JSON.parse(readFileSync(join(directory, name), 'utf8'));
  return {
    schema,
    tests: tests.map(({ valid, data }) => ({ valid, text: JSON.stringify(data), tokens: encode(data) })),
  };
}

function encode(data) {
  return [...tokenizer.encode(JSON.stringify(data), { addSpecialTokens: false, parseSpecial: false }), eos];
}

async function compile(schema) {
  const started = performance.now();
  try {
    const text = JSON.stringify(normalizeSchema(schema, { strict: values.strict, param: 'schema' }));
    const source = { kind: 'json_schema', text, strict: values.strict, anyOrder: false };
    const { grammar } = await compiler.compile(source);
    return { grammar, ms: performance.now() - started };
  } catch (error) {
    return { error: `${error.code}: ${error.message}`, ms: performance.now() - started };
  }
}

/** A grammar that cannot be followed within limits accepts nothing. */
function follow(grammar, tokens, result) {
  try {
    return compiler.follow(grammar, Int32Array.from(tokens));
  } catch (error) {
    result.limit = error.message;
    return { isDone: false, fillUs: [] };
  }
}

const fills = [];
const results = {};
const encoded = {};
for (const name of files) {
  const { schema, tests } = read(name);
  encoded[name] = tests.map(({ tokens }) => tokens);
  const { grammar, error, ms } = await compile(schema);
  const result = { ms, error, wronglyAccepted: 0, wronglyRejected: 0 };
  for (const { valid, tokens } of grammar ? tests : []) {
    const { isDone, fillUs } = follow(grammar, tokens, result);
    for (const us of fillUs) if (us > 0) fills.push(us);
    if (isDone && !valid) result.wronglyAccepted++;
    if (!isDone && valid) result.wronglyRejected++;
  }
  results[name] = { ...result, passes: grammar !== undefined && result.wronglyAccepted + result.wronglyRejected === 0 };
}
compiler.stop();

const percentile = (sorted, p) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))] ?? 0;
function summarize(all) {
  const list = Object.values(all);
  const times = list.map(({ ms }) => ms).sort((a, b) => a - b);
  return {
    schemas: list.length,
    pass: list.filter(({ passes }) => passes).length,
    notCompiled: list.filter(({ error }) => error).length,
    withWronglyAccepted: list.filter(({ wronglyAccepted }) => wronglyAccepted > 0).length,
    withWronglyRejected: list.filter(({ wronglyRejected }) => wronglyRejected > 0).length,
    compileMs: {
      p50: percentile(times, 0.5),
      p90: percentile(times, 0.9),
      p99: percentile(times, 0.99),
      max: times.at(-1),
    },
  };
}

const report = { vocabSize, jsg: summarize(results) };
fills.sort((a, b) => a - b);
report.maskUs = { steps: fills.length, p50: percentile(fills, 0.5), p99: percentile(fills, 0.99), max: fills.at(-1) };

const writeOut = () => {
  if (values.out) writeFileSync(values.out, JSON.stringify({ report, results, plain }, null, 1));
};
let plain = null;
writeOut();
if (values.plain) {
  const work = mkdtempSync(join(tmpdir(), 'jsg-corpus-'));
  const input = join(work, 'input.json');
  const output = join(work, 'output.json');
  const tokens = Array.from(vocabulary.ends, (end, id) =>
    Buffer.from(vocabulary.bytes.subarray(id === 0 ? 0 : vocabulary.ends[id - 1], end)).toString('latin1'),
  );
  writeFileSync(input, JSON.stringify({ directory, files, tokens, vocabSize, eos, encoded }));
  const script = fileURLToPath(new URL('plain_xgrammar.py', import.meta.url));
  const { status } = spawnSync(values.plain, [script, input, output], { stdio: ['ignore', 'inherit', 'inherit'] });
  if (status !== 0) process.exit(1);
  const runs = JSON.parse(readFileSync(output, 'utf8'));
  rmSync(work, { recursive: true });
  plain = runs;
  report.plain = Object.fromEntries(Object.entries(runs).map(([mode, all]) => [mode, summarize(all)]));
}
console.log(JSON.stringify(report, null, 2));
writeOut();
