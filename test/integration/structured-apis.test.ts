/** Forms and tools of the Responses API and of Anthropic's, over the real runtime and the real XGrammar. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadBinding } from '../../src/addon/binding.js';
import { NativeGrammars } from '../../src/addon/grammars.js';
import type { Runtime } from '../../src/addon/runtime.js';
import { setLogLevel } from '../../src/log.js';
import { loadModel } from '../../src/model/load.js';
import type { Tokenizer } from '../../src/model/model.js';
import { createApp, type ServerApp } from '../../src/server/app.js';
import { GOLDEN, startRuntime } from './golden-models.js';

// biome-ignore lint/suspicious/noExplicitAny: answers are checked field by field
type Json = any;

const { hasGrammars } = await loadBinding();
if (!hasGrammars) process.stdout.write('structured output is not tested: the addon was built without XGrammar\n');

let runtime: Runtime;
let app: ServerApp;

beforeAll(async () => {
  setLogLevel('warning');
  const model = await loadModel({ model: join(GOLDEN, 'tiny', 'llama'), loadFormat: 'auto' });
  const { vocabSize } = model.weights.config;
  const tokenizer = model.tokenizer as Tokenizer;
  const eosTokenIds = [tokenizer.tokenId('<|im_end|>') as number];
  runtime = await startRuntime(model.weights, { contextLength: 1024, maxTotalTokens: 8192, maxRunningRequests: 8 });
  const grammars = new NativeGrammars(await loadBinding(), () =>
    tokenizer.vocabulary({ vocabSize, stopTokenIds: eosTokenIds }),
  );
  const render = (messages: readonly { role: string; content: string | null }[]) =>
    messages.map(({ role, content }) => `${role}: ${content}\n`).join('');
  app = createApp({
    runtime,
    grammars,
    model: { ...model, eosTokenIds, chatTemplate: { text: '{{ messages }}', render } },
    options: {
      servedModelName: 'tiny',
      modelPath: 'tiny',
      contextLength: 1024,
      maxRunningRequests: 8,
      maxQueuedRequests: 64,
      apiKeys: [],
      strictModelName: false,
      drainTimeoutMs: 1000,
      decodeLogInterval: 1000,
      serverInfo: {},
    },
  });
});

afterAll(async () => {
  await runtime?.stop();
  setLogLevel('info');
});

const CITY = {
  type: 'object',
  properties: { city: { type: 'string', maxLength: 5 }, size: { enum: ['big', 'small'] } },
  required: ['city', 'size'],
  additionalProperties: false,
};
const WRONG = { type: 'object', properties: { a: { type: 'wizard' } } };

async function ask(path: string, body: object): Promise<{ status: number; text: string; json: Json }> {
  const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
  const response = await app.request(path, init);
  const text = await response.text();
  return { status: response.status, text, json: text.startsWith('{') ? JSON.parse(text) : null };
}

const respond = (body: object) => ask('/v1/responses', { input: 'hi', seed: 1, max_output_tokens: 200, ...body });
const message = (body: object) =>
  ask('/v1/messages', { messages: [{ role: 'user', content: 'hi' }], seed: 1, max_tokens: 200, ...body });

function expectCity(text: string): void {
  const city = JSON.parse(text);
  expect(Object.keys(city)).toEqual(['city', 'size']);
  expect(['big', 'small']).toContain(city.size);
}

describe.skipIf(!hasGrammars)('the Responses API', () => {
  test('text.format', async () => {
    const format = { type: 'json_schema', name: 'city', schema: CITY, strict: true };
    const { json } = await respond({ text: { format } });
    expectCity(json.output[0].content[0].text);
    const any = await respond({ text: { format: { type: 'json_object' } } });
    expect(JSON.parse(any.json.output[0].content[0].text)).toBeTypeOf('object');
    expect((await respond({ regex: 'ab' })).json.output[0].content[0].text).toBe('ab');
  });

  test('functions, streamed as they are not', async () => {
    const tools = [{ type: 'function', name: 'look_up', parameters: CITY }];
    for (const choice of ['required', { type: 'function', name: 'look_up' }]) {
      const asked = { tools, tool_choice: choice, parallel_tool_calls: false };
      const { json } = await respond(asked);
      expect(json.output).toHaveLength(1);
      expect(json.output[0]).toMatchObject({ type: 'function_call', name: 'look_up', status: 'completed' });
      expectCity(json.output[0].arguments);
      const { text } = await respond({ ...asked, stream: true });
      const deltas = text
        .split('\n')
        .filter((line) => line.startsWith('data: '))
        .map((line) => JSON.parse(line.slice(6)))
        .filter(({ type }) => type === 'response.function_call_arguments.delta');
      expect(deltas.map(({ delta }) => delta).join('')).toBe(json.output[0].arguments);
    }
  });

  test.each([
    [{ text: { format: { type: 'json_schema', name: 'x', schema: WRONG } } }, 'text.format.schema'],
    [{ tools: [{ type: 'function', name: 'f', parameters: WRONG }], tool_choice: 'required' }, 'tools.0.parameters'],
    [{ text: { format: { type: 'json_object' } }, regex: 'a' }, 'regex'],
  ])('%j names %s', async (body, param) => {
    const { status, json } = await respond(body);
    expect([status, json.error.param]).toEqual([400, param]);
  });
});

describe.skipIf(!hasGrammars)('the Messages API', () => {
  test('output_config.format', async () => {
    const format = { type: 'json_schema', schema: CITY };
    for (const asked of [{ output_config: { format } }, { output_format: format }]) {
      expectCity((await message(asked)).json.content[0].text);
    }
  });

  test('tools', async () => {
    const tools = [{ name: 'look_up', input_schema: CITY }];
    for (const choice of [
      { type: 'any', disable_parallel_tool_use: true },
      { type: 'tool', name: 'look_up' },
    ]) {
      const { json } = await message({ tools, tool_choice: choice });
      expect(json).toMatchObject({ stop_reason: 'tool_use', content: [{ type: 'tool_use', name: 'look_up' }] });
      expectCity(JSON.stringify(json.content[0].input));
    }
    const { json } = await message({ tools, tool_choice: { type: 'none' }, max_tokens: 5 });
    expect(json.content.map(({ type }: Json) => type)).toEqual(['text']);
  });

  test.each([
    [{ output_config: { format: { type: 'json_schema', schema: WRONG } } }, 'output_config.format.schema'],
    [{ tools: [{ name: 'f', input_schema: WRONG }], tool_choice: { type: 'any' } }, 'tools.0.input_schema'],
  ])('%j names %s', async (body, param) => {
    const { status, json } = await message(body);
    expect([status, json.type, json.error.param]).toEqual([400, 'error', param]);
  });
});
