/** Forms and tools of the Responses API and of Anthropic's, over the real runtime and the real XGrammar. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { setLogLevel } from '../../src/log.js';
import type { ServerApp } from '../../src/server/app.js';
import { hasGrammars, type Json, post, type StructuredServer, startStructured } from './structured-spec.js';

let server: StructuredServer;
let app: ServerApp;

beforeAll(async () => {
  setLogLevel('warning');
  server = await startStructured();
  app = server.makeApp();
});

afterAll(async () => {
  await server?.stop();
  setLogLevel('info');
});

const CITY = {
  type: 'object',
  properties: { city: { type: 'string', maxLength: 5 }, size: { enum: ['big', 'small'] } },
  required: ['city', 'size'],
  additionalProperties: false,
};
const WRONG = { type: 'object', properties: { a: { type: 'wizard' } } };

const respond = (body: object) => post(app, '/v1/responses', { input: 'hi', seed: 1, max_output_tokens: 200, ...body });
const message = (body: object) =>
  post(app, '/v1/messages', { messages: [{ role: 'user', content: 'hi' }], seed: 1, max_tokens: 200, ...body });

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
