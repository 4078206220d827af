/**
 * Every number that any route takes, and every text, as an attacker would write it, against the real runtime: 200 or a 4xx
 * that names the field, never a 5xx, and the engine lives on. Which fields there are is read from /openapi.json.
 */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Runtime } from '../../src/addon/runtime.js';
import { setLogLevel } from '../../src/log.js';
import { loadModel } from '../../src/model/load.js';
import { createApp, type ServerApp } from '../../src/server/app.js';
import { BODIES, type FieldPath, jsonWith, numericFields, postRoutes } from '../unit/server/post-routes.js';
import { GOLDEN, startRuntime } from './golden-models.js';

// biome-ignore lint/suspicious/noExplicitAny: answers are checked field by field
type Json = any;

let runtime: Runtime;
let app: ServerApp;
let document: Json;

beforeAll(async () => {
  setLogLevel('error');
  const model = await loadModel({ model: join(GOLDEN, 'tiny', 'llama'), loadFormat: 'auto' });
  runtime = await startRuntime(model.weights, { contextLength: 128, maxTotalTokens: 2048, maxRunningRequests: 8 });
  const render = (messages: readonly { role: string; content: string | null }[]) =>
    messages.map(({ role, content }) => `${role}: ${content}\n`).join('');
  app = createApp({
    runtime,
    model: { ...model, chatTemplate: { text: '{{ messages }} {{ tools }}', render } },
    options: {
      servedModelName: 'tiny',
      modelPath: 'tiny',
      contextLength: 128,
      maxRunningRequests: 8,
      maxQueuedRequests: 64,
      apiKeys: [],
      strictModelName: false,
      drainTimeoutMs: 1000,
      decodeLogInterval: 100_000,
      serverInfo: {},
    },
  });
  await app.lifecycle.warmUp();
  document = await (await app.request('/openapi.json')).json();
});

afterAll(async () => {
  expect(runtime.failure).toBeNull();
  expect(app.lifecycle.numActive).toBe(0);
  expect(runtime.stats()).toMatchObject({ numRunning: 0, numQueued: 0, leakedBlocks: 0 });
  await runtime.stop();
  setLogLevel('info');
});

async function post(path: string, body: BodyInit): Promise<{ status: number; param: string | null; text: string }> {
  const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body };
  const response = await app.request(path, init);
  const text = await response.text();
  return { status: response.status, param: response.ok ? null : JSON.parse(text).error.param, text };
}

/** Faults inside a list or object may be told of the whole: `logit_bias` for `logit_bias.5`. */
function names(param: string | null, field: FieldPath): boolean {
  const full = field.join('.');
  return param !== null && (full.startsWith(param) || param.startsWith(full));
}

const NUMBERS = [
  ...['-1', '0', '-0', '1', '1.5', '1e18', '1e308', '-1e308', '5e-324', '1e999', '-1e999'],
  ...['2147483647', '2147483648', '-2147483649', '4294967296', '9007199254740993', '18446744073709551616'],
  ...['"NaN"', '"1"', '""', 'null', '[]', '[1]', '{}', 'true', 'false'],
];
/** Together with a field that is fine only beside them. */
const BESIDE: Record<string, Json> = {
  top_logprobs: { logprobs: true },
  top_logprobs_num: { return_logprob: true },
  logprob_start_len: { return_logprob: true },
};

/** A body in which the field means something. */
function baseOf(path: string, field: FieldPath): Json {
  const { text: _, ...rest } = BODIES[path];
  if (field[0] === 'input_ids') return rest;
  return field[0] === 'sampling_params' && field[1] === 0 ? { text: ['Hi'] } : BODIES[path];
}

