import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { log } from '../../../src/log.js';
import { loadPage, type PageFile } from '../../../src/server/page.js';
import { testApp } from './test-app.js';

const SCRIPT = `export const text = '${'long enough to be worth gzip '.repeat(20)}';`;
let folder: string;
let page: PageFile[];

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'jsg-page-'));
  mkdirSync(join(folder, 'assets'));
  writeFileSync(join(folder, 'index.html'), '<!doctype html><title>page</title>');
  writeFileSync(join(folder, 'assets', 'index-abc123.js'), SCRIPT);
  writeFileSync(join(folder, 'LICENSES.md'), 'not served');
  page = loadPage(folder);
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('the page at /', () => {
  it('is sent with a policy that lets nothing in from elsewhere', async () => {
    const response = await testApp({ page }).app.request('/');
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(response.headers.get('cache-control')).toBe('no-cache');
    expect(response.headers.get('x-content-type-options')).toBe('nosniff');
    const policy = response.headers.get('content-security-policy') ?? '';
    expect(policy).toContain("default-src 'self'");
    expect(policy).toContain("require-trusted-types-for 'script'");
    expect(policy).not.toMatch(/unsafe|\*|https?:/);
    expect(await response.text()).toContain('<title>page</title>');
  });

  it('is cached for ever where the name holds a hash, and asked for again elsewhere', async () => {
    const { app } = testApp({ page });
    const script = await app.request('/assets/index-abc123.js');
    expect(script.headers.get('content-type')).toBe('text/javascript; charset=utf-8');
    expect(script.headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
    const etag = (await app.request('/')).headers.get('etag') ?? '';
    const again = await app.request('/', { headers: { 'if-none-match': `"other", W/${etag}` } });
    expect(again.status).toBe(304);
    expect(await again.text()).toBe('');
    expect((await app.request('/', { headers: { 'if-none-match': '"other"' } })).status).toBe(200);
  });

  it('is gzipped for those who take that', async () => {
    const { app } = testApp({ page });
    const get = (encoding: string) =>
      app.request('/assets/index-abc123.js', { headers: { 'accept-encoding': encoding } });
    const gzipped = await get('br, gzip;q=0.8');
    expect(gzipped.headers.get('content-encoding')).toBe('gzip');
    expect(gzipped.headers.get('vary')).toBe('Accept-Encoding');
    const bytes = Buffer.from(await gzipped.arrayBuffer());
    expect(gzipped.headers.get('content-length')).toBe(String(bytes.length));
    expect(gunzipSync(bytes).toString()).toBe(SCRIPT);
    for (const encoding of ['', 'br', 'gzip;q=0', 'gzip; q=0.0']) {
      const plain = await get(encoding);
      expect(plain.headers.get('content-encoding'), encoding).toBeNull();
      expect(await plain.text()).toBe(SCRIPT);
      expect(plain.headers.get('etag')).not.toBe(gzipped.headers.get('etag'));
    }
  });

  it('takes GET and HEAD, and has no path but its own', async () => {
    const { app } = testApp({ page });
    const head = await app.request('/', { method: 'HEAD' });
    expect(head.status).toBe(200);
    expect(Number(head.headers.get('content-length'))).toBeGreaterThan(0);
    expect(await head.text()).toBe('');
    expect((await app.request('/', { method: 'POST' })).status).toBe(405);
    const strangers = ['/assets/', '/assets/../index.html/', '/assets/%2e%2e/%2e%2e/package.json', '/index.html'];
    for (const path of [...strangers, '/LICENSES.md', '/assets/..%2findex.html', '//etc/passwd']) {
      expect((await app.request(path)).status, path).toBe(404);
    }
  });

  it('needs no key, and everything else does', async () => {
    const { app } = testApp({ page, server: { apiKeys: ['secret'] } });
    expect((await app.request('/')).status).toBe(200);
    expect((await app.request('/assets/index-abc123.js')).status).toBe(200);
    for (const path of ['/metrics', '/v1/status', '/get_server_info', '/assets/other.js']) {
      expect((await app.request(path)).status, path).toBe(401);
    }
  });

  it('is not there where there are no files', async () => {
    const warning = vi.spyOn(log, 'warning').mockImplementation(() => {});
    expect(loadPage(join(folder, 'missing'))).toEqual([]);
    expect(warning.mock.calls.flat().join()).toContain('npm run build');
    warning.mockRestore();
    const response = await testApp().app.request('/');
    expect(response.status).toBe(404);
    expect(await response.json()).toMatchObject({ error: { code: 'E_NOT_FOUND' } });
  });
});
