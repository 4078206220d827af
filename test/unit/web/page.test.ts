/** What the page works out, without a browser. */
import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { describeFault } from '../../../web/api.js';
import { codeSamples, type SampleOptions } from '../../../web/code-samples.js';
import { jsonPieces } from '../../../web/json-pieces.js';
import { judge } from '../../../web/json-verdict.js';
import { figuresOf, parseMetrics, rate, share } from '../../../web/metrics.js';
import { choicesFrom, DEFAULTS, EXAMPLE_SCHEMA, fieldOf, requestFields } from '../../../web/params.js';

describe('figures of /metrics', () => {
  const text = [
    '# HELP sglang:num_running_reqs The number of running requests.',
    '# TYPE sglang:num_running_reqs gauge',
    'sglang:num_running_reqs{model_name="a model, \\"quoted\\""} 2',
    'sglang:generation_tokens_total{model_name="m"} 1.5e+3',
    'sglang:time_to_first_token_seconds_bucket{le="+Inf",model_name="m"} 3',
    'sglang:gen_throughput{model_name="m"} Nan',
    '',
  ].join('\n');

  it('are numbers, or null where they are not told', () => {
    expect(figuresOf(parseMetrics(text))).toMatchObject({ running: 2, generatedTokens: 1500, queued: null });
    expect(parseMetrics(text).has('sglang:gen_throughput')).toBe(false);
  });

  it('become rates and shares only where that makes sense', () => {
    expect(rate(100, 350, 2)).toBe(125);
    expect(rate(100, 20, 1)).toBeNull();
    expect(rate(null, 20, 1)).toBeNull();
    expect(rate(1, 2, 0)).toBeNull();
    expect(share(1, 4)).toBe(0.25);
    expect(share(0, 0)).toBeNull();
    expect(share(null, 4)).toBeNull();
  });
});

describe('request fields', () => {
  it('are those that were filled in', () => {
    expect(requestFields({ ...DEFAULTS, numbers: {} })).toEqual({});
    expect(
      requestFields({ ...DEFAULTS, numbers: { temperature: ' 0 ', seed: '7', top_k: '' }, stop: 'a\n\n b' }),
    ).toEqual({
      temperature: 0,
      seed: 7,
      stop: ['a', ' b'],
    });
    expect(requestFields({ ...DEFAULTS, numbers: {}, thinking: 'on', format: 'json_object' })).toEqual({
      chat_template_kwargs: { enable_thinking: true },
      response_format: { type: 'json_object' },
    });
  });

  it('hold the schema, and refuse what is none', () => {
    const format = 'json_schema';
    expect(requestFields({ ...DEFAULTS, numbers: {}, format, schema: '{"type":"object"}' })).toEqual({
      response_format: { type: 'json_schema', json_schema: { name: 'answer', schema: { type: 'object' } } },
    });
    for (const schema of ['', '{', '[]', 'null', '"text"']) {
      expect(() => requestFields({ ...DEFAULTS, format, schema }), schema).toThrow(SyntaxError);
    }
  });
});

describe('choices that were kept', () => {
  it('are taken as far as they can be used', () => {
    expect(choicesFrom({ system: 'Be kind.', numbers: { seed: '7' }, stop: 'END', format: 'json_object' })).toEqual({
      ...DEFAULTS,
      system: 'Be kind.',
      numbers: { seed: '7' },
      stop: 'END',
      format: 'json_object',
    });
    for (const unfit of [null, 7, [], { numbers: null, stop: 5 }, { unknown: 'x' }]) {
      expect(choicesFrom(unfit), JSON.stringify(unfit)).toEqual(DEFAULTS);
    }
    expect(choicesFrom({ numbers: { seed: 7, top_k: '5' } }).numbers).toEqual({ top_k: '5' });
  });
});

