/** The prefix cache from one server to the next, by a file. */
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { RuntimeSpec } from '../../src/addon/binding.js';
import type { Runtime } from '../../src/addon/runtime.js';
import { SessionFile, sessionIdentity } from '../../src/engine/session-file.js';
import { log } from '../../src/log.js';
import { loadModel } from '../../src/model/load.js';
import { createApp } from '../../src/server/app.js';
import { GOLDEN, runGreedy, startRuntime } from './golden-models.js';

const PROMPT = Array.from({ length: 100 }, (_, i) => (7 * i) % 250);

let folder: string;
let path: string;
const running: Runtime[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'jsg-session-'));
  path = join(folder, 'session.kv');
});
afterEach(async () => {
  vi.restoreAllMocks();
  await Promise.all(running.splice(0).map((runtime) => runtime.stop()));
  await rm(folder, { recursive: true });
});

/** A runtime that has restored the session, and what it said of it. */
async function start(overrides: Partial<RuntimeSpec> = {}, name = 'llama') {
  const { weights } = await loadModel({ model: join(GOLDEN, 'tiny', name), loadFormat: 'auto' });
  const runtime = await startRuntime(weights, { maxTotalTokens: 1024, ...overrides });
  running.push(runtime);
  const spec = { backend: 'cpu', dtype: 'f16', kvCacheDtype: 'f32', loadFormat: 'mmap', ...weights, ...overrides };
  const identity = await sessionIdentity(spec as RuntimeSpec, runtime.info.kvBytesPerToken);
  const file = new SessionFile(path, identity);
  const session = { save: () => file.save(runtime), saveAtEnd: () => file.saveAtEnd(runtime) };
  const info = vi.spyOn(log, 'info').mockImplementation(() => {});
  const warning = vi.spyOn(log, 'warning').mockImplementation(() => {});
  info.mockClear();
  await file.restore(runtime);
  const said = [...info.mock.calls, ...warning.mock.calls].flat().join('\n');
  info.mockClear();
  warning.mockClear();
  return { runtime, session, said, warning };
}

const ask = (runtime: Runtime) => runGreedy(runtime, PROMPT, 20);

test('a new server goes on where the old one ended', async () => {
  const old = await start();
  expect(old.said).toBe('');
  const expected = await ask(old.runtime);
  await old.session.saveAtEnd();
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect(await readdir(folder)).toEqual(['session.kv']);

  const next = await start();
  expect(next.said).toMatch(/^session: 112 tokens from .*session\.kv in [\d.]+ s$/);
  expect(next.runtime.stats().evictableTokens).toBe(112);
  const answer = await ask(next.runtime);
  expect(answer[0]?.cachedTokens).toBe(96);
  expect(answer.map(({ tokenId }) => tokenId)).toEqual(expected.map(({ tokenId }) => tokenId));
});

test.each<[string, Partial<RuntimeSpec>, string, RegExp]>([
  ['another type of KV', { kvCacheDtype: 'f16' }, 'llama', /its type of KV differ \(f32, here f16\)/],
  ['other weights', {}, 'qwen2', /its weights differ/],
])('%s: told, and not used', async (_, overrides, name, message) => {
  const old = await start();
  await ask(old.runtime);
  await old.session.save();
  const next = await start(overrides, name);
  expect(next.said).toMatch(message);
  expect(next.said).toContain('is not used');
  expect((await ask(next.runtime))[0]?.cachedTokens).toBe(0);
  await next.session.save();
  expect((await start(overrides, name)).said).toContain('112 tokens from');
});

test('a damaged file, and one that is none: told, and not used', async () => {
  const old = await start();
  await ask(old.runtime);
  await old.session.save();
  const good = await readFile(path);
  for (const [bytes, message] of [
    [Buffer.concat([good.subarray(0, -100), Buffer.alloc(100, 1)]), /record 6 is damaged/],
    [good.subarray(0, -100), /ends in the middle of a record/],
    [Buffer.from('MZ\n'), /is no session file/],
    [Buffer.alloc(0), /is no session file/],
  ] as const) {
    await writeFile(path, bytes);
    const next = await start();
    expect(next.said).toMatch(message);
    expect(next.runtime.stats().evictableTokens).toBe(0);
    expect((await ask(next.runtime))[0]?.cachedTokens).toBe(0);
  }
});

test('a place that cannot be written keeps no server from its end', async () => {
  const { runtime, session, warning } = await start();
  await ask(runtime);
  await rm(folder, { recursive: true });
  await session.saveAtEnd();
  expect(warning.mock.calls.flat().join()).toMatch(/not saved: .*cannot be opened: No such file/);
  folder = await mkdtemp(join(tmpdir(), 'jsg-session-'));
});

test('POST /save_cache saves while nothing runs', async () => {
  const { runtime, session } = await start();
  const model = await loadModel({ model: join(GOLDEN, 'tiny', 'llama'), loadFormat: 'auto' });
  const options = {
    servedModelName: 'tiny',
    modelPath: 'tiny',
    contextLength: 256,
    maxRunningRequests: 8,
    maxQueuedRequests: 8,
    apiKeys: [],
    strictModelName: false,
    drainTimeoutMs: 1000,
    decodeLogInterval: 40,
    serverInfo: {},
  };
  const app = createApp({ runtime, model, options, saveSession: () => session.save() });
  const save = () => app.request('/save_cache', { method: 'POST' });
  const body = JSON.stringify({ prompt: PROMPT, max_tokens: 20, ignore_eos: true, stream: true });
  const headers = { 'content-type': 'application/json' };
  const busy = await app.request('/v1/completions', { method: 'POST', headers, body });
  expect((await save()).status).toBe(400);
  await busy.text();
  expect(await (await save()).json()).toEqual({ success: true, message: 'Cache saved.', tokens: 112 });
  expect((await start()).said).toContain('112 tokens from');

  const without = createApp({ runtime, model, options });
  expect((await without.request('/save_cache', { method: 'POST' })).status).toBe(400);
});
