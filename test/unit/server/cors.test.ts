import { describe, expect, it } from 'vitest';
import { parseOrigins } from '../../../src/server/cors.js';
import { CHAT, testApp } from './test-app.js';

const ORIGIN = 'https://app.example';
const PATH = '/v1/chat/completions';
const preflight = (origin: string) => ({
  method: 'OPTIONS',
  headers: {
    origin,
    'access-control-request-method': 'POST',
    'access-control-request-headers': 'authorization, x-new',
  },
});
const allowed = (response: Response) => response.headers.get('access-control-allow-origin');

describe('parseOrigins', () => {
  it('takes origins as browsers send them', () => {
    expect(parseOrigins(null)).toEqual([]);
    expect(parseOrigins('https://a.example, http://localhost:5173,')).toEqual([
      'https://a.example',
      'http://localhost:5173',
    ]);
    expect(parseOrigins('tauri://localhost')).toEqual(['tauri://localhost']);
    expect(parseOrigins('https://a.example,*')).toEqual(['*']);
  });

  it.each([
    [' , ', 'names no origin', ''],
    ['https://a.example/', 'is no origin', 'https://a.example.'],
    ['https://A.example:443', 'is no origin', 'https://a.example.'],
    ['a.example', 'is no origin', 'scheme://'],
    ['null', 'is no origin', 'scheme://'],
    ['https://*.example/x y', 'is no origin', ''],
  ])('refuses %s', (text, message, hint) => {
    let thrown: { message?: string; hint?: string } = {};
    try {
      parseOrigins(text);
    } catch (error) {
      thrown = error as object;
    }
    expect(thrown.message).toContain(message);
    expect(thrown.hint ?? '').toContain(hint);
  });
});

it('says nothing of origins by default', async () => {
  const { app, post } = testApp({ server: { apiKeys: ['key'] } });
  const asked = await app.request(PATH, preflight(ORIGIN));
  expect(asked.status).toBe(401);
  expect(allowed(asked)).toBeNull();
  const headers = { origin: ORIGIN, authorization: 'Bearer key' };
  expect(allowed(await post(PATH, CHAT, { headers }))).toBeNull();
});

describe('with an origin', () => {
  const { app, post } = testApp({ server: { apiKeys: ['key'], corsOrigins: [ORIGIN] } });

  it('answers its preflights, which carry no key', async () => {
    const response = await app.request(PATH, preflight(ORIGIN));
    expect(response.status).toBe(204);
    expect(allowed(response)).toBe(ORIGIN);
    expect(response.headers.get('access-control-allow-methods')).toContain('POST');
    expect(response.headers.get('access-control-allow-headers')).toBe('authorization,x-new');
    expect(response.headers.get('vary')).toContain('Origin');
  });

  it.each(['https://evil.example', 'https://app.example.evil.example', 'http://app.example', 'null'])(
    'answers none of %s',
    async (origin) => {
      const response = await app.request(PATH, preflight(origin));
      expect(response.status).toBe(401);
      expect(allowed(response)).toBeNull();
    },
  );

  it('lets its pages read answers, streams and errors', async () => {
    const headers = { origin: ORIGIN, authorization: 'Bearer key' };
    const whole = await post(PATH, CHAT, { headers });
    expect([whole.status, allowed(whole)]).toEqual([200, ORIGIN]);
    const streamed = await post(PATH, { ...CHAT, stream: true }, { headers });
    expect(streamed.headers.get('content-type')).toContain('text/event-stream');
    expect(allowed(streamed)).toBe(ORIGIN);
    await streamed.text();
    const refused = await post(PATH, {}, { headers });
    expect([refused.status, allowed(refused)]).toEqual([400, ORIGIN]);
    const locked = await post(PATH, CHAT, { headers: { origin: ORIGIN } });
    expect([locked.status, allowed(locked)]).toEqual([401, ORIGIN]);
    expect(locked.headers.get('content-type')).toBe('application/json');
  });

  it('is of no concern to other clients', async () => {
    expect(allowed(await post(PATH, CHAT, { headers: { authorization: 'Bearer key' } }))).toBeNull();
    expect((await app.request(PATH, { method: 'OPTIONS', headers: { authorization: 'Bearer key' } })).status).toBe(405);
  });
});

it('lets any page in where it is told so', async () => {
  const { app } = testApp({ server: { corsOrigins: ['*'] } });
  expect(allowed(await app.request('/v1/models', { headers: { origin: 'https://any.example' } }))).toBe('*');
});

describe('requests of other pages that ask nobody first', () => {
  const { app } = testApp({ server: { corsOrigins: [ORIGIN] } });
  const from = (site: string, more: Record<string, string> = {}) => ({ 'sec-fetch-site': site, ...more });
  const status = async (method: string, path: string, headers: Record<string, string>) =>
    (await app.request(path, { method, headers })).status;

  it.each(['cross-site', 'same-site'])('are refused, %s', async (site) => {
    expect(await status('GET', '/flush_cache', from(site))).toBe(403);
    expect(await status('POST', '/flush_cache', from(site, { origin: 'https://evil.example' }))).toBe(403);
    expect(await status('POST', '/flush_cache', from(site, { 'sec-fetch-user': '?1' }))).toBe(403);
    const response = await app.request('/save_cache', { method: 'POST', headers: from(site, { origin: 'null' }) });
    expect(await response.json()).toMatchObject({
      error: { type: 'permission_error', message: expect.stringContaining("--cors-origin '*'") },
    });
  });

  it('are answered where the origin may, where somebody follows a link, and on open paths', async () => {
    expect(await status('POST', '/flush_cache', from('cross-site', { origin: ORIGIN }))).toBe(200);
    expect(await status('GET', '/v1/models', from('cross-site', { 'sec-fetch-user': '?1' }))).toBe(200);
    expect(await status('GET', '/health', from('cross-site'))).not.toBe(403);
  });

  it.each(['same-origin', 'none'])('are not those that come %s', async (site) => {
    expect(await status('POST', '/flush_cache', from(site))).toBe(200);
  });
});
