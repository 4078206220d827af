/**
 * Every place inside of requests, with every kind of value that does not belong there: 200 or a 400 that names the place, never
 * a 5xx; and what is taken is what the description of the API allows.
 */
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { log } from '../../../src/log.js';
import { type FieldPath, jsonWith, postRoutes } from './post-routes.js';
import { type Json, testApp } from './test-app.js';

const { app, post, runtime } = testApp({ delayMs: null, server: { contextLength: 4096 }, totalTokens: 4096 });
const PARAMETERS = { type: 'object', properties: { a: { type: 'string' } } };
const WEATHER = { name: 'f', description: 'x', strict: true };
const CALL = { id: 'c', type: 'function', function: { name: 'f', arguments: '{}' } };
const SAMPLING = {
  ...{ temperature: 0, top_p: 1, top_k: 1, min_p: 0, seed: 1, frequency_penalty: 0, presence_penalty: 0 },
  ...{ repetition_penalty: 1, logit_bias: { '5': 1 }, stop_token_ids: [7], ignore_eos: false, n: 1, priority: 0 },
  ...{ skip_special_tokens: true, timeout: 20 },
};
const REST = { ...SAMPLING, stop: ['zz'], rid: 'r', model: 'm', min_tokens: 0, stream: false };
const text = (type: string) => [{ type, text: 'Hi' }];

/** Bodies that say much, and which of their fields are tried; by default all. */
const BODIES: [path: string, body: Json, fields?: string[]][] = [
  [
    '/v1/chat/completions',
    {
      ...REST,
      messages: [
        { role: 'system', content: 's', name: 'n' },
        { role: 'user', content: text('text') },
        { role: 'assistant', content: null, reasoning_content: 'r', tool_calls: [CALL] },
        { role: 'tool', tool_call_id: 'c', content: 'x' },
      ],
      tools: [{ type: 'function', function: { ...WEATHER, parameters: PARAMETERS } }],
      ...{ parallel_tool_calls: true, logprobs: true, max_tokens: 2, max_completion_tokens: 2 },
      ...{ chat_template_kwargs: { enable_thinking: true }, reasoning_effort: 'low', separate_reasoning: true },
    },
  ],
  [
    '/v1/chat/completions',
    {
      messages: [{ role: 'user', content: 'Hi' }],
      tools: [{ type: 'function', function: { name: 'f' } }],
      tool_choice: { type: 'function', function: { name: 'f' } },
    },
    ['tool_choice'],
  ],
  ['/v1/completions', { ...REST, prompt: 'Hi', max_tokens: 2, best_of: 1, logprobs: 1, echo: true }],
  ['/v1/completions', { prompt: ['a', 'b'] }],
  ['/v1/completions', { prompt: [[1], [2]] }],
  [
    '/v1/responses',
    {
      ...REST,
      input: [
        { type: 'message', role: 'user', content: text('input_text') },
        { type: 'reasoning', summary: text('summary_text'), content: text('reasoning_text') },
        { type: 'function_call', call_id: 'c', name: 'f', arguments: '{}' },
        { type: 'function_call_output', call_id: 'c', output: 'x' },
      ],
      tools: [{ type: 'function', ...WEATHER, parameters: PARAMETERS }],
      ...{ instructions: 'i', store: false, include: ['x'], text: { format: { type: 'text' } }, max_output_tokens: 2 },
      ...{ parallel_tool_calls: true, reasoning: { effort: 'low' }, truncation: 'auto', metadata: { a: 'b' } },
    },
  ],
  ['/v1/responses/input_tokens', { input: 'Hi', tools: [{ type: 'function', name: 'f' }], tool_choice: 'auto' }],
  [
    '/v1/messages',
    {
      ...{ ...REST, stop: undefined, n: undefined },
      messages: [
        { role: 'user', content: text('text') },
        {
          role: 'assistant',
          content: [
            { type: 'thinking', thinking: 't', signature: '' },
            { type: 'tool_use', id: 'c', name: 'f', input: {} },
          ],
        },
        {
          role: 'user',
          content: [{ type: 'tool_result', tool_use_id: 'c', content: text('text'), is_error: false }],
        },
      ],
      tools: [{ type: 'custom', ...WEATHER, input_schema: PARAMETERS }],
      tool_choice: { type: 'auto', disable_parallel_tool_use: true },
      ...{ max_tokens: 2, stop_sequences: ['zz'], system: text('text'), output_config: { effort: 'low' } },
      thinking: { type: 'enabled', budget_tokens: 5 },
    },
  ],
  [
    '/v1/messages/count_tokens',
    { messages: [{ role: 'user', content: 'x' }], tools: [{ name: 'f', input_schema: PARAMETERS }], system: 's' },
  ],
  [
    '/generate',
    {
      text: 'Hi',
      sampling_params: { ...SAMPLING, max_new_tokens: 2, min_new_tokens: 0, sampling_seed: 1 },
      ...{ return_logprob: true, logprob_start_len: 0, top_logprobs_num: 1, return_text_in_logprobs: true, rid: 'r' },
    },
  ],
  ['/generate', { input_ids: [[1], [2]], rid: ['a', 'b'] }, ['input_ids']],
  ['/generate', { text: ['a', 'b'], sampling_params: [{}, { max_new_tokens: 2 }] }, ['sampling_params']],
  ['/tokenize', { prompt: 'x', add_special_tokens: true, return_token_strs: true, tools: [] }],
  ['/v1/tokenize', { messages: [{ role: 'user', content: 'x' }], add_generation_prompt: true }],
  ['/detokenize', { tokens: [1, 2], skip_special_tokens: true }],
  ['/v1/detokenize', { tokens: [[1], [2]] }],
  ['/abort_request', { rid: 'nobody', abort_all: true }],
];

