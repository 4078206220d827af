import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { RotatingLog } from '../../../src/engine/rotating-log.js';
import { temporaryDirectory } from '../model/temporary.js';

it('a log rotates at its size, keeps five files and loses no line in between', () => {
  const directory = join(temporaryDirectory(), 'logs');
  const log = new RotatingLog(directory, 'sglang-30000', 100);
  for (let i = 0; i < 60; i++) log.write(`line ${String(i).padStart(3, '0')}`);
  log.close();
  const files = readdirSync(directory).sort();
  expect(files).toHaveLength(5);
  for (const file of files) expect(statSync(join(directory, file)).size).toBeLessThanOrEqual(100);
  const names = ['.4', '.3', '.2', '.1', ''].map((index) => join(directory, `sglang-30000${index}.log`));
  const kept = names.flatMap((path) => readFileSync(path, 'utf8').trim().split('\n'));
  expect(kept.at(-1)).toBe('line 059');
  expect(kept).toEqual(kept.map((_, i) => `line ${String(60 - kept.length + i).padStart(3, '0')}`));
});

it('a log goes on where the last start left it, and only its owner reads it', () => {
  const directory = temporaryDirectory();
  for (const text of ['first', 'second']) {
    const log = new RotatingLog(directory, 'x');
    log.write(text);
    log.close();
  }
  const path = join(directory, 'x.log');
  expect(readFileSync(path, 'utf8')).toBe('first\nsecond\n');
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

it('a folder that cannot be written ends no server', () => {
  const log = new RotatingLog('/dev/null/folder', 'x');
  expect(() => log.write('lost')).not.toThrow();
  expect(existsSync(log.path)).toBe(false);
});
