/** `--api-key-file` of several keys: followed by the server, and by a router whose workers have the same file. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { Jsg, jsg } from './jsg.js';

const folder = mkdtempSync(join(tmpdir(), 'jsg-e2e-keys-'));
const file = join(folder, 'keys');
const running: Jsg[] = [];
afterEach(async () => {
  for (const each of running.splice(0).reverse()) await each.end();
});
afterAll(() => rmSync(folder, { recursive: true }));

const write = (...keys: string[]) => writeFileSync(file, `${keys.join('\n')}\n`, { mode: 0o600 });
const LAUNCH = ['launch', '--profile', 'smollm2', '--port', '0', '--context-length', '1024', '--api-key-file', file];

function start(args: string[]): Jsg {
  const started = new Jsg(args);
  running.push(started);
  return started;
}
const urlOf = async (started: Jsg) => (await started.waitFor(/served at (\S+)/))[1] as string;

async function statusOf(url: string, key: string): Promise<number> {
  const response = await fetch(`${url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
    body: JSON.stringify({ model: 'smollm2', prompt: 'Hello', max_tokens: 1 }),
  });
  await response.arrayBuffer();
  return response.status;
}

describe('--api-key-file', () => {
  it('is followed when it changes while the model is loaded, and later', async () => {
    write('first');
    const server = start(LAUNCH);
    await expect.poll(() => server.stderr, { timeout: 30_000, interval: 10 }).toContain('finding');
    write('second');
    const url = await urlOf(server);
    await expect.poll(() => statusOf(url, 'second'), { timeout: 10_000 }).toBe(200);
    expect(await statusOf(url, 'first')).toBe(401);
    write('third');
    await expect.poll(() => statusOf(url, 'third'), { timeout: 10_000 }).toBe(200);
  });

  it('is where jsg chat finds a key, which no process list shows', async () => {
    write('first', 'second');
    const url = await urlOf(start(LAUNCH));
    const chat = (args: string[], env: Record<string, string> = {}) =>
      jsg(['chat', url, '--max-tokens', '1', ...args], { input: 'hi', env });
    expect((await chat(['--api-key-file', file])).code).toBe(0);
    expect((await chat([], { JSG_API_KEY: 'second' })).code).toBe(0);
    const none = await chat([]);
    expect([none.code, none.stderr]).toEqual([1, expect.stringContaining('asks for an API key')]);

    const waiting = start(['chat', url, '--api-key', 'second']);
    const commandLine = () => readFileSync(`/proc/${waiting.child.pid}/cmdline`, 'utf8');
    await expect.poll(commandLine, { timeout: 10_000 }).toMatch(/chat.*--api-key \*\*\*/);
    expect(commandLine()).not.toContain('second');
  });

  it('of several keys: the first is that of a router and its workers', async () => {
    write('first', 'second');
    const worker = await urlOf(start(LAUNCH));
    expect([await statusOf(worker, 'first'), await statusOf(worker, 'second')]).toEqual([200, 200]);
    const router = start(['route', '--worker', worker, '--port', '0', '--api-key-file', file]);
    const url = await urlOf(router);
    expect(router.stderr).toContain('sglang-router takes one API key: the first of these 2');
    expect(await statusOf(url, 'first')).toBe(200);
    expect(await statusOf(url, 'first,second')).toBe(401);
    const list = await jsg(['route', 'list', '--router', url, '--api-key-file', file, '--json']);
    expect(JSON.parse(list.stdout)).toMatchObject([{ url: worker, is_healthy: true, model_id: 'smollm2' }]);
    expect((await jsg(['route', 'remove', worker, '--router', url, '--api-key-file', file])).code).toBe(0);
    expect((await jsg(['route', 'add', worker, '--router', url, '--api-key-file', file])).code).toBe(0);
    await expect.poll(() => statusOf(url, 'first'), { timeout: 20_000 }).toBe(200);
  });
});
