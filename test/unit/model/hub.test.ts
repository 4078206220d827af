import { lstatSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { setLogLevel } from '../../../src/log.js';
import { chooseWeights, parseHubId } from '../../../src/model/hub-files.js';
import { type LoadModelOptions, type LoadProgress, loadModel } from '../../../src/model/load.js';
import { LocalHub } from './local-hub.js';
import { refusal, rejection, temporaryDirectory } from './temporary.js';
import { buildSafetensors, tinyConfig, tinyGguf, tinyTokenizerJson, tinyWeights } from './tiny-models.js';

const root = temporaryDirectory();
const hub = new LocalHub();
const COMMIT = 'c'.repeat(40);
let endpoint: string;
let cache: string;
let round = 0;

const text = (value: object) => Buffer.from(JSON.stringify(value));
const weights = buildSafetensors(tinyWeights());
const FILES = {
  'config.json': text(tinyConfig()),
  'tokenizer.json': text(tinyTokenizerJson()),
  'model.safetensors': weights,
  'README.md': Buffer.from('not needed'),
  'pytorch_model.bin': Buffer.from('not needed'),
  'onnx/model.onnx': Buffer.from('not needed'),
};

beforeAll(async () => {
  endpoint = await hub.start();
  setLogLevel('error');
});
afterAll(async () => {
  setLogLevel('info');
  await hub.stop();
});
beforeEach(() => {
  cache = join(root, String(round++));
  vi.stubEnv('HF_ENDPOINT', endpoint);
  vi.stubEnv('HF_HOME', join(root, 'home'));
  vi.stubEnv('HF_HUB_CACHE', cache);
  for (const name of ['HF_TOKEN', 'HF_HUB_OFFLINE', 'HTTP_PROXY', 'http_proxy', 'HTTPS_PROXY', 'https_proxy']) {
    vi.stubEnv(name, undefined);
  }
  hub.faults = {};
  hub.downloads.length = 0;
  hub.numRequests = 0;
  hub.repos.clear();
  hub.repos.set('org/tiny', { commit: COMMIT, files: FILES, lfs: ['model.safetensors'] });
});
afterEach(() => vi.unstubAllEnvs());

function load(model = 'org/tiny', options: Partial<LoadModelOptions> = {}) {
  return loadModel({ model, loadFormat: 'auto', ...options });
}

/** Leaves 100 bytes of the weights in the cache. */
async function stopInTheMiddle(): Promise<void> {
  const stop = new AbortController();
  hub.faults = { cutAfter: { path: 'model.safetensors', bytes: [100] } };
  const onProgress = ({ file, doneBytes }: LoadProgress) => {
    if (file === 'model.safetensors' && doneBytes >= 100) stop.abort();
  };
  expect((await rejection(load('org/tiny', { signal: stop.signal, onProgress }))).message).toBe('download stopped');
  hub.faults = {};
  hub.downloads.length = 0;
}

const repoPath = (...path: string[]) => join(cache, 'models--org--tiny', ...path);
const downloaded = () => hub.downloads.map(({ path }) => path);

describe('a download', () => {
  test('takes the files that are needed, in the layout of the Hugging Face cache', async () => {
    const events: LoadProgress[] = [];
    const model = await load('org/tiny', { onProgress: (event) => events.push(event) });
    expect(model.weights.files).toEqual([repoPath('snapshots', COMMIT, 'model.safetensors')]);
    expect(downloaded()).toEqual(['config.json', 'tokenizer.json', 'model.safetensors']);
    expect(readFileSync(repoPath('refs', 'main'), 'utf8')).toBe(COMMIT);
    expect(lstatSync(repoPath('snapshots', COMMIT, 'config.json')).isSymbolicLink()).toBe(true);
    expect(readdirSync(repoPath('blobs')).every((name) => /^([0-9a-f]{40}|[0-9a-f]{64})$/.test(name))).toBe(true);
    const last = events.filter(({ stage, file }) => stage === 'download' && file === 'model.safetensors').at(-1);
    expect(last).toMatchObject({ doneBytes: weights.length, totalBytes: weights.length });
    expect(events.some(({ stage }) => stage === 'verify')).toBe(true);
  });

  test('is not repeated', async () => {
    await load();
    hub.downloads.length = 0;
    await load();
    expect(downloaded()).toEqual([]);
    // A commit doesn't even need a question.
    hub.numRequests = 0;
    await load('org/tiny', { revision: COMMIT });
    expect(hub.numRequests).toBe(0);
  });

  test('follows the branch to a new commit, taking only what changed', async () => {
    await load();
    hub.downloads.length = 0;
    const files = { ...FILES, 'config.json': text(tinyConfig({ max_position_embeddings: 64 })) };
    hub.repos.set('org/tiny', { commit: 'd'.repeat(40), files, lfs: ['model.safetensors'] });
    expect((await load()).weights.config.maxContextLength).toBe(64);
    expect(downloaded()).toEqual(['config.json']);
  });

  test('goes on after a cut connection, from where it was', async () => {
    hub.faults = { cutAfter: { path: 'model.safetensors', bytes: [100] } };
    await load();
    const starts = hub.downloads.filter(({ path }) => path === 'model.safetensors').map(({ start }) => start);
    expect(starts).toEqual([0, 100]);
  });

  test('goes on in the next start', async () => {
    await stopInTheMiddle();
    expect(readdirSync(repoPath('blobs')).filter((name) => name.endsWith('.incomplete'))).toHaveLength(1);
    await load();
    expect(hub.downloads).toEqual([{ path: 'model.safetensors', start: 100 }]);
    expect(readdirSync(repoPath('blobs')).some((name) => name.includes('incomplete'))).toBe(false);
  });

  test('starts again where the hub does not resume', async () => {
    hub.faults = { cutAfter: { path: 'model.safetensors', bytes: [100] }, ignoreRange: true };
    expect((await load()).weights.tensors).toHaveLength(20);
  });

  test('of two processes at once is no trouble', async () => {
    const [a, b] = await Promise.all([load(), load()]);
    expect(a.weights.files).toEqual(b.weights.files);
  });

  test('a part that an earlier start left damaged is fetched anew', async () => {
    await stopInTheMiddle();
    const [partial = ''] = readdirSync(repoPath('blobs')).filter((name) => name.endsWith('.incomplete'));
    writeFileSync(repoPath('blobs', partial), Buffer.alloc(50, 7));
    expect((await load()).weights.tensors).toHaveLength(20);
  });

  test('that is not what the hub lists is refused, and leaves nothing', async () => {
    for (const corrupt of [1, 100]) {
      hub.faults = { corrupt };
      const error = await rejection(load());
      expect(error.code).toBe('E_CHECKSUM_MISMATCH');
      expect(error.message).toMatch(/^config.json: git hash is [0-9a-f]{40}, expected/);
      expect(readdirSync(repoPath('blobs'))).toEqual([]);
    }
    hub.faults = {};
    hub.repos.set('org/tiny', { commit: COMMIT, files: { ...FILES }, lfs: ['config.json'] });
    hub.faults = { corrupt: 1 };
    expect((await rejection(load())).message).toMatch(/^config.json: sha256 is/);
  });

  test('can be stopped', async () => {
    const stop = new AbortController();
    hub.faults = { cutAfter: { path: 'config.json', bytes: [10, 10, 10, 10] } };
    const loading = load('org/tiny', { signal: stop.signal });
    setTimeout(() => stop.abort(), 100);
    expect((await rejection(loading)).message).toBe('download stopped');
  });
});

describe('several files', () => {
  test('shards are those of the index', async () => {
    const entries = Object.entries(tinyWeights());
    const half = (from: number, to: number) => buildSafetensors(Object.fromEntries(entries.slice(from, to)));
    const weight_map = Object.fromEntries(entries.map(([name], i) => [name, `model-${i < 9 ? 1 : 2}.safetensors`]));
    const files = {
      'config.json': FILES['config.json'],
      'tokenizer.json': FILES['tokenizer.json'],
      'model.safetensors.index.json': text({ weight_map }),
      'model-1.safetensors': half(0, 9),
      'model-2.safetensors': half(9, 99),
      'consolidated.safetensors': Buffer.from('the same once more'),
    };
    hub.repos.set('org/tiny', { commit: COMMIT, files, lfs: [] });
    expect((await load()).weights.files).toHaveLength(2);
    expect(downloaded()).not.toContain('consolidated.safetensors');
    // A snapshot that lacks a shard is completed.
    rmSync(repoPath('snapshots', COMMIT, 'model-2.safetensors'));
    expect((await load()).weights.files).toHaveLength(2);
  });

  test('a shard name that leads out of the snapshot is refused', async () => {
    const index = text({ weight_map: { a: '../../evil.safetensors' } });
    const files = { 'config.json': FILES['config.json'], 'model.safetensors.index.json': index };
    hub.repos.set('org/tiny', { commit: COMMIT, files, lfs: [] });
    expect((await rejection(load())).code).toBe('E_MODEL_INVALID');
  });

  test('one GGUF file is taken, of several the named one', async () => {
    const gguf = tinyGguf();
    const one = { commit: COMMIT, files: { 'tiny-Q8_0.gguf': gguf }, lfs: ['tiny-Q8_0.gguf'] };
    hub.repos.set('org/tiny', one);
    expect((await load()).weights.files).toEqual([repoPath('snapshots', COMMIT, 'tiny-Q8_0.gguf')]);
    hub.repos.set('org/tiny', { ...one, commit: 'e'.repeat(40), files: { ...one.files, 'tiny-Q4_0.gguf': gguf } });
    const error = await rejection(load());
    expect(error.hint).toContain('tiny-Q8_0.gguf, tiny-Q4_0.gguf');
    expect((await load('org/tiny:q4_0')).weights.files[0]).toMatch(/tiny-Q4_0\.gguf$/);
    expect((await rejection(load('org/tiny:Q5_0'))).message).toContain("no GGUF file for 'Q5_0'");
  });

  test('dummy weights take only the small files', async () => {
    await load('org/tiny', { loadFormat: 'dummy' });
    expect(downloaded()).toEqual(['config.json', 'tokenizer.json']);
  });
});

describe('without the hub', () => {
  test('what is cached serves: offline, unreachable, out of order', async () => {
    await load();
    hub.numRequests = 0;
    vi.stubEnv('HF_HUB_OFFLINE', '1');
    await load();
    expect(hub.numRequests).toBe(0);
    vi.stubEnv('HF_HUB_OFFLINE', '0');
    hub.faults = { status: 503 };
    await load();
    vi.stubEnv('HF_ENDPOINT', 'http://127.0.0.1:1');
    await load();
  });

  test('what is not cached is refused with a way out', async () => {
    vi.stubEnv('HF_HUB_OFFLINE', '1');
    expect(await rejection(load())).toMatchObject({ code: 'E_MODEL_NOT_FOUND', hint: expect.stringContaining(cache) });
    vi.stubEnv('HF_HUB_OFFLINE', undefined);
    vi.stubEnv('HF_ENDPOINT', 'http://127.0.0.1:1');
    const error = await rejection(load());
    expect(error).toMatchObject({ code: 'E_DOWNLOAD_FAILED', message: expect.stringContaining("can't be reached") });
    expect(error.hint).toContain('HF_ENDPOINT');
  });

  test('half a snapshot is not taken for a whole one', async () => {
    await stopInTheMiddle();
    vi.stubEnv('HF_HUB_OFFLINE', '1');
    expect((await rejection(load())).code).toBe('E_MODEL_NOT_FOUND');
  });
});

describe('what the hub refuses', () => {
  test('gated: the hint names HF_TOKEN, and with it the model comes', async () => {
    hub.repos.set('org/tiny', { commit: COMMIT, files: FILES, lfs: [], token: 'hf_secret' });
    const error = await rejection(load());
    expect(error).toMatchObject({ code: 'E_DOWNLOAD_FAILED', message: 'org/tiny: access denied by the hub (403)' });
    expect(error.hint).toContain('set HF_TOKEN');
    vi.stubEnv('HF_TOKEN', 'hf_wrong');
    const wrong = await rejection(load());
    expect(wrong.hint).toContain('the account of HF_TOKEN');
    expect(JSON.stringify([wrong.message, wrong.hint])).not.toContain('hf_wrong');
    vi.stubEnv('HF_TOKEN', 'hf_secret');
    expect((await load()).weights.tensors).toHaveLength(20);
  });

  test.each([
    ['org/none', undefined, {}, 'E_DOWNLOAD_FAILED', /access denied by the hub \(401\)/],
    ['org/none', 'hf_x', {}, 'E_MODEL_NOT_FOUND', /not on the hub at revision main/],
    ['org/tiny', undefined, { revision: 'v2' }, 'E_MODEL_NOT_FOUND', /not on the hub at revision v2/],
    ['org/tiny', undefined, { revision: '../x' }, 'E_USAGE', /--revision \.\.\/x/],
  ] as const)('%s with token %s and %j', async (model, token, options, code, message) => {
    vi.stubEnv('HF_TOKEN', token);
    const error = await rejection(load(model, options));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
  });

  test('too many requests', async () => {
    hub.faults = { status: 429 };
    expect((await rejection(load())).message).toMatch(/too many requests/);
  });
});

describe('which weights a listing holds', () => {
  const choose = (paths: string[], model = 'o/n', format: 'auto' | 'gguf' | 'safetensors' = 'auto') =>
    chooseWeights(parseHubId(model), format, paths);

  test('safetensors before GGUF, unless asked otherwise', () => {
    const both = ['model.safetensors', 'a-Q4_0.gguf'];
    expect(choose(both)).toEqual({ kind: 'single', files: ['model.safetensors'] });
    expect(choose(both, 'o/n', 'gguf')).toEqual({ kind: 'gguf', files: ['a-Q4_0.gguf'] });
    expect(choose(both, 'o/n:Q4_0')).toEqual({ kind: 'gguf', files: ['a-Q4_0.gguf'] });
  });

  test('all splits of a GGUF file, in folders too', () => {
    const splits = ['Q4_K_M/a-Q4_K_M-00001-of-00002.gguf', 'Q4_K_M/a-Q4_K_M-00002-of-00002.gguf'];
    expect(choose(splits)).toEqual({ kind: 'gguf', files: splits });
    expect(choose([...splits, 'a-Q8_0.gguf'], 'o/n:Q4_K_M')).toEqual({ kind: 'gguf', files: splits });
  });

  test('none is refused', () => {
    expect(refusal(() => choose(['pytorch_model.bin'])).hint).toContain('.bin');
    expect(refusal(() => choose(['a.gguf'], 'o/n', 'safetensors')).code).toBe('E_MODEL_NOT_FOUND');
  });
});