const HOSTILE = [
  ...['null', 'true', 'false', '0', '-1', '1.5', '1e400', '2147483648', '""', '"x"', '"__proto__"', '"\\ud800"'],
  ...['[]', '[null]', '[1]', '["x"]', '[[]]', '[{}]', '{}', '{"a":1}', '{"type":"x"}', '{"__proto__":{"a":1}}'],
];

function placesIn(value: Json, path: FieldPath = []): FieldPath[] {
  if (typeof value !== 'object' || value === null) return [path];
  const inside = Object.keys(value).flatMap((key) =>
    placesIn(value[key], [...path, Array.isArray(value) ? Number(key) : key]),
  );
  return path.length === 0 ? inside : [path, ...inside];
}

/** Whether the error is named for the place, or for what it makes wrong elsewhere. */
function names(param: string | null, place: FieldPath): boolean {
  if (param === null) return false;
  const [full, around] = [place.join('.'), place.slice(0, -1).join('.')];
  const isThere = full === param || full.startsWith(`${param}.`) || param.startsWith(`${full}.`);
  // A call that has another id now, and one of two fields of which a request needs one.
  const isAnswer = /tool_use_id$|call_id$/.test(param) || (place.length < 3 && /^(rid|text|prompt)$/.test(param));
  // Of lists that must be alike the first decides what the others are to be, as a type does.
  const isBeside = (typeof place.at(-1) === 'number' || place.at(-1) === 'type') && param.startsWith(around);
  return isThere || isAnswer || isBeside;
}

let validators: Map<string, ValidateFunction>;
beforeAll(async () => {
  vi.spyOn(log, 'warning').mockImplementation(() => {});
  const document: Json = await (await app.request('/openapi.json')).json();
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  ajv.addSchema(document, 'api');
  validators = new Map(
    postRoutes().map((path) => {
      const { $ref } = document.paths[path].post.requestBody.content['application/json'].schema;
      return [path, ajv.getSchema(`api${$ref}`) as ValidateFunction];
    }),
  );
});
afterAll(() => {
  vi.restoreAllMocks();
  expect(runtime.numLive).toBe(0);
});

it('tries every route that takes a body', () => {
  expect([...new Set(BODIES.map(([path]) => path))].sort()).toEqual(postRoutes().sort());
});

describe.each(BODIES)('%s', (path, body, fields) => {
  it('takes or refuses what is no value of a place', { timeout: 60_000 }, async () => {
    const places = placesIn(JSON.parse(JSON.stringify(body)));
    for (const place of places.filter(([field]) => fields === undefined || fields.includes(field as string))) {
      for (const value of HOSTILE) {
        const sent = jsonWith(body, place, value);
        const response = await post(path, sent);
        const answer = await response.text();
        const what = `${place.join('.')} = ${value}: ${response.status} ${answer.slice(0, 200)}`;
        expect([200, 400], what).toContain(response.status);
        if (response.status === 400) expect(names(JSON.parse(answer).error.param, place), what).toBe(true);
        else if (!/1e400|__proto__/.test(value)) expect(validators.get(path)?.(JSON.parse(sent)), what).toBe(true);
      }
    }
  });
});
