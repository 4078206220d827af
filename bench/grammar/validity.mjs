// Whether answers that follow a schema hold to it: random schemas, each with several seeds, against a running server;
// an independent validator judges what finished, and what was cut must say so:
//   node bench/grammar/validity.mjs URL [--schemas 300] [--seeds 2] [--tokens 400] [--streams 8]
// Exits with 1 where a finished answer is not valid, or a request failed.
import { parseArgs } from 'node:util';
import Ajv from 'ajv/dist/2020.js';
import { randomSchema } from './schemas.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    schemas: { type: 'string', default: '300' },
    seeds: { type: 'string', default: '2' },
    tokens: { type: 'string', default: '400' },
    streams: { type: 'string', default: '8' },
  },
});
const [url] = positionals;
const [numSchemas, numSeeds, maxTokens, numStreams] = [values.schemas, values.seeds, values.tokens, values.streams].map(
  Number,
);
const ajv = new Ajv({ strict: false, validateFormats: false });
const counts = { finished: 0, valid: 0, cut: 0, failed: 0 };

async function judge(index) {
  const schema = randomSchema(Math.floor(index / numSeeds));
  const seed = index % numSeeds;
  const body = {
    messages: [{ role: 'user', content: 'Give me an example record as JSON.' }],
    response_format: { type: 'json_schema', json_schema: { name: 'record', schema } },
    max_tokens: maxTokens,
    temperature: 1,
    seed,
  };
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(`${url}/v1/chat/completions`, { method: 'POST', headers, body: JSON.stringify(body) });
  const json = await response.json();
  if (!response.ok) {
    counts.failed += 1;
    console.log(`schema ${index}: ${response.status} ${json.error?.message}\n  ${JSON.stringify(schema)}`);
    return;
  }
  const [{ message, finish_reason: reason }] = json.choices;
  // What max_tokens ends is closed in time where that is possible, and is whole then.
  if (reason === 'length' && json.usage.completion_tokens >= maxTokens) {
    counts.cut += 1;
    return;
  }
  counts.finished += 1;
  let isValid = false;
  try {
    isValid = (reason === 'stop' || reason === 'length') && ajv.validate(schema, JSON.parse(message.content));
  } catch {
    // No JSON: not valid.
  }
  if (isValid) {
    counts.valid += 1;
    return;
  }
  console.log(`schema ${index}: ${reason}, ${ajv.errorsText()}\n  ${JSON.stringify(schema)}\n  ${message.content}`);
}

const indices = Array.from({ length: numSchemas * numSeeds }, (_, index) => index).values();
await Promise.all(
  Array.from({ length: numStreams }, async () => {
    for (const index of indices) await judge(index);
  }),
);
const { finished, valid, cut, failed } = counts;
console.log(`${valid} of ${finished} finished answers are valid; ${cut} were cut by max_tokens, ${failed} failed`);
process.exitCode = valid === finished && failed === 0 ? 0 : 1;
