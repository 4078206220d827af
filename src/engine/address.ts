/** Is the address that a server is to listen on safe, and free? Asked before minutes of loading. */
import { createServer } from 'node:net';
import { JsgError } from '../errors.js';
import { log } from '../log.js';
import type { Settings } from '../profile/flags.js';
import { bindError } from '../server/listen.js';

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);
}

/** The keys of `--api-key a,b`; none where none is set. Throws E_USAGE for a list that holds no key. */
export function apiKeysOf(settings: Pick<Settings, 'api-key'>): string[] {
  const given = settings['api-key'];
  const keys =
    given
      ?.split(',')
      .map((key) => key.trim())
      .filter(Boolean) ?? [];
  if (given !== null && keys.length === 0) throw new JsgError('E_USAGE', '--api-key holds no key');
  return keys;
}

/** The one key to send where a single one is taken: the first. Null: none is set. Throws as apiKeysOf. */
export function clientKeyOf(settings: Pick<Settings, 'api-key'>): string | null {
  return apiKeysOf(settings)[0] ?? null;
}

/** Says that of several keys a program that takes one gets the first. */
export function warnOfFurtherKeys(settings: Pick<Settings, 'api-key'>, program: string): void {
  const { length } = apiKeysOf(settings);
  if (length > 1) log.warning(`${program} takes one API key: the first of these ${length}`);
}

/** Nobody else is to reach the server, and whoever does needs no key. */
export function isForThisMachineAlone(settings: Pick<Settings, 'host' | 'api-key' | 'insecure'>): boolean {
  return isLoopback(settings.host) && apiKeysOf(settings).length === 0 && !settings.insecure;
}

/** Throws E_USAGE where strangers could reach a server that asks for no key. */
export function requireSafeAddress(settings: Pick<Settings, 'host' | 'api-key' | 'insecure'>): void {
  const hasKey = apiKeysOf(settings).length > 0;
  if (isLoopback(settings.host) || hasKey || settings.insecure) return;
  throw new JsgError('E_USAGE', `--host ${settings.host} is open to other machines and no API key is set`, {
    hint: 'Add --api-key KEY, or --insecure if that is what you want.',
  });
}

/** Throws what `listen` would throw. */
export async function requireFreePort(host: string, port: number): Promise<void> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(bindError(error, host, port)));
    server.listen(port, host, () => resolve());
  });
  await new Promise((resolve) => server.close(resolve));
}

/** A port that is free now. */
export async function freePort(host: string): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(bindError(error, host, 0)));
    server.listen(0, host, () => resolve());
  });
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}
