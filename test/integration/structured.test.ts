/** Structured output over the real runtime and the real XGrammar. */
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { randomSchema } from '../../bench/grammar/schemas.mjs';
import { setLogLevel } from '../../src/log.js';
import type { ServerApp } from '../../src/server/app.js';
import { hasGrammars, type Json, post, type StructuredServer, startStructured } from './structured-spec.js';

let server: StructuredServer;
let app: ServerApp;

const MESSAGES = [{ role: 'user', content: 'hi' }];

async function chat(body: object, to = app): Promise<Json> {
  const whole = { messages: MESSAGES, max_tokens: 300, seed: 1, ...body };
  const { status, json } = await post(to, '/v1/chat/completions', whole);
  expect(status, JSON.stringify(json)).toBe(200);
  return json;
}

async function deltas(body: object, to = app): Promise<Json[]> {
  const whole = { messages: MESSAGES, max_tokens: 300, seed: 1, stream: true, ...body };
  const { text } = await post(to, '/v1/chat/completions', whole);
  expect(text).toMatch(/data: \[DONE\]\n\n$/);
  const events = text.split('\n\n').filter((line) => line.startsWith('data: {'));
  return events.map((line) => JSON.parse(line.slice(6)).choices[0]);
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

const asked = (schema: object, strict = true) => ({
  response_format: { type: 'json_schema', json_schema: { name: 'x', schema, strict } },
});

describe.skipIf(!hasGrammars)('structured output', () => {
  beforeAll(async () => {
    setLogLevel('error');
    server = await startStructured();
    app = server.makeApp();
  });

  afterAll(async () => {
    await server?.stop();
    setLogLevel('info');
  });

  test('random schemas: whatever the model, what it finishes is valid, and what is cut is closed in time where that is possible', async () => {
    const ajv = new Ajv2020({ strict: false, validateFormats: false });
    const count = { finished: 0, cut: 0, closed: 0 };
    const work = Array.from({ length: 60 }, (_, seed) => async () => {
      const schema = randomSchema(seed);
      const { choices } = await chat({ ...asked(schema), n: 2, max_tokens: 400 });
      for (const { message, finish_reason: reason } of choices) {
        const context = `${JSON.stringify(message.content)} of ${JSON.stringify(schema)}`;
        if (reason !== 'stop') {
          count.cut++;
          if (isJson(message.content)) count.closed++;
          continue;
        }
        count.finished++;
        expect(isJson(message.content), context).toBe(true);
        expect(ajv.validate(schema, JSON.parse(message.content)), `${ajv.errorsText()} in ${context}`).toBe(true);
      }
    });
    for (let at = 0; at < work.length; at += 4) await Promise.all(work.slice(at, at + 4).map((run) => run()));
    expect(count.finished).toBeGreaterThan(40);
    // What a schema still asks for may need more tokens than there are.
    expect(count.closed).toBeGreaterThan(count.cut * 0.5);
  });

  test('json_object is an object, in time', async () => {
    for (const max_tokens of [20, 50, 200]) {
      const { choices } = await chat({ response_format: { type: 'json_object' }, max_tokens });
      expect(JSON.parse(choices[0].message.content)).toBeTypeOf('object');
      expect(choices[0].message.content[0]).toBe('{');
    }
  });

  test.each([
    [{ regex: '(ab){2}c|x[0-9]{3}' }, /^(ababc|x\d{3})$/],
    [{ ebnf: 'root ::= "<" item+ ">"\nitem ::= "a" | "bc"' }, /^<(a|bc)+>$/],
    [{ json_schema: '{"enum": ["yes", "no"]}' }, /^"(yes|no)"$/],
    [{ json_schema: { const: 5 } }, /^5$/],
    [{ response_format: { type: 'text' }, regex: 'ok' }, /^ok$/],
    [
      {
        structural_tag: {
          type: 'structural_tag',
          format: { type: 'tag', begin: '<n>', content: { type: 'regex', pattern: '[0-9]{2}' }, end: '</n>' },
        },
      },
      /^<n>\d\d<\/n>$/,
    ],
  ])('%j', async (format, expected) => {
    for (const seed of [1, 2, 3]) {
      const { choices } = await chat({ ...format, seed, max_tokens: 600 });
      if (choices[0].finish_reason === 'stop') expect(choices[0].message.content).toMatch(expected);
      const { json } = await post(app, '/v1/completions', { prompt: 'a', ...format, seed, max_tokens: 600 });
      if (json.choices[0].finish_reason === 'stop') expect(json.choices[0].text).toMatch(expected);
      const { response_format: _, ...params } = format as Json;
      const generated = await post(app, '/generate', {
        text: 'a',
        sampling_params: { ...params, sampling_seed: seed, max_new_tokens: 600 },
      });
      if (generated.json.meta_info.finish_reason.type === 'stop') expect(generated.json.text).toMatch(expected);
    }
  });

  test('a stream adds up to the answer; forced tokens, log-probabilities, penalties and a stop string go with it', async () => {
    const schema = {
      type: 'object',
      properties: { long_name: { enum: ['only'] }, n: { type: 'integer' } },
      required: ['long_name', 'n'],
    };
    const { choices } = await chat({ ...asked(schema), frequency_penalty: 1, logit_bias: { '5': 3 } });
    const pieces = await deltas({ ...asked(schema), frequency_penalty: 1, logit_bias: { '5': 3 } });
    expect(pieces.map(({ delta }) => delta.content ?? '').join('')).toBe(choices[0].message.content);
    expect(choices[0].message.content).toMatch(/"long_name"\s*:\s*"only"/);

    const scored = await chat({ ...asked(schema), logprobs: true, top_logprobs: 2 });
    const { content } = scored.choices[0].logprobs;
    expect(content.map(({ token }: Json) => token).join('')).toBe(scored.choices[0].message.content);
    // Log-probabilities are the model's own, which has no grammar.
    for (const token of content) expect(token.logprob).toBeLessThanOrEqual(token.top_logprobs[0].logprob);
    const stopped = await chat({ ...asked(schema), stop: ['"only"'] });
    expect(stopped.choices[0]).toMatchObject({ finish_reason: 'stop', matched_stop: '"only"' });
  });

  test('an answer that would be cut says so, and one that may not end yet ends when nothing else is allowed', async () => {
    const cut = await chat({ regex: '[a-z]{500}', max_tokens: 20 });
    expect(cut.choices[0]).toMatchObject({ finish_reason: 'length' });
    expect(cut.choices[0].message.content).toMatch(/^[a-z]+$/);
    const short = await chat({ regex: 'ab', min_tokens: 50 });
    expect(short.choices[0]).toMatchObject({ finish_reason: 'stop', message: { content: 'ab' } });
    const ignoring = await chat({ regex: 'ab', ignore_eos: true });
    expect(ignoring.choices[0]).toMatchObject({ finish_reason: 'stop', message: { content: 'ab' } });
  });

  test.each([
    [{ regex: '[a' }, 'regex', /position 3/],
    [{ regex: 'a(?=b)' }, 'regex', /position \d+: Lookahead/],
    [{ regex: '(a)\\1' }, 'regex', /position \d+: Backreference/],
    [{ ebnf: 'root ::= "a"\nroot ::= nothing' }, 'ebnf', /line 2, column \d+/],
    [
      asked({ type: 'object', properties: { a: { uniqueItems: true } } }),
      'response_format.json_schema.schema',
      /"uniqueItems" is not supported at properties\.a/,
    ],
    [asked({ type: 'string', pattern: '[a' }), 'response_format.json_schema.schema', /position/],
    [{ response_format: { type: 'xml' } }, 'response_format.type', /must be one of/],
    [{ response_format: { type: 'json_schema' } }, 'response_format.json_schema', /must be an object/],
    [{ json_schema: '{' }, 'json_schema', /not valid JSON/],
    [{ regex: 'a', ebnf: 'root ::= "a"' }, 'ebnf', /cannot be asked for beside regex/],
    [{ guided_regex: 'a' }, 'guided_regex', /another server/],
    [{ structural_tag: { type: 'structural_tag', format: { type: 'nonsense' } } }, 'structural_tag', /./],
  ])('%j is a 400 that names %s', async (format, param, message) => {
    const { status, json } = await post(app, '/v1/chat/completions', { messages: MESSAGES, ...format });
    expect(status, JSON.stringify(json)).toBe(400);
    expect(json.error.param).toBe(param);
    expect(json.error.message).toMatch(message);
  });

  const schemaOf = (bytes: number) => {
    const around = Buffer.byteLength(JSON.stringify({ const: '', description: '' }));
    // What is said to people counts as well.
    return { const: 'x'.repeat(bytes - around - 1000), description: 'y'.repeat(1000) };
  };
  const nested = (depth: number): object =>
    depth === 1 ? { type: 'null' } : { type: 'array', items: nested(depth - 1) };
  test.each<[string, string, number, (size: number) => object]>([
    ['bytes of a regular expression', 'regex', 4096, (n) => ({ regex: 'a'.repeat(n) })],
    ['bytes of EBNF', 'ebnf', 64 * 1024, (n) => ({ ebnf: `root ::= "ab" ${'#'.padEnd(n - 14, 'x')}` })],
    ['parentheses', 'regex', 128, (n) => ({ regex: `${'('.repeat(n)}a${')'.repeat(n)}` })],
    ['bytes of a schema as text', 'json_schema', 64 * 1024, (n) => ({ json_schema: JSON.stringify(schemaOf(n)) })],
    ['bytes of a schema', 'response_format.json_schema.schema', 64 * 1024, (n) => asked(schemaOf(n))],
  ])('%s: what is at the cap is taken, one over it is never compiled', async (_, param, limit, format) => {
    const at = await post(app, '/v1/chat/completions', { messages: MESSAGES, max_tokens: 1, ...format(limit) });
    expect(at.status, JSON.stringify(at.json)).toBe(200);
    const compile = vi.spyOn(server.grammars, 'compile');
    const over = await post(app, '/v1/chat/completions', { messages: MESSAGES, max_tokens: 1, ...format(limit + 1) });
    expect(compile).not.toHaveBeenCalled();
    compile.mockRestore();
    expect([over.status, over.json.error?.param, over.json.error?.code]).toEqual([400, param, 'E_GRAMMAR_LIMIT']);
  });

  test('schemas inside of schemas are taken to a depth, and never compiled beyond it', async () => {
    const statuses: number[] = [];
    for (let depth = 60; depth <= 68; depth++) {
      const compile = vi.spyOn(server.grammars, 'compile');
      const { status } = await post(app, '/v1/chat/completions', {
        messages: MESSAGES,
        max_tokens: 1,
        ...asked(nested(depth)),
      });
      expect(compile.mock.calls.length).toBe(status === 200 ? 1 : 0);
      compile.mockRestore();
      statuses.push(status);
    }
    // Nine depths around the cap of 64: first all are taken, then none.
    expect(statuses).toEqual([...statuses].sort());
    expect(statuses[0]).toBe(200);
    expect(statuses.at(-1)).toBe(400);
  });

  describe('hostile grammars', () => {
    const chain = (depth: number, inner: object): object =>
      depth === 0 ? inner : { type: 'array', items: chain(depth - 1, inner) };
    const defs = ($defs: object, more: object = { $ref: '#/$defs/a' }) => asked({ $defs, ...more });
    const pattern = (text: string) => asked({ type: 'string', pattern: text });
    const values = (count: number) => Array.from({ length: count }, (_, i) => `value number ${i}`);
    const LIMIT = 'E_GRAMMAR_LIMIT';
    const INVALID = 'E_GRAMMAR_INVALID';

    /** No answer: nothing could follow them, or it would take too much. */
    const REFUSED: [name: string, body: object, code: string][] = [
      ['depth 10,000', { json_schema: `${'{"items":'.repeat(10_000)}{}${'}'.repeat(10_000)}` }, LIMIT],
      ['depth 10,000 in few bytes', { json_schema: `${'['.repeat(10_000)}${']'.repeat(10_000)}` }, LIMIT],
      ['depth 100', asked(chain(100, {})), LIMIT],
      ['a reference to itself', defs({ a: { $ref: '#/$defs/a' } }), INVALID],
      ['references in a circle', defs({ a: { $ref: '#/$defs/b' }, b: { $ref: '#/$defs/a' } }), INVALID],
      [
        'a circle through allOf',
        defs({ a: { allOf: [{ $ref: '#/$defs/b' }] }, b: { allOf: [{ $ref: '#/$defs/a' }] } }),
        INVALID,
      ],
      [
        'an object that needs another',
        asked({ type: 'object', properties: { a: { $ref: '#' } }, required: ['a'] }),
        INVALID,
      ],
      ['an enum of 1 MB', asked({ enum: values(60_000) }), LIMIT],
      ['an enum of 1 MB as text', { json_schema: JSON.stringify({ enum: values(60_000) }) }, LIMIT],
      ['a repetition of a repetition', { regex: '^(a+)+$' }, LIMIT],
      ['the same twice over', { regex: '(a|a)*b' }, LIMIT],
      ['two repetitions repeated', { regex: '(x+x+)+y' }, LIMIT],
      ['a repetition of a repetition in a schema', pattern('^([a-z]*)*$'), INVALID],
      ['nested counts', { regex: '((((a{1,999}){1,999}){1,999}){1,999}){1,999}b' }, LIMIT],
      ['nested counts in a schema', pattern('^((a{0,200}){0,200}){0,200}$'), INVALID],
      ['deep parentheses', { regex: `${'('.repeat(1000)}a${')'.repeat(1000)}` }, LIMIT],
      ['invalid Unicode', { regex: '\ud800' }, 'E_INVALID_REQUEST'],
      ['left recursion', { ebnf: 'root ::= root "a"' }, INVALID],
    ];

    /** They look worse than they are: an automaton follows them within the limits of any answer. */
    const ANSWERED: [name: string, body: object][] = [
      ['a schema that contains itself', asked({ type: 'object', properties: { a: { $ref: '#' } } })],
      ['an exponential deterministic automaton', { regex: '(a|b)*a(a|b){60}c' }],
      ['an ambiguous grammar', { ebnf: 'root ::= root root | root root root | [a-z] | ""' }],
      ['an enum of 1,000 values', asked({ enum: values(1000) })],
    ];

    const SOON_MS = 30_000;

    test.each(REFUSED)('%s: a 400', async (_name, body, code) => {
      const started = performance.now();
      const { status, json } = await post(app, '/v1/chat/completions', { messages: MESSAGES, max_tokens: 40, ...body });
      expect(status, JSON.stringify(json)).toBe(400);
      expect(json.error).toMatchObject({
        code,
        param: expect.stringMatching(/^(json_schema|regex|ebnf|response_format\.)/),
      });
      expect(performance.now() - started).toBeLessThan(SOON_MS);
    });

    test.each(ANSWERED)('%s: an answer', async (_name, body) => {
      const { status, json } = await post(app, '/v1/chat/completions', { messages: MESSAGES, max_tokens: 40, ...body });
      expect(status, JSON.stringify(json)).toBe(200);
      expect(json.choices[0].finish_reason).toMatch(/^(stop|length)$/);
    });

    test('other streams go on meanwhile', async () => {
      const stream = chat({ regex: '[a-z ]{400}', max_tokens: 400 });
      const others = [...REFUSED, ...ANSWERED].map(([, body]) =>
        post(app, '/v1/chat/completions', { messages: MESSAGES, max_tokens: 40, ...body }),
      );
      const [long] = (await stream).choices;
      expect(long.message.content).toMatch(/^[a-z ]{300,400}$/);
      for (const { status } of await Promise.all(others)) expect([200, 400]).toContain(status);
      expect((await chat({ regex: 'ab' })).choices[0].message.content).toBe('ab');
      expect(server.runtime.stats().leakedBlocks).toBe(0);
    });
  });

  test('invalid UTF-8 in a body is refused', async () => {
    const body = Buffer.concat([
      Buffer.from('{"messages":[{"role":"user","content":"a"}],"regex":"'),
      Buffer.from([0xff, 0xfe]),
      Buffer.from('"}'),
    ]);
    const response = await app.request('/v1/chat/completions', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    });
    expect(response.status).toBe(400);
  });

  describe('tools', () => {
    const tools = ['get_weather', 'add'].map((name) => ({
      type: 'function',
      function: {
        name,
        parameters: { type: 'object', properties: { city: { enum: ['Paris', 'Rome'] } }, required: ['city'] },
      },
    }));

    test.each(['qwen25', 'llama3', 'mistral', 'deepseek'] as const)(
      '%s: required, named, one at a time, streamed',
      async (toolCallParser) => {
        const own = server.makeApp({ toolCallParser });
        const named = { type: 'function', function: { name: 'add' } };
        const one = await chat({ tools, tool_choice: named }, own);
        const [{ message, finish_reason: reason }] = one.choices;
        expect(reason).toBe('tool_calls');
        expect(message.content).toBeNull();
        expect(message.tool_calls).toHaveLength(1);
        expect(message.tool_calls[0]).toMatchObject({ type: 'function', function: { name: 'add' } });
        expect(['Paris', 'Rome']).toContain(JSON.parse(message.tool_calls[0].function.arguments).city);

        const single = await chat({ tools, tool_choice: 'required', parallel_tool_calls: false }, own);
        expect(single.choices[0].message.tool_calls).toHaveLength(1);

        const pieces = await deltas({ tools, tool_choice: 'required', max_tokens: 300 }, own);
        const calls: Json[] = [];
        for (const { delta } of pieces) {
          for (const { index, id, function: made } of delta.tool_calls ?? []) {
            calls[index] ??= { id, name: made.name, args: '' };
            calls[index].args += made.arguments;
          }
        }
        expect(calls.length).toBeGreaterThan(0);
        const whole = pieces.at(-1)?.finish_reason === 'tool_calls' ? calls : calls.slice(0, -1);
        for (const { id, name, args } of whole) {
          expect(id).toMatch(/^call_/);
          expect(['get_weather', 'add']).toContain(name);
          expect(JSON.parse(args)).toHaveProperty('city');
        }
      },
    );

    test('are refused where they are wrong, and nobody calls any with tool_choice none', async () => {
      const refused = async (body: object) =>
        (await post(app, '/v1/chat/completions', { messages: MESSAGES, max_tokens: 5, ...body })).json.error?.param;
      expect(await refused({ tools: [{ type: 'function', function: {} }] })).toBe('tools.0.function.name');
      expect(await refused({ tools: Array.from({ length: 200 }, () => tools[0]) })).toBe('tools');
      expect(await refused({ tools: [tools[0], tools[0]] })).toBe('tools.1.function.name');
      expect(await refused({ tools, tool_choice: { type: 'function', function: { name: 'x' } } })).toBe(
        'tool_choice.function.name',
      );
      expect(await refused({ tool_choice: 'required' })).toBe('tool_choice');
      const bad = {
        type: 'function',
        function: { name: 'f', parameters: { type: 'object', properties: { a: { uniqueItems: true } } } },
      };
      expect(await refused({ tools: [bad] })).toBe('tools.0.function.parameters');
      const none = await chat({ tools, tool_choice: 'none', max_tokens: 5 });
      expect(none.choices[0].message.tool_calls).toBeUndefined();
    });
  });

  test('the form begins after the thoughts', async () => {
    for (const reasoningParser of ['deepseek-r1', 'qwen3'] as const) {
      const own = server.makeApp({ reasoningParser });
      for (const seed of [1, 2, 3]) {
        const { choices } = await chat({ regex: 'yes|no', seed, max_tokens: 700 }, own);
        const [{ message, finish_reason: reason }] = choices;
        if (reason === 'stop') expect(message.content).toMatch(/^(yes|no)$/);
      }
    }
  });

  test('without grammars a form is refused, and text is not', async () => {
    const own = server.makeApp({ grammarsOffReason: 'it was started with --grammar-backend none' });
    const { status, json } = await post(own, '/v1/chat/completions', { messages: MESSAGES, regex: 'a' });
    expect(status).toBe(400);
    expect(json.error).toMatchObject({ param: 'regex', message: expect.stringContaining('--grammar-backend none') });
    await chat({ max_tokens: 3 }, own);
  });

  test('clients that go away free what they had', async () => {
    const controller = new AbortController();
    const init = { method: 'POST', headers: { 'content-type': 'application/json' }, signal: controller.signal };
    const body = JSON.stringify({ messages: MESSAGES, regex: '[a-z]{900}', max_tokens: 900, stream: true });
    const response = await app.request('/v1/chat/completions', { ...init, body });
    const reader = response.body?.getReader();
    await reader?.read();
    controller.abort();
    await reader?.cancel();
    await expect.poll(() => server.runtime.stats().usedTokens).toBe(0);
  });
});
