/** The description of the API: valid by an independent judge, complete, and what the server really takes and gives. */
import { Validator } from '@seriousme/openapi-schema-validator';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { log } from '../../../src/log.js';
import { ROUTES } from '../../../src/server/app.js';
import { bytesOf, EOS } from './fake-model.js';
import { BODIES, postRoutes } from './post-routes.js';
import { CHAT, type Json, parseEvents, says, type TestApp, testApp, typedEvents } from './test-app.js';

const CALL = '<tool_call>\n{"name": "f", "arguments": {"a": 1}}\n</tool_call>';
const PARAMETERS = { type: 'object', properties: {} };
const TOOL = { type: 'function', function: { name: 'f', description: 'x', parameters: PARAMETERS } };

let served: TestApp;
let document: Json;
let ajv: Ajv2020;

beforeAll(async () => {
  served = testApp({
    script: () => [...bytesOf(`<think>Hm.</think>\n\nHello ${CALL}`), EOS],
    delayMs: null,
    server: { reasoningParser: 'qwen3', toolCallParser: 'qwen25' },
  });
  await served.app.lifecycle.warmUp();
  document = await (await served.app.request('/openapi.json')).json();
  ajv = new Ajv2020({ strict: false, validateFormats: false });
  ajv.addSchema(document, 'api');
  ajv.addSchema({ ...document, components: { schemas: closed(document.components.schemas) } }, 'whole');
});

/** The same schemas, which allow no property that they do not name. */
function closed(schema: Json): Json {
  if (Array.isArray(schema)) return schema.map(closed);
  if (typeof schema !== 'object' || schema === null) return schema;
  const copy = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, closed(value)]));
  return schema.properties && !('additionalProperties' in schema) ? { ...copy, additionalProperties: false } : copy;
}

/** What is wrong with a value by a schema of the document, which is at this place in it. */
function faults(api: 'api' | 'whole', value: unknown, ...place: string[]): string {
  const pointer = place.map((part) => encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'))).join('/');
  const validate = ajv.getSchema(`${api}#/${pointer}`);
  if (!validate) throw new Error(`no schema at ${pointer}`);
  return validate(value) ? '' : ajv.errorsText(validate.errors);
}

const bodyOf = (path: string, value: unknown) =>
  faults('api', value, 'paths', path, 'post', 'requestBody', 'content', 'application/json', 'schema');
const answerOf = (path: string, value: unknown, { method = 'post', type = 'application/json', status = '200' } = {}) =>
  faults('whole', value, 'paths', path, method, 'responses', status, 'content', type, 'schema');

it('is valid OpenAPI 3.1', async () => {
  const validator = new Validator();
  const { valid, errors } = await validator.validate(structuredClone(document));
  expect(valid, JSON.stringify(errors)).toBe(true);
  expect(validator.version).toBe('3.1');
});

it('tells its operations apart', () => {
  const operations = Object.values<Json>(document.paths).flatMap((item) => Object.values<Json>(item));
  const ids = operations.map(({ operationId }) => operationId);
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids).toEqual(expect.arrayContaining(['get_v1_models', 'get_v1_models_model', 'post_v1_chat_completions']));
});

it('names every route with each of its methods, and nothing else', () => {
  const listed = Object.entries<object>(document.paths).flatMap(([path, item]) =>
    Object.keys(item).map((method) => `${method} ${path}`),
  );
  const real = ROUTES.flatMap(([methods, path]) =>
    methods.map((method) => `${method.toLowerCase()} ${path.replace('*', '{model}').replace(/:(\w+)/, '{$1}')}`),
  );
  expect(listed.sort()).toEqual(real.sort());
});

