/** Wheels with all that they require: from the index, by pip where it lacks them, and never a torch without CUDA. */
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { JetsonIndex } from '../../src/registry/jetson-index.js';
import { type LockFile, locked } from '../../src/registry/lock.js';
import { mirrorAt } from '../../src/registry/mirrors.js';
import { gatherWheels } from '../../src/registry/wheelhouse.js';
import { makeWheel } from './make-wheel.js';
import { IndexServer } from './registry-server.js';

const target = { python: '3.10', machine: 'aarch64', glibc: '2.35' };
const path = 'jp6/cu126';
const tag = 'cp310-cp310-linux_aarch64';
const lockOf = (): LockFile => ({ version: 1, platform: path, python: '3.10', packages: [] });

let jetson: IndexServer;
let publicIndex: IndexServer;
let index: JetsonIndex;
let directory: string;
const before = { ...process.env };

beforeEach(async () => {
  jetson = new IndexServer({
    torch: [
      makeWheel('torch', {
        version: '2.8.0',
        tag,
        requires: [
          'sympy>=1.13',
          'filelock',
          "triton==3.4.0; platform_machine == 'x86_64'",
          "optree; extra == 'optree'",
        ],
      }),
      makeWheel('torch', { version: '2.7.0', tag, requires: ['filelock'] }),
    ],
    sympy: [
      makeWheel('sympy', { version: '1.14.0', requires: ['mpmath<1.4,>=1.1.0'] }),
      makeWheel('sympy', { version: '1.13.1', requires: ['mpmath<1.4'] }),
    ],
    mpmath: [makeWheel('mpmath', { version: '1.4.0' }), makeWheel('mpmath', { version: '1.3.0' })],
    pinned: [makeWheel('pinned', { requires: ['sympy', 'sympy<1.14', 'torch'] })],
    extras: [
      makeWheel('extras', {
        requires: ["sympy ; extra == 'fast-math'", "filelock ; extra == 'lock'", "torch ; extra == 'gpu'"],
      }),
    ],
    asks: [makeWheel('asks', { requires: ['extras', 'extras[lock]>=1', 'extras[fast.math]'] })],
    broken: [{ filename: 'broken-1.0-py3-none-any.whl', content: Buffer.from('not a zip') }],
    impossible: [makeWheel('impossible', { requires: ['sympy>1.13', 'sympy<1.13'] })],
  });
  publicIndex = new IndexServer(
    {
      filelock: [makeWheel('filelock', { version: '3.18.0' })],
      torch: [makeWheel('torch', { version: '99.0' })],
      triton: [makeWheel('triton')],
    },
    'root/pypi',
  );
  const mirrors = [mirrorAt(await jetson.start(), path)];
  index = new JetsonIndex({ path, target, mirrors });
  Object.assign(process.env, { PIP_INDEX_URL: `${await publicIndex.start()}/root/pypi/+simple/`, PIP_RETRIES: '0' });
  directory = await mkdtemp(join(tmpdir(), 'jsg-wheels-'));
});
afterEach(async () => {
  process.env = { ...before };
  await index.close();
  await Promise.all([jetson.stop(), publicIndex.stop()]);
  await rm(directory, { recursive: true });
});

const gather = (requirements: string[], lock: LockFile | null = null) =>
  gatherWheels(requirements, { index, target, directory, lock, lockPath: 'jsg.lock.yaml', python: 'python3' });