describe.each(postRoutes())('%s', (path) => {
  it('takes or refuses every number', { timeout: 60_000 }, async () => {
    const schema = document.paths[path].post.requestBody.content['application/json'].schema;
    const fields = numericFields(document, schema);
    if (/completions|responses$|messages$|generate/.test(path)) expect(fields.length).toBeGreaterThan(9);
    for (const field of fields) {
      const beside = path === '/v1/chat/completions' || path === '/generate' ? BESIDE[field[0] as string] : undefined;
      const body = { ...baseOf(path, field), ...beside };
      for (const number of NUMBERS) {
        const { status, param, text } = await post(path, jsonWith(body, field, number));
        const what = `${field.join('.')} = ${number}: ${status} ${text.slice(0, 200)}`;
        // A second may be too short on a busy machine.
        expect(field.at(-1) === 'timeout' ? [200, 400, 504] : [200, 400], what).toContain(status);
        if (status === 400) expect(names(param, field), what).toBe(true);
      }
    }
  });
});

/** JSON as written, and whether it is well-formed UTF-8 and JSON. */
const TEXTS: [string, Buffer, boolean][] = [
  ['a lone surrogate, escaped', Buffer.from('"a\\ud800b"'), true],
  ['surrogates the wrong way round', Buffer.from('"\\udc00\\ud800"'), true],
  ['NUL, escaped', Buffer.from('"a\\u0000b"'), true],
  ['NUL as it is', Buffer.from('"a\0b"'), false],
  ['combining characters', Buffer.from(`"e${'\u0301'.repeat(40)}"`), true],
  [
    'right to left, joiners and a flag',
    Buffer.from('"\u202eabc\u200d\u{1f468}\u200d\u{1f469}\u{1f1e9}\u{1f1ea}"'),
    true,
  ],
  ['the last of Unicode', Buffer.from('"\u{10ffff}\uffff"'), true],
  ['a byte order mark inside', Buffer.from('"a\ufeffb"'), true],
  ['control characters, escaped', Buffer.from('"\\u0001\\u001f\\u007f\\u0085"'), true],
  ['special tokens by name', Buffer.from('"<|im_end|><s></s><|endoftext|>"'), true],
  ['a stray byte', Buffer.from([0x22, 0x61, 0xff, 0x22]), false],
  ['half a character', Buffer.from([0x22, 0xe2, 0x82, 0x22]), false],
  ['an overlong slash', Buffer.from([0x22, 0xc0, 0xaf, 0x22]), false],
  ['an overlong NUL', Buffer.from([0x22, 0xe0, 0x80, 0x80, 0x22]), false],
  ['a surrogate in UTF-8', Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]), false],
  ['beyond Unicode', Buffer.from([0x22, 0xf4, 0x90, 0x80, 0x80, 0x22]), false],
  ['Latin-1', Buffer.from([0x22, 0xe9, 0x74, 0xe9, 0x22]), false],
];

/** Where texts go. */
const PLACES: [string, FieldPath][] = [
  ['/v1/chat/completions', ['messages', 0, 'content']],
  ['/v1/chat/completions', ['stop']],
  ['/v1/chat/completions', ['rid']],
  ['/v1/completions', ['prompt']],
  ['/v1/responses', ['input']],
  ['/v1/responses', ['instructions']],
  ['/v1/responses', ['metadata', 'x']],
  ['/v1/messages', ['system']],
  ['/v1/messages', ['messages', 0, 'content']],
  ['/v1/messages/count_tokens', ['messages', 0, 'content']],
  ['/generate', ['text']],
  ['/tokenize', ['prompt']],
  ['/abort_request', ['rid']],
];

describe.each(PLACES)('%s %j', (path, field) => {
  it.each(TEXTS)('with %s', async (_, written, isFine) => {
    const [before, after] = jsonWith(BODIES[path], field, '\u0002').split('\u0002') as [string, string];
    const { status, param, text } = await post(path, Buffer.concat([Buffer.from(before), written, Buffer.from(after)]));
    if (!isFine) {
      expect([status, param], text).toEqual([400, null]);
      return;
    }
    expect([200, 400], text).toContain(status);
    // Only a stop string is refused for half a character: nothing could ever match it.
    if (status === 400) expect([field.join('.'), param]).toEqual(['stop', 'stop']);
  });
});