it('has no schema that allows everything where something is meant', () => {
  for (const [name, { properties }] of Object.entries<Json>(document.components.schemas)) {
    if (!/Request$/.test(name)) continue;
    for (const [field, schema] of Object.entries(properties)) {
      expect(Object.keys(schema as object).length, `${name}.${field}`).toBeGreaterThan(0);
    }
  }
  const { temperature, max_tokens: maxTokens, stop } = document.components.schemas.ChatCompletionRequest.properties;
  expect(JSON.stringify(temperature)).toContain('"maximum":2');
  expect(JSON.stringify(maxTokens)).toContain('"integer"');
  expect(JSON.stringify(stop)).toContain('"maxItems":16');
  expect(document.components.schemas.MessageRequest.required).toEqual(
    expect.arrayContaining(['max_tokens', 'messages']),
  );
});

describe('describes what is really taken and given', () => {
  it.each<[string, object]>([
    ['/v1/chat/completions', CHAT],
    ['/v1/chat/completions', { ...CHAT, tools: [TOOL], logprobs: true, top_logprobs: 2, n: 2, stop: ['x'], seed: 5 }],
    ['/v1/completions', { prompt: 'Hi', logprobs: 2, echo: true, logit_bias: { '5': 1 } }],
    ['/v1/completions', { prompt: [[1, 2], [3]], max_tokens: 4 }],
    [
      '/v1/responses',
      { input: 'Hi', tools: [{ type: 'function', name: 'f', parameters: PARAMETERS }], metadata: { a: 'b' } },
    ],
    [
      '/v1/responses',
      { input: [{ role: 'user', content: [{ type: 'input_text', text: 'x' }] }], max_output_tokens: 2 },
    ],
    [
      '/v1/messages',
      { max_tokens: 90, messages: [{ role: 'user', content: 'Hi' }], tools: [{ name: 'f', input_schema: PARAMETERS }] },
    ],
    ['/v1/responses/input_tokens', { input: 'Hi', instructions: 'Be brief.' }],
    ['/v1/messages/count_tokens', { messages: [{ role: 'user', content: [{ type: 'text', text: 'x' }] }] }],
    ['/generate', { text: 'Hi', sampling_params: { max_new_tokens: 4 } }],
    ['/generate', { input_ids: [[1], [2]], return_logprob: true, top_logprobs_num: 1, sampling_params: [{}, {}] }],
    ['/tokenize', { prompt: 'Hi', return_token_strs: true }],
    ['/v1/tokenize', { prompt: ['Hi', 'you'] }],
    ['/detokenize', { tokens: [1, 2] }],
    ['/v1/detokenize', { tokens: [[1], []] }],
    ['/abort_request', { rid: 'x' }],
  ])('%s %j', async (path, body) => {
    expect(bodyOf(path, body)).toBe('');
    const response = await served.post(path, body);
    const answer = await response.json();
    expect(response.status, JSON.stringify(answer)).toBe(200);
    expect(answerOf(path, answer)).toBe('');
  });

  it.each<[string, object]>([
    ['/v1/chat/completions', { ...CHAT, tools: [TOOL], stream_options: { include_usage: true } }],
    ['/v1/completions', { prompt: 'Hi', logprobs: 1, stream_options: { include_usage: true } }],
    ['/generate', { text: 'Hi' }],
  ])('%s as a stream', async (path, body) => {
    const events = parseEvents(await (await served.post(path, { ...body, stream: true })).text());
    expect(events.length).toBeGreaterThan(3);
    for (const event of events) expect(answerOf(path, event, { type: 'text/event-stream' })).toBe('');
  });

  it.each<[string, object]>([
    [
      '/v1/responses',
      { input: 'Hi', tools: [{ type: 'function', name: 'f', parameters: PARAMETERS }], top_logprobs: 1 },
    ],
    ['/v1/responses', { input: 'Hi', max_output_tokens: 3 }],
    ['/v1/messages', { ...CHAT, max_tokens: 90, tools: [{ name: 'f', input_schema: PARAMETERS }] }],
    ['/v1/messages', { ...CHAT, max_tokens: 3 }],
  ])('%s as typed events: %j', async (path, body) => {
    const events = await typedEvents(await served.post(path, { ...body, stream: true }));
    expect(events.length).toBeGreaterThan(5);
    for (const event of events) expect(answerOf(path, event, { type: 'text/event-stream' }), event.type).toBe('');
  });

  it.each([
    ['/v1/chat/completions', CHAT],
    ['/v1/completions', { prompt: 'Hi' }],
    ['/v1/responses', { input: 'Hi' }],
    ['/v1/messages', { ...CHAT, max_tokens: 9 }],
    ['/generate', { text: 'Hi' }],
  ])('what a stream of %s ends with where it fails', async (path, body) => {
    const quiet = vi.spyOn(log, 'error').mockImplementation(() => {});
    const failing = testApp({ ...says('Hello'), fail: { index: 0, afterTokens: 2 } });
    const text = await (await failing.post(path, { ...body, stream: true })).text();
    const last = text.replace('data: [DONE]\n\n', '').trimEnd().split('\n').at(-1) as string;
    expect(last).toContain('a kernel failed');
    expect(answerOf(path, JSON.parse(last.slice('data: '.length)), { type: 'text/event-stream' })).toBe('');
    quiet.mockRestore();
  });

  it.each(postRoutes())('null in %s as a field that is not there', async (path) => {
    const ref: string = document.paths[path].post.requestBody.content['application/json'].schema.$ref;
    const { properties, required = [] } = document.components.schemas[ref.split('/').at(-1) as string];
    for (const field of Object.keys(properties)) {
      const { [field]: _, ...without } = BODIES[path];
      const body = { ...without, [field]: null };
      expect([field, bodyOf(path, body) === '']).toEqual([field, !required.includes(field)]);
      const [absent, isNull] = [await served.post(path, without), await served.post(path, body)];
      expect([field, isNull.status]).toEqual([field, absent.status]);
      if (required.includes(field)) expect([field, isNull.status]).toEqual([field, 400]);
    }
  });

  it.each([
    ...['/v1/models', '/v1/loads', '/get_load', '/v1/status', '/health', '/health_generate', '/get_model_info'],
    ...['/model_info', '/get_server_info', '/server_info', '/flush_cache'],
  ])('GET %s', async (path) => {
    const response = await served.app.request(path);
    expect(response.status).toBe(200);
    expect(answerOf(path, await response.json(), { method: 'get' })).toBe('');
  });

  it('stored responses', async () => {
    const { id }: Json = await (await served.post('/v1/responses', { input: 'Hi' })).json();
    const stored = await (await served.app.request(`/v1/responses/${id}`)).json();
    expect(answerOf('/v1/responses/{id}', stored, { method: 'get' })).toBe('');
    const gone = await (await served.app.request(`/v1/responses/${id}`, { method: 'DELETE' })).json();
    expect(answerOf('/v1/responses/{id}', gone, { method: 'delete' })).toBe('');
  });

  it.each(['/v1/chat/completions', '/v1/responses', '/v1/messages', '/v1/embeddings', '/tokenize', '/generate'])(
    'the errors of %s',
    async (path) => {
      const response = await served.post(path, {});
      expect(response.status).toBe(400);
      expect(answerOf(path, await response.json(), { status: '400' })).toBe('');
    },
  );

  it.each<[string, object]>([
    ['/v1/chat/completions', { messages: 'Hi' }],
    ['/v1/chat/completions', { ...CHAT, temperature: 3 }],
    ['/v1/chat/completions', { ...CHAT, max_tokens: 1.5 }],
    ['/v1/chat/completions', { ...CHAT, n: 9 }],
    ['/v1/completions', { prompt: [1, 'a'] }],
    ['/v1/responses', { input: [{ type: 'item_reference', id: 'x' }] }],
    ['/v1/messages', { messages: [{ role: 'user', content: 'Hi' }] }],
    ['/generate', { text: 5 }],
    ['/detokenize', {}],
  ])('and refuses what the server refuses: %s %j', async (path, body) => {
    expect(bodyOf(path, body)).not.toBe('');
    expect((await served.post(path, body)).status).toBe(400);
  });
});
