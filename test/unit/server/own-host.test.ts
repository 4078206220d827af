/** Against DNS rebinding: a page of evil.example whose name leads to 127.0.0.1 is of the server's origin to a browser. */
import { describe, expect, it } from 'vitest';
import { isForThisMachineAlone } from '../../../src/engine/address.js';
import { isOwnHost } from '../../../src/server/own-host.js';
import { testApp } from './test-app.js';

describe('isOwnHost', () => {
  it.each([
    '127.0.0.1:30000',
    '127.0.0.1',
    '10.0.0.2:80',
    '[::1]:30000',
    'localhost:30000',
    'LocalHost',
    'localhost.:1',
    'jsg.localhost:30000',
    'Orin-1:30000',
  ])('%s', (host) => {
    expect(isOwnHost(host, ['orin-1'])).toBe(true);
  });

  it.each([
    'evil.example:30000',
    '127.0.0.1.evil.example',
    'localhost.evil.example',
    'notlocalhost',
    'orin-1.evil.example',
    '127.0.0.1@evil.example',
    '[::1].evil.example',
    '',
  ])('not %j', (host) => {
    expect(isOwnHost(host, ['orin-1'])).toBe(false);
  });
});

it('a server for its own machine is not asked by another name, whatever the path', async () => {
  const { app } = testApp({ server: { ownHostOnly: true } });
  for (const path of ['/v1/models', '/health', '/v1/messages', '/nothing']) {
    const response = await app.request(path, { headers: { host: 'evil.example:30000' } });
    expect(response.status, path).toBe(403);
    expect((await response.json()).error, path).toMatchObject({ type: 'permission_error', code: 'E_FORBIDDEN' });
  }
  expect((await app.request('/v1/models', { headers: { host: '127.0.0.1:30000' } })).status).toBe(200);
  expect((await app.request('/v1/models')).status).toBe(200);
});

it('is what a loopback address without a key means', () => {
  const settings = { host: '127.0.0.1', 'api-key': null, insecure: false };
  expect(isForThisMachineAlone(settings)).toBe(true);
  for (const other of [{ host: '0.0.0.0' }, { 'api-key': 'k' }, { insecure: true }]) {
    expect(isForThisMachineAlone({ ...settings, ...other })).toBe(false);
  }
});