describe('an answer in JSON', () => {
  const asked = { format: 'json_schema', schema: EXAMPLE_SCHEMA } as const;
  const city = { city: 'Paris', country: 'France', population_millions: 2.1, is_capital: true };

  it('is judged by the schema', () => {
    expect(judge(JSON.stringify(city), asked)).toMatchObject({ isValid: true, value: city, faults: [] });
    const wrong = judge(JSON.stringify({ ...city, is_capital: 'yes' }), asked);
    expect(wrong.isValid).toBe(false);
    expect(wrong.faults.join()).toContain('is_capital');
    expect(judge('{"city": "Par', asked)).toMatchObject({
      isValid: false,
      says: 'Not complete JSON',
      value: undefined,
    });
  });

  it('is an object where one was asked for', () => {
    const any = { format: 'json_object', schema: '' } as const;
    expect(judge('{}', any).isValid).toBe(true);
    expect(judge('[1]', any).isValid).toBe(false);
  });

  it.each([
    ['a pattern that browsers refuse', { type: 'string', pattern: '^a\\_b$' }],
    ['a reference that leads nowhere', { $ref: '#/$defs/none' }],
  ])('is shown without a verdict where the schema has %s', (_, schema) => {
    const verdict = judge('"a_b"', { format: 'json_schema', schema: JSON.stringify(schema) });
    expect(verdict).toMatchObject({ isValid: null, value: 'a_b', shown: '"a_b"' });
    expect(verdict.says).toMatch(/^Valid JSON. This page cannot check the schema: ./);
  });

  it('is laid out, unless it is nested without end', () => {
    const any = { format: 'json_object', schema: '' } as const;
    expect(judge('{"a":[1]}', any).shown).toBe('{\n  "a": [\n    1\n  ]\n}');
    const deep = '['.repeat(5000) + ']'.repeat(5000);
    expect(judge(deep, any).shown).toBe(deep);
  });

  it('has a colour for each of its pieces, an unfinished string too', () => {
    const colours = (json: string) => jsonPieces(json).flatMap(({ kind, text }) => (kind ? [`${kind} ${text}`] : []));
    expect(colours('{"a\\"": [-1.5e3, true], "b": "c')).toEqual([
      'key "a\\""',
      'number -1.5e3',
      'word true',
      'key "b"',
      'string "c',
    ]);
    const cutOff = `"${'\\"b\\":'.repeat(30_000)}\\`;
    expect(jsonPieces(cutOff)).toEqual([{ kind: 'string', text: cutOff }]);
  });
});

describe('faults', () => {
  it('say what to do next', () => {
    expect(describeFault(429, { message: 'too many' }, '3').hint).toContain('in 3 s');
    expect(describeFault(400, { message: 'seed: no', param: 'seed' })).toMatchObject({
      message: 'seed: no',
      param: 'seed',
    });
    expect(describeFault(400, { message: 'seed: no', param: 'seed' }).hint).toContain('settings');
    for (const [status, param] of [
      [400, 'messages'],
      [413, null],
    ] as const) {
      expect(describeFault(status, { message: 'too long', param }).hint).toContain('new chat');
    }
    expect(describeFault(503, { message: 'the server is shutting down' }).title).toContain('no requests now');
    expect(describeFault(500, {}).hint).toContain('log');
    expect(describeFault(418, {}).title).toContain('418');
  });
});

describe('the field of a fault', () => {
  it.each([
    ['temperature', 'temperature'],
    ['stop[2]', 'stop'],
    ['response_format.json_schema.schema', 'response_format'],
    ['messages', null],
    [null, null],
  ])('of %s is %s', (param, field) => {
    expect(fieldOf(param)).toBe(field);
  });
});

describe('the request as code', () => {
  const options: SampleOptions = {
    base: 'http://10.0.0.2:30000',
    model: 'org/model',
    needsKey: true,
    messages: [{ role: 'user', content: 'It\'s "so"\n$HOME `id` \\' }],
    fields: { temperature: 0, top_k: 5, stop: ['</s>'], response_format: { type: 'json_object', deep: [null, true] } },
  };
  const body = { model: options.model, messages: options.messages, ...options.fields };
  const codeOf = (name: string) => codeSamples(options).find((sample) => sample.name === name)?.code ?? '';

  it('survives the shell as curl', () => {
    const script = `curl() { printf '%s\\0' "$@"; }\n${codeOf('curl')}`;
    const args = spawnSync('bash', ['-c', script], { encoding: 'utf8' }).stdout.split('\0');
    expect(args[0]).toBe('http://10.0.0.2:30000/v1/chat/completions');
    expect(args).toContain('Authorization: Bearer YOUR_API_KEY');
    expect(JSON.parse(args[args.indexOf('-d') + 1] ?? '')).toEqual(body);
  });

  it('is what the openai package takes, in Python', () => {
    const python = codeOf('Python');
    expect(python).toContain('OpenAI(base_url="http://10.0.0.2:30000/v1", api_key="YOUR_API_KEY")');
    expect(python).toContain('extra_body={"top_k": 5}');
    expect(python).toContain('"deep": [None, True]');
    expect(python).not.toMatch(/^ {4}top_k=/m);
  });

  it('sends the same as JavaScript', async () => {
    let sent: { url: string; init: { body: string; headers: Record<string, string> } } | undefined;
    const fetch = async (url: string, init: { body: string; headers: Record<string, string> }) => {
      sent = { url, init };
      return { json: async () => ({ choices: [{ message: { content: 'hello' } }] }) };
    };
    const AsyncFunction = (async () => {}).constructor as FunctionConstructor;
    await new AsyncFunction('fetch', 'console', codeOf('JavaScript'))(fetch, { log: () => {} });
    expect(sent?.url).toBe('http://10.0.0.2:30000/v1/chat/completions');
    expect(sent?.init.headers.Authorization).toBe('Bearer YOUR_API_KEY');
    expect(JSON.parse(sent?.init.body ?? '')).toEqual(body);
  });

  it('asks for no key where none is needed', () => {
    for (const { code } of codeSamples({ ...options, needsKey: false })) expect(code).not.toContain('YOUR_API_KEY');
  });
});