describe('gatherWheels', () => {
  it('takes what is required: from the index, and by pip what it lacks', async () => {
    const found = await gather(['torch']);
    expect(found.map(({ name, version }) => `${name} ${version}`).sort()).toEqual([
      'filelock 3.18.0',
      'mpmath 1.3.0',
      'sympy 1.14.0',
      'torch 2.8.0',
    ]);
    expect((await readdir(directory)).sort()).toEqual(found.map(({ filename }) => filename).sort());
    expect(found.find(({ name }) => name === 'filelock')?.url).toBeNull();
    expect(found.find(({ name }) => name === 'sympy')?.url).toContain(jetson.url);
    expect(publicIndex.requests.some((line) => line.includes('/torch/'))).toBe(false);
  });

  it('chooses again where a later requirement forbids the first choice', async () => {
    const found = await gather(['pinned']);
    expect(found.map(({ name, version }) => `${name} ${version}`)).toContain('sympy 1.13.1');
    expect(found.filter(({ name }) => name === 'sympy')).toHaveLength(1);
  });

  it('takes what the extras that are asked for require, and of no others', async () => {
    const names = async (requirement: string) => (await gather([requirement])).map(({ name }) => name).sort();
    expect(await names('extras')).toEqual(['extras']);
    expect(await names('extras[Fast_Math]')).toEqual(['extras', 'mpmath', 'sympy']);
    expect(await names('asks')).toEqual(['asks', 'extras', 'filelock', 'mpmath', 'sympy']);
  });

  it('never takes a package with CUDA from elsewhere', async () => {
    await expect(gather(['triton'])).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
    await expect(gather(['torch>=3'])).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
    await expect(gather(['nvidia-cublas-cu12'])).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
    expect(publicIndex.requests).toEqual([]);
  });

  it('takes nothing from elsewhere because the index is down', async () => {
    jetson.faults.isDown = true;
    await expect(gather(['filelock'])).rejects.toMatchObject({ code: 'E_DOWNLOAD_FAILED' });
    expect(publicIndex.requests).toEqual([]);
  });

  it('says what is nowhere, what contradicts itself, and what is no wheel', async () => {
    await expect(gather(['no-such-thing'])).rejects.toMatchObject({
      code: 'E_NOT_FOUND',
      message: expect.stringContaining('no-such-thing'),
    });
    await expect(gather(['impossible'])).rejects.toMatchObject({
      code: 'E_NOT_FOUND',
      message: expect.stringMatching(/sympy.*[<>]1\.13/),
    });
    await expect(gather(['broken'])).rejects.toMatchObject({ message: expect.stringContaining('no whole wheel') });
    await expect(gather(['torch=2'])).rejects.toMatchObject({ code: 'E_USAGE' });
  });
});

describe('with a lock', () => {
  const lockTorch = async () => locked(lockOf(), await gather(['torch']));

  it('takes the same again without asking where the files are here', async () => {
    const lock = await lockTorch();
    const numRequests = [jetson.requests.length, publicIndex.requests.length];
    expect(await gather(['torch'], lock)).toEqual(lock.packages);
    expect([jetson.requests.length, publicIndex.requests.length]).toEqual(numRequests);
  });

  it('takes the same again where something newer has come', async () => {
    const lock = await lockTorch();
    jetson.projects.torch?.unshift(makeWheel('torch', { version: '2.9.0', tag }));
    publicIndex.projects.filelock?.unshift(makeWheel('filelock', { version: '3.19.0' }));
    await rm(directory, { recursive: true });
    expect(await gather(['torch'], lock)).toEqual(lock.packages);
  });

  it.each(['torch', 'filelock'])('refuses a %s that was rebuilt under the same name', async (name) => {
    const lock = await lockTorch();
    const served = name === 'torch' ? jetson.projects.torch : publicIndex.projects.filelock;
    const version = name === 'torch' ? '2.8.0' : '3.18.0';
    served?.splice(0, 1, makeWheel(name, { version, files: { 'x.py': '' }, ...(name === 'torch' && { tag }) }));
    await rm(directory, { recursive: true });
    await expect(gather(['torch'], lock)).rejects.toMatchObject({ code: 'E_CHECKSUM_MISMATCH' });
  });

  it('says that it holds another version than is wanted', async () => {
    const lock = await lockTorch();
    await expect(gather(['torch==2.7.0'], lock)).rejects.toMatchObject({
      code: 'E_USAGE',
      message: 'jsg.lock.yaml holds torch 2.8.0, and torch==2.7.0 is wanted',
    });
  });

  it('mends a file that was damaged here', async () => {
    const lock = await lockTorch();
    const torch = lock.packages.find(({ name }) => name === 'torch');
    await writeFile(join(directory, torch?.filename ?? ''), 'damaged');
    expect(await gather(['torch'], lock)).toEqual(lock.packages);
  });
});
