/** Pure parts of the runner: progress, jobs, the names of wheels, globs. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { readWheelEntries } from '../../../../src/device/wheel-file.js';
import { canonicalJson, findGlob } from '../../../../src/recipe/run/files.js';
import { chooseJobs, parseOomKills, parsePressure, wasOutOfMemory } from '../../../../src/recipe/run/jobs.js';
import { durationText, etaSeconds, progressText, shareOf } from '../../../../src/recipe/run/progress.js';

const GIB = 2 ** 30;

it.each([
  ['[3/12] Building CXX object a.o', 0.25],
  ['[ 50%] Building CXX object a.o', 0.5],
  ['[5/4] odd', null],
  ['[0/0]', null],
  ['running bdist_wheel', null],
])('%s is a share of %s', (line, share) => expect(shareOf(line)).toBe(share));

it('tells how long it takes', () => {
  expect(etaSeconds(0.25, 30_000)).toBe(90);
  expect(etaSeconds(null, 30_000)).toBeNull();
  expect(progressText(0.25, 30_000)).toBe('25 % · 30s · 1m 30s left');
  expect(progressText(null, 65_000)).toBe('1m 05s');
  expect(durationText(7380)).toBe('2h 03m');
});

it('chooses jobs by memory, fewer under pressure, at least one', () => {
  const planned = { count: 12, memoryBytesPerJob: 2 * GIB };
  expect(chooseJobs(planned, { availableBytes: 60 * GIB, swapBytes: 0, oomKills: null, pressurePercent: 0 })).toBe(12);
  expect(chooseJobs(planned, { availableBytes: 6.5 * GIB, swapBytes: 0, oomKills: null, pressurePercent: null })).toBe(
    3,
  );
  expect(chooseJobs(planned, { availableBytes: 8 * GIB, swapBytes: 0, oomKills: null, pressurePercent: 35 })).toBe(2);
  expect(chooseJobs(planned, { availableBytes: 0, swapBytes: 9 * GIB, oomKills: null, pressurePercent: 99 })).toBe(1);
});

it('reads the pressure that the kernel tells', () => {
  expect(parsePressure('some avg10=12.50 avg60=1.00 avg300=0.00 total=1\nfull avg10=3.00 avg60=0.00')).toBe(12.5);
  expect(parsePressure('')).toBeNull();
  expect(parsePressure(null)).toBeNull();
});

it('knows a build that was out of memory', () => {
  expect(wasOutOfMemory('c++: fatal error: Killed signal terminated program cc1plus', null)).toBe(true);
  expect(wasOutOfMemory("nvcc error   : 'cicc' died due to signal 9 (Kill signal)", null)).toBe(true);
  expect(wasOutOfMemory('make: *** [Makefile:7: a.o] Error 137', null)).toBe(true);
  expect(wasOutOfMemory('', 'SIGKILL')).toBe(true);
  expect(wasOutOfMemory('error: expected ;', null)).toBe(false);
  expect(wasOutOfMemory('Killed the old server first', null)).toBe(false);
  expect(parseOomKills('pgfault 1\noom_kill 12\n')).toBe(12);
  expect(parseOomKills(null)).toBeNull();
});

it('finds files by glob, and no wheel where there is none', () => {
  const root = mkdtempSync(join(tmpdir(), 'jsg-files-'));
  try {
    mkdirSync(join(root, 'a/b'), { recursive: true });
    writeFileSync(join(root, 'a/b/x.whl'), 'no zip');
    writeFileSync(join(root, 'a/y.whl'), '');
    expect(findGlob(root, 'a/*.whl')).toEqual(['a/y.whl']);
    expect(findGlob(root, '**/*.whl')).toEqual(['a/b/x.whl', 'a/y.whl']);
    expect(findGlob(root, 'none/*.whl')).toEqual([]);
    expect(readWheelEntries(join(root, 'a/b/x.whl'))).toBeNull();
    expect(readWheelEntries(join(root, 'a/y.whl'))).toBeNull();
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});

it('gives equal values the same text', () => {
  expect(canonicalJson({ b: 1, a: [{ d: 1, c: 2 }] })).toBe(canonicalJson({ a: [{ c: 2, d: 1 }], b: 1 }));
});
