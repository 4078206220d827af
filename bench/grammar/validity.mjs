// Whether answers that follow a schema hold to it: random schemas, each with several seeds, against a running server; an
// independent validator judges what finished and what was closed in time (its reason is `length`, and it parses). What
// does not parse must have had all of its tokens:
//   node bench/grammar/validity.mjs URL [--schemas 300] [--seeds 2] [--tokens 400] [--streams 8]
// Exits with 1 where a whole answer is not valid, or a request failed.
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
const counts = { finished: 0, closed: 0, cut: 0, invalid: 0, failed: 0 };

/** What kind of answer it is, one of the keys of `counts`, and what is wrong with it. */
function kindOf(schema, { choices: [{ message, finish_reason: reason }], usage }) {
  let value;
  try {
    value = JSON.parse(message.content);
  } catch (error) {
    // A schema's root is an object: of that no beginning parses.
    if (reason === 'length' && usage.completion_tokens >= maxTokens) return ['cut'];
    return ['invalid', `${reason} after ${usage.completion_tokens} tokens, ${error.message}`];
  }
  if (!ajv.validate(schema, value)) return ['invalid', ajv.errorsText()];
  if (reason === 'stop') return ['finished'];
  return reason === 'length' ? ['closed'] : ['invalid', reason];
}

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
  const [kind, fault] = kindOf(schema, json);
  counts[kind] += 1;
  if (!fault) return;
  console.log(`schema ${index}: ${fault}\n  ${JSON.stringify(schema)}\n  ${json.choices[0].message.content}`);
}

const indices = Array.from({ length: numSchemas * numSeeds }, (_, index) => index).values();
await Promise.all(
  Array.from({ length: numStreams }, async () => {
    for (const index of indices) await judge(index);
  }),
);
const { finished, closed, cut, invalid, failed } = counts;
const whole = finished + closed;
console.log(
  `${whole} of ${whole + invalid} whole answers are valid, ${closed} of them closed in time; ` +
    `${cut} were cut by max_tokens, ${failed} failed`,
);
process.exitCode = whole > 0 && invalid === 0 && failed === 0 ? 0 : 1;
