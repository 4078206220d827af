import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { cleanText, oneValue, sourceUnder } from '../../../src/device/source.js';

let root = '';
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'jsg-source-'));
  mkdirSync(join(root, 'etc'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const put = (path: string, text: string) => writeFileSync(join(root, path), text);

describe('files of a copied machine', () => {
  it('follow links as that machine would, and never out of it', () => {
    put('etc/real', 'inside');
    symlinkSync('/etc/real', join(root, 'etc/absolute'));
    symlinkSync('../../../../etc/real', join(root, 'etc/climbing'));
    symlinkSync('/etc/passwd', join(root, 'etc/outside'));
    const { read } = sourceUnder(root);
    expect(read('/etc/absolute')).toBe('inside');
    expect(read('/etc/climbing')).toBe('inside');
    expect(read('/etc/outside')).toBeNull();
    expect(read('/../../etc/passwd')).toBeNull();
  });

  it('that are none: folders, loops, pipes, nothing', () => {
    symlinkSync('loop', join(root, 'etc/loop'));
    execFileSync('mkfifo', [join(root, 'etc/pipe')]);
    const { read, list, find } = sourceUnder(root);
    for (const path of ['/etc', '/etc/loop', '/etc/pipe', '/etc/none']) expect(read(path)).toBeNull();
    expect(list('/etc')).toEqual(['loop', 'pipe']);
    expect(list('/none')).toEqual([]);
    expect(find('/etc/none')).toBeNull();
  });

  it('are read in part when they are huge', () => {
    put('etc/huge', 'x'.repeat(1000));
    expect(sourceUnder(root).read('/etc/huge', 10)).toBe('xxxxxxxxxx');
  });
});

describe('commands', () => {
  const script = (text: string) => writeFileSync(join(root, 'tool'), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  const run = (timeoutMs?: number) => sourceUnder().run(join(root, 'tool'), [], timeoutMs);

  it('tell status and both streams, without colours', async () => {
    script("printf '\\033[1mbold\\033[0m\\r\\n'; echo oops >&2; exit 3");
    expect(await run()).toEqual({ code: 3, stdout: 'bold', stderr: 'oops' });
  });

  it('get no terminal to wait at', async () => {
    script('read answer; echo "got: $answer"');
    expect((await run())?.stdout.trim()).toBe('got:');
  });

  it('are ended after their time, and keep what they said', async () => {
    script('echo line; exec sleep 30');
    expect(await run(200)).toEqual({ code: null, stdout: 'line', stderr: '' });
  });

  it('are not waited for when a child of theirs holds the pipes', async () => {
    script('sleep 5 & sleep 5');
    const began = performance.now();
    await run(200);
    expect(performance.now() - began).toBeLessThan(2000);
  });

  it('that are not there, or cannot be run, answer nothing', async () => {
    expect(await sourceUnder().run('jsg-no-such-command', [])).toBeNull();
    writeFileSync(join(root, 'tool'), 'not a program', { mode: 0o644 });
    expect(await run()).toBeNull();
  });
});

it('cleanText', () => {
  expect(cleanText('\uFEFF\u001b[92;1ma\u001b[0m\r\nb\0c\rd')).toBe('a\nb\nc\nd');
});

it('oneValue', () => {
  expect(oneValue('\n\u0007  5.15.148-tegra \nmore')).toBe('5.15.148-tegra');
  expect(oneValue('x'.repeat(1000))).toHaveLength(120);
  expect(oneValue('\n\n')).toBeNull();
  expect(oneValue(null)).toBeNull();
});
