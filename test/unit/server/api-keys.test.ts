import { expect, it } from 'vitest';
import { ApiKeys } from '../../../src/server/api-keys.js';
import { testApp } from './test-app.js';

it('gives each key a number of its own, the same in every server', () => {
  const keys = new ApiKeys(['one', 'two', 'one']);
  expect(keys.count).toBe(2);
  const one = keys.check('one')?.namespace;
  const two = keys.check('two')?.namespace;
  expect(one).toBeGreaterThan(0);
  expect(two).toBeGreaterThan(0);
  expect(one).not.toBe(two);
  expect(keys.check('three')).toBeNull();
  expect(keys.check(undefined)).toBeNull();

  keys.replace(['three', 'two']);
  expect(keys.check('one')).toBeNull();
  expect(keys.check('two')?.namespace).toBe(two);
  expect([one, two]).not.toContain(keys.check('three')?.namespace);
  keys.replace(['one']);
  expect(keys.check('one')?.namespace).toBe(one);
  expect(new ApiKeys(['zero', 'one']).check('one')?.namespace).toBe(one);
  expect(Number.isSafeInteger(one)).toBe(true);
});

it('lets anyone in, as one caller, where there is no key', () => {
  const keys = new ApiKeys();
  expect(keys.check(undefined)).toEqual({ namespace: 0 });
  expect(keys.check('whatever')).toEqual({ namespace: 0 });
});

it('takes keys as OpenAI’s and as Anthropic’s clients send them, and new ones at once', async () => {
  const { app } = testApp({ server: { apiKeys: ['key-one'] } });
  const ask = async (headers: Record<string, string>) => (await app.request('/v1/models', { headers })).status;
  expect(await ask({ authorization: 'Bearer key-one' })).toBe(200);
  expect(await ask({ 'x-api-key': 'key-one' })).toBe(200);
  expect(await ask({ 'x-api-key': 'key-two' })).toBe(401);
  expect(await ask({})).toBe(401);
  app.apiKeys.replace(['key-two']);
  expect(await ask({ 'x-api-key': 'key-two' })).toBe(200);
  expect(await ask({ authorization: 'Bearer key-one' })).toBe(401);
});
