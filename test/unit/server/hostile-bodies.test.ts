/** Bodies that are no JSON, or JSON as nobody would write it, to every route that takes one. */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { log } from '../../../src/log.js';
import { BODIES, postRoutes } from './post-routes.js';
import { type Json, testApp } from './test-app.js';

const { post, runtime } = testApp({ delayMs: null });

beforeAll(() => {
  vi.spyOn(log, 'warning').mockImplementation(() => {});
});
afterAll(() => vi.restoreAllMocks());

/** With another member at its end. */
const withMember = (body: Json, member: string) => `${JSON.stringify(body).slice(0, -1)},${member}}`;
const nested = (open: string, close: string, depth: number) => `${open.repeat(depth)}1${close.repeat(depth)}`;

/** What is sent, made of a body that is fine; and the status. */
const CASES: [string, (body: Json) => string | Uint8Array, number][] = [
  ['fine', (body) => JSON.stringify(body), 200],
  ['with white space around it', (body) => ` \r\n\t${JSON.stringify(body, null, 2)}\n`, 200],
  ['nothing', () => '', 400],
  ['white space', () => ' \n', 400],
  ['cut off', (body) => JSON.stringify(body).slice(0, -1), 400],
  ['cut off in a string', (body) => JSON.stringify(body).slice(0, 6), 400],
  ['with something after it', (body) => `${JSON.stringify(body)}{}`, 400],
  ['with a comma too many', (body) => `${JSON.stringify(body).slice(0, -1)},}`, 400],
  ['with a comment', (body) => withMember(body, '/* x */"a":1'), 400],
  ['with NaN', (body) => withMember(body, '"a":NaN'), 400],
  ['with Infinity', (body) => withMember(body, '"a":-Infinity'), 400],
  ['with a hexadecimal number', (body) => withMember(body, '"a":0x10'), 400],
  ['with a leading zero', (body) => withMember(body, '"a":01'), 400],
  ['with a raw line break in a string', (body) => withMember(body, '"a":"\n"'), 400],
  ['with a wrong escape', (body) => withMember(body, '"a":"\\x41"'), 400],
  ['a list', (body) => JSON.stringify([body]), 400],
  ['null', () => 'null', 400],
  ['a text', () => '"x"', 400],
  ['a number', () => '1e400', 400],
  ['only brackets', () => '['.repeat(1_000_000), 400],
  ['objects in objects', (body) => withMember(body, `"a":${nested('{"a":', '}', 1000)}`), 400],
  ['lists in lists', (body) => withMember(body, `"a":${nested('[', ']', 100_000)}`), 400],
  ['lists at the limit', (body) => withMember(body, `"a":${nested('[', ']', 127)}`), 200],
  ['lists one over the limit', (body) => withMember(body, `"a":${nested('[', ']', 128)}`), 400],
  ['brackets in a string', (body) => withMember(body, `"a":"${'[{\\"'.repeat(1000)}"`), 200],
  ['with a key twice', (body) => withMember(body, '"a":1,"a":[{}]'), 200],
  [
    'with the keys of prototypes',
    (body) => withMember(body, '"__proto__":{"stream":1},"constructor":{"prototype":{}},"toString":1'),
    200,
  ],
  ['with a huge number', (body) => withMember(body, '"a":1e999,"b":123456789012345678901234567890'), 200],
  ['with a number of many digits', (body) => withMember(body, `"a":${'9'.repeat(100_000)}`), 200],
  ['with a key of 100,000 characters', (body) => withMember(body, `"${'k'.repeat(100_000)}":1`), 200],
  [
    'with 100,000 keys',
    (body) => withMember(body, Array.from({ length: 100_000 }, (_, i) => `"k${i}":0`).join(',')),
    200,
  ],
  ['after a byte order mark', (body) => `\ufeff${JSON.stringify(body)}`, 200],
  ['in UTF-16', (body) => Buffer.from(`\ufeff${JSON.stringify(body)}`, 'utf16le'), 400],
  [
    'with a byte that is no UTF-8',
    (body) => Buffer.concat([Buffer.from(withMember(body, '"a":"')), Buffer.of(0xff), Buffer.from('"}')]),
    400,
  ],
  ['with a NUL', (body) => `${JSON.stringify(body)}\0`, 400],
  ['gzip', () => Buffer.from('1f8b0800000000000003abae050043bfa6a302000000', 'hex'), 400],
];

describe.each(postRoutes())('%s', (path) => {
  it.each(CASES)('%s', async (_, make, status) => {
    const response = await post(path, make(BODIES[path]));
    const text = await response.text();
    expect(response.status, text.slice(0, 300)).toBe(status);
    if (status === 200) return;
    const { error } = JSON.parse(text) as Json;
    expect(error).toMatchObject({ type: 'invalid_request_error', param: null, code: 'E_INVALID_REQUEST' });
    // What was sent belongs in no answer and no log.
    expect(text.length).toBeLessThan(300);
  });

  it.each([
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/jsonp',
    'json',
    '',
  ])('as %j', async (type) => {
    const response = await post(path, BODIES[path], { headers: { 'content-type': type } });
    expect(response.status).toBe(400);
    expect(((await response.json()) as Json).error.message).toContain('Content-Type');
  });

  it('larger than 4 MiB', async () => {
    const response = await post(path, `{"a":"${'x'.repeat(4 * 1024 * 1024)}"}`);
    expect(response.status).toBe(413);
  });

  it('leaves nothing behind', () => {
    expect(runtime.numLive).toBe(0);
    expect(({} as Json).stream).toBeUndefined();
    expect(Object.keys(Object.prototype)).toEqual([]);
  });
});
