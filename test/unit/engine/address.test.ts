import { createServer } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import {
  apiKeysOf,
  clientKeyOf,
  isLoopback,
  requireFreePort,
  requireSafeAddress,
} from '../../../src/engine/address.js';

const settings = (host: string, apiKey: string | null = null, insecure = false) => ({
  host,
  'api-key': apiKey,
  insecure,
});

it.each(['127.0.0.1', '127.9.9.9', '::1', 'localhost'])('%s is this machine only', (host) => {
  expect(isLoopback(host)).toBe(true);
  expect(() => requireSafeAddress(settings(host))).not.toThrow();
});

describe('an address that others reach', () => {
  it.each(['0.0.0.0', '::', '192.168.1.5', '127.0.0.1.example.org', ''])('%s needs a key or --insecure', (host) => {
    expect(() => requireSafeAddress(settings(host))).toThrow(expect.objectContaining({ code: 'E_USAGE' }));
    expect(() => requireSafeAddress(settings(host, 'key'))).not.toThrow();
    expect(() => requireSafeAddress(settings(host, null, true))).not.toThrow();
  });
});

it('several keys are separated by commas; a list of none is no protection', () => {
  expect(apiKeysOf({ 'api-key': 'a, b,' })).toEqual(['a', 'b']);
  expect(apiKeysOf({ 'api-key': null })).toEqual([]);
  expect(clientKeyOf({ 'api-key': ' a,b' })).toBe('a');
  expect(clientKeyOf({ 'api-key': null })).toBeNull();
  expect(() => requireSafeAddress(settings('0.0.0.0', ' , '))).toThrow('--api-key holds no key');
});

describe('requireFreePort', () => {
  const taken = createServer();
  afterEach(() => taken.close());

  it('names the port that is taken, and what to do', async () => {
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    const { port } = taken.address() as { port: number };
    await expect(requireFreePort('127.0.0.1', port)).rejects.toMatchObject({
      code: 'E_PORT_IN_USE',
      message: `port ${port} on 127.0.0.1 is taken`,
      hint: expect.stringContaining('--port'),
    });
  });

  it('leaves a free port free', async () => {
    await requireFreePort('127.0.0.1', 0);
  });

  it('refuses an address that is not of this machine', async () => {
    await expect(requireFreePort('192.0.2.1', 0)).rejects.toMatchObject({ code: 'E_USAGE' });
  });
});
