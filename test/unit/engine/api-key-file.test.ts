import { chmodSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { readKeyFile, warnOfOpenKeyFile, watchKeyFile } from '../../../src/engine/api-key-file.js';
import { log } from '../../../src/log.js';

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'jsg-keys-'));
  file = join(folder, 'keys');
});
afterEach(() => {
  rmSync(folder, { recursive: true });
  vi.restoreAllMocks();
});

describe('readKeyFile', () => {
  it('takes one key a line, without comments, blank lines and repetitions', () => {
    writeFileSync(file, '# the team\r\nalpha-1\r\n\n  beta.2  \nalpha-1\n#gone\n');
    expect(readKeyFile(file)).toEqual(['alpha-1', 'beta.2']);
  });

  it.each([
    ['two words', 'ok\nse cret', 'line 2 is no key'],
    ['a comma', 'a,b', 'line 1 is no key'],
    ['other letters', 'schlüssel', 'line 1 is no key'],
    ['a long line', 'x'.repeat(513), 'line 1 is no key'],
    ['only comments', '# nothing\n\n', 'holds no key'],
    ['a megabyte', 'x\n'.repeat(600_000), 'is larger than'],
  ])('refuses %s, and quotes nothing of it', (_, text, message) => {
    writeFileSync(file, text);
    expect(() => readKeyFile(file)).toThrow(expect.objectContaining({ code: 'E_USAGE' }));
    expect(() => readKeyFile(file)).toThrow(message);
    expect(() => readKeyFile(file)).not.toThrow('se cret');
  });

  it('names a file that is not there', () => {
    expect(() => readKeyFile(file)).toThrow(`${file} cannot be read (ENOENT)`);
  });
});

it('warns of a file that others may read', () => {
  const warning = vi.spyOn(log, 'warning').mockImplementation(() => {});
  writeFileSync(file, 'key', { mode: 0o600 });
  warnOfOpenKeyFile(file);
  expect(warning).not.toHaveBeenCalled();
  chmodSync(file, 0o644);
  warnOfOpenKeyFile(file);
  expect(warning.mock.calls.flat().join()).toContain('chmod 600');
});

it('says nothing of a file that is touched, and does not miss what changed before it watched', async () => {
  const info = vi.spyOn(log, 'info').mockImplementation(() => {});
  writeFileSync(file, 'one');
  const seen: string[][] = [];
  const stop = watchKeyFile(file, ['zero'], (keys) => seen.push(keys), 10);
  await vi.waitFor(() => expect(seen).toEqual([['one']]), 5000);
  writeFileSync(file, 'one\n# touched\n');
  writeFileSync(`${file}.new`, 'two');
  await new Promise((resolve) => setTimeout(resolve, 50));
  renameSync(`${file}.new`, file);
  await vi.waitFor(() => expect(seen).toEqual([['one'], ['two']]), 5000);
  expect(info).toHaveBeenCalledTimes(2);
  stop();
});

it('hands over changed keys, and keeps the old ones where the file is wrong or gone', async () => {
  vi.spyOn(log, 'info').mockImplementation(() => {});
  const warning = vi.spyOn(log, 'warning').mockImplementation(() => {});
  writeFileSync(file, 'one');
  const seen: string[][] = [];
  const stop = watchKeyFile(file, ['one'], (keys) => seen.push(keys), 10);
  const rename = (text: string) => {
    writeFileSync(`${file}.new`, text);
    renameSync(`${file}.new`, file);
  };
  rename('one\ntwo');
  await vi.waitFor(() => expect(seen).toEqual([['one', 'two']]), 5000);
  rename('t w o');
  await vi.waitFor(() => expect(warning).toHaveBeenCalledTimes(1), 5000);
  rmSync(file);
  await vi.waitFor(() => expect(warning).toHaveBeenCalledTimes(2), 5000);
  rename('three');
  await vi.waitFor(() => expect(seen).toEqual([['one', 'two'], ['three']]), 5000);
  stop();
});
