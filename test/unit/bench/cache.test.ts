import { mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { describeProgress, describeSeconds } from '../../../src/bench/eta.js';
import { hashModel } from '../../../src/bench/facts.js';
import { cachedShare, dropCache, parseFincore } from '../../../src/bench/page-cache.js';
import { fakeSource } from '../device/fake-source.js';

describe('page cache', () => {
  it('reads the share of all files from fincore', () => {
    expect(parseFincore('0 1000\n500 1000\n')).toBe(0.25);
    // Whole pages: 4096 for a file of 10 bytes.
    expect(parseFincore('4096 10')).toBe(1);
    expect(parseFincore('fincore: failed')).toBeNull();
  });

  it('does not know where the tools are not there', async () => {
    expect(await cachedShare(fakeSource({}), ['f'])).toBeNull();
    expect(await dropCache(fakeSource({}), ['f'])).toBe(false);
    expect(await dropCache(fakeSource({ commands: { dd: '' } }), ['f'])).toBe(true);
  });
});

describe('progress', () => {
  it('guesses what is left from what was done', () => {
    expect(describeProgress(0.25, 10_000)).toBe('25 %, about 30 s left');
    expect(describeProgress(0, 10_000)).toBe('0 %');
    expect(describeProgress(0.5, 300)).toBe('50 %');
    expect(describeProgress(1.2, 10_000)).toMatch(/^100 %/);
  });

  it('in words', () => {
    expect([0.2, 99, 200, 7500].map(describeSeconds)).toEqual(['1 s', '99 s', '3 min 20 s', '2 h 5 min']);
  });
});

describe('hashModel', () => {
  const folder = mkdtempSync(join(tmpdir(), 'jsg-hash-'));
  const signal = new AbortController().signal;
  const EMPTY = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

  it('of a file is what sha256sum prints', async () => {
    const file = join(folder, 'x.gguf');
    writeFileSync(file, '');
    expect(await hashModel(file, signal)).toEqual({ sha256: EMPTY, of: 'x.gguf' });
  });

  it('of the hub takes the name of the blob, and of several files the hash of their list', async () => {
    const model = join(folder, 'model');
    mkdirSync(model);
    const blob = join(folder, 'a'.repeat(64));
    writeFileSync(blob, 'not read');
    symlinkSync(blob, join(model, 'model-1.safetensors'));
    expect(await hashModel(model, signal)).toEqual({ sha256: 'a'.repeat(64), of: 'model-1.safetensors' });
    writeFileSync(join(model, 'model-2.safetensors'), '');
    writeFileSync(join(model, 'config.json'), '{}');
    const both = await hashModel(model, signal);
    expect(both?.of).toBe('sha256sum of 2 files');
    expect(both?.sha256).toMatch(/^[0-9a-f]{64}$/);
    expect(both?.sha256).not.toBe(EMPTY);
  });
});
