// Tokens a second of n streams that follow a grammar, beside the same streams without one, over HTTP:
//   node bench/grammar/throughput.mjs URL [--streams 8] [--tokens 200] [--rounds 5]
// Rounds take turns; the grammars allow texts that never end, so that all say as much, and nothing is forced.
import { parseArgs } from 'node:util';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    streams: { type: 'string', default: '8' },
    tokens: { type: 'string', default: '200' },
    rounds: { type: 'string', default: '5' },
  },
});
const [url] = positionals;
const [streams, tokens, rounds] = [values.streams, values.tokens, values.rounds].map(Number);

const SCHEMA = { type: 'array', items: { type: 'string' }, minItems: 1000 };
const KINDS = {
  free: {},
  'json schema': { response_format: { type: 'json_schema', json_schema: { name: 'x', schema: SCHEMA } } },
  regex: { regex: '[A-Za-z ,.]+' },
};

async function run(kind, seed) {
  const body = {
    messages: [{ role: 'user', content: 'Tell me a long story.' }],
    max_tokens: tokens,
    min_tokens: tokens,
    temperature: 0.8,
    seed,
    ...KINDS[kind],
  };
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(`${url}/v1/chat/completions`, { method: 'POST', headers, body: JSON.stringify(body) });
  const json = await response.json();
  if (!response.ok) throw new Error(JSON.stringify(json));
  return json.usage.completion_tokens;
}

const rates = Object.fromEntries(Object.keys(KINDS).map((kind) => [kind, []]));
for (let round = -1; round < rounds; round++) {
  for (const kind of Object.keys(KINDS)) {
    const started = performance.now();
    const counts = await Promise.all(Array.from({ length: streams }, (_, seed) => run(kind, seed)));
    const rate = counts.reduce((sum, count) => sum + count, 0) / ((performance.now() - started) / 1000);
    if (round >= 0) rates[kind].push(rate);
  }
}
const median = (list) => [...list].sort((a, b) => a - b)[list.length >> 1];
const free = median(rates.free);
for (const [kind, list] of Object.entries(rates)) {
  console.log(`${kind}: ${median(list).toFixed(1)} tokens/s, ${((100 * median(list)) / free).toFixed(1)} % of free`);
}
