/** The client of the Jetson index against a server that behaves like it, on its good days and on its bad ones. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { JetsonIndex } from '../../src/registry/jetson-index.js';
import { locked, readLock, writeLock } from '../../src/registry/lock.js';
import { mirrorAt } from '../../src/registry/mirrors.js';
import type { Candidate } from '../../src/registry/select.js';
import { IndexServer, type ServedFile } from './registry-server.js';

const target = { python: '3.10', machine: 'aarch64', glibc: '2.35' };
const path = 'jp6/cu126';
const wheel = (filename: string, more: Partial<ServedFile> = {}): ServedFile => ({
  filename,
  content: randomBytes(200_000),
  ...more,
});
const cp310 = (version: string) => `torch-${version}-cp310-cp310-linux_aarch64.whl`;

const projects = () => ({
  torch: [
    wheel(cp310('2.8.0')),
    wheel(cp310('2.7.0')),
    wheel(cp310('2.9.0rc1')),
    wheel(cp310('2.8.1'), { yanked: 'broken' }),
    wheel('torch-2.8.2-cp312-cp312-linux_aarch64.whl'),
    wheel('torch-2.8.3-cp310-cp310-linux_x86_64.whl'),
    wheel(cp310('2.8.4'), { sha256: null }),
    wheel(cp310('2.8.5'), { requiresPython: '>=3.11' }),
    wheel('torch-2.11.0-cp310-cp310-manylinux_2_28_aarch64.whl', { from: 'root/pypi' }),
  ],
  certifi: [wheel('certifi-2025.1.31-py3-none-any.whl', { from: 'root/pypi' })],
  triton: [wheel('triton-3.8.0-cp310-cp310-manylinux_2_28_aarch64.whl', { from: 'root/pypi' })],
  'flashinfer-python': [wheel('flashinfer_python-0.2.5-py3-none-any.whl', { sha256: 'a'.repeat(64) })],
});

let first: IndexServer;
let second: IndexServer;
let index: JetsonIndex;
let directory: string;

beforeEach(async () => {
  const served = projects();
  first = new IndexServer(served);
  second = new IndexServer(served);
  const mirrors = [mirrorAt(await first.start(), path), mirrorAt(await second.start(), path)];
  index = new JetsonIndex({ path, target, mirrors });
  directory = await mkdtemp(join(tmpdir(), 'jsg-registry-'));
});
afterEach(async () => {
  await index.close();
  await Promise.all([first.stop(), second.stop()]);
  await rm(directory, { recursive: true });
});

const versions = (found: Candidate[]) => found.map(({ version }) => version);
const best = async (requirement: string) => (await index.find(requirement))[0] as Candidate;
function contentOf(name: keyof ReturnType<typeof projects>, i = 0): Buffer {
  const file = first.projects[name]?.[i];
  if (file === undefined) throw new Error(`no file ${i} of ${name}`);
  return file.content;
}

describe('find', () => {
  it.each([
    ['JSON', false],
    ['HTML', true],
  ])('takes what fits, best first (%s)', async (_, htmlOnly) => {
    first.faults.htmlOnly = htmlOnly;
    expect(versions(await index.find('torch'))).toEqual(['2.8.0', '2.7.0']);
    expect(versions(await index.find('torch>=2.9.0rc1'))).toEqual(['2.9.0rc1']);
    expect(versions(await index.find('Torch==2.8.1'))).toEqual(['2.8.1']);
    expect(versions(await index.find('torch~=2.7.0'))).toEqual(['2.7.0']);
    expect(versions(await index.find('torch', { unhashed: true }))).toEqual(['2.8.4', '2.8.0', '2.7.0']);
  });

  it("never takes the public index's torch, but its packages without compiled code", async () => {
    await expect(index.find('torch>=2.10')).rejects.toMatchObject({
      code: 'E_NOT_FOUND',
      message: expect.stringContaining('not built for jp6/cu126'),
    });
    await expect(index.find('triton')).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
    expect(versions(await index.find('torch>=2.10', { elsewhere: true }))).toEqual(['2.11.0']);
    expect(versions(await index.find('certifi'))).toEqual(['2025.1.31']);
  });

  it('goes to the next mirror when the first is down, and says so when all are', async () => {
    first.faults.isDown = true;
    expect((await best('torch')).url).toContain(second.url);
    expect((await index.health()).map(({ isUp, status }) => [isUp, status])).toEqual([
      [false, 503],
      [true, 200],
    ]);
    second.faults.isDown = true;
    await expect(index.find('torch')).rejects.toMatchObject({
      code: 'E_DOWNLOAD_FAILED',
      message: expect.stringContaining('HTTP 503'),
    });
  });

  it('asks again after a passing fault of every mirror', async () => {
    await best('certifi');
    first.faults.pages.push(502);
    second.faults.pages.push(503);
    expect(versions(await index.find('torch'))).toEqual(['2.8.0', '2.7.0']);
  });

  it('tells a package that is not there from an index that is not', async () => {
    await expect(index.find('sgl-kernel')).rejects.toMatchObject({
      code: 'E_NOT_FOUND',
      message: expect.stringContaining('not on the Jetson index for jp6/cu126'),
    });
    await first.stop();
    await expect(index.find('sgl-kernel')).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
    await first.start();
  });

  it('waits for a slow first byte, and stops when told', async () => {
    first.faults.delayMs = 300;
    expect((await best('torch')).version).toBe('2.8.0');
    const signal = AbortSignal.timeout(100);
    await expect(index.find('torch', { signal })).rejects.toMatchObject({
      message: expect.stringContaining('stopped'),
    });
  });
});

describe('download', () => {
  it('writes the file under its name, and does nothing the second time', async () => {
    const found = await best('torch');
    const done: number[] = [];
    const file = await index.download(found, directory, { onProgress: ({ doneBytes }) => done.push(doneBytes) });
    expect(await readFile(file)).toEqual(contentOf('torch'));
    expect(done.at(-1)).toBe(200_000);
    expect(await readdir(directory)).toEqual([cp310('2.8.0')]);
    const before = first.requests.length;
    expect(await index.download(found, directory)).toBe(file);
    expect(first.requests.length).toBe(before);
  });

  it('goes on where the connection was cut, on the other mirror too', async () => {
    first.faults.cuts.push(50_000);
    const file = await index.download(await best('torch'), directory);
    expect(await readFile(file)).toEqual(contentOf('torch'));
    expect([...first.requests, ...second.requests].some((line) => / bytes=50000-$/.test(line))).toBe(true);
  });

  it('begins again where the server does not resume', async () => {
    first.faults.cuts.push(50_000);
    first.faults.noRanges = true;
    second.faults.noRanges = true;
    expect(await readFile(await index.download(await best('torch'), directory))).toEqual(contentOf('torch'));
  });

  it('goes on with what an earlier start left, and mends it where it is damaged', async () => {
    const found = await best('torch');
    const partial = join(directory, `.${found.filename}.${found.sha256?.slice(0, 16)}.part`);
    await writeFile(partial, contentOf('torch').subarray(0, 120_000));
    expect(await readFile(await index.download(found, directory))).toEqual(contentOf('torch'));
    expect(first.requests.some((line) => / bytes=120000-$/.test(line))).toBe(true);
    await rm(join(directory, found.filename));
    await writeFile(partial, randomBytes(120_000));
    expect(await readFile(await index.download(found, directory))).toEqual(contentOf('torch'));
    expect(await readdir(directory)).toEqual([found.filename]);
  });

  it('refuses a file with another hash, and leaves nothing of it', async () => {
    await expect(index.download(await best('flashinfer-python'), directory)).rejects.toMatchObject({
      code: 'E_CHECKSUM_MISMATCH',
    });
    const found = await best('torch');
    first.faults.wrongContent = contentOf('torch').subarray(0, 100_000);
    second.faults.wrongContent = first.faults.wrongContent;
    await expect(index.download(found, directory)).rejects.toMatchObject({ code: 'E_CHECKSUM_MISMATCH' });
    expect(await readdir(directory)).toEqual([]);
  });

  it('refuses a file without a hash unless asked', async () => {
    const [found] = (await index.find('torch==2.8.4', { unhashed: true })) as [Candidate];
    await expect(index.download(found, directory)).rejects.toMatchObject({ code: 'E_CHECKSUM_MISMATCH' });
    expect(await readFile(await index.download(found, directory, { unhashed: true }))).toEqual(contentOf('torch', 6));
  });

  it('logs in for pages and files alike, and keeps the password out of what is written', async () => {
    first.login = `Basic ${Buffer.from('board:s3cret').toString('base64')}`;
    const mirrors = [mirrorAt(first.url.replace('http://', 'http://board:s3cret@'), path)];
    const own = new JetsonIndex({ path, target, mirrors });
    const [found] = (await own.find('torch')) as [Candidate];
    expect(found.url).not.toContain('s3cret');
    expect(await readFile(await own.download(found, directory))).toEqual(contentOf('torch'));
    const message = await own.find('no-such').catch((error: Error) => error.message);
    expect(message).toMatch(/not on the Jetson index/);
    expect(message).not.toContain('s3cret');
    await own.close();
  });

  it('never writes outside the folder', async () => {
    const found = { ...(await best('torch')), filename: '../torch.whl' };
    await expect(index.download(found, directory)).rejects.toMatchObject({ code: 'E_DOWNLOAD_FAILED' });
  });

  it('tells what is gone from every mirror', async () => {
    const found = await best('torch');
    const gone = { ...found, url: found.url.replace('/+f/', '/+f/000/') };
    await expect(index.download(gone, directory)).rejects.toMatchObject({
      code: 'E_DOWNLOAD_FAILED',
      message: expect.stringContaining('HTTP 404'),
    });
  });
});

describe('jsg.lock.yaml', () => {
  it('pins the hash: a wheel rebuilt under the same name is refused', async () => {
    const file = join(directory, 'jsg.lock.yaml');
    expect(await readLock(file)).toBeNull();
    const empty = { version: 1 as const, platform: path, python: '3.10', packages: [] };
    const { name, version, filename, url, sha256 } = (await index.find('torch==2.7.0'))[0] as Candidate;
    writeLock(file, locked(empty, [{ name, version, filename, url, sha256: sha256 ?? '' }]));
    const lock = await readLock(file);
    expect(versions(await index.find('torch', { lock }))).toEqual(['2.7.0']);
    first.projects.torch = [wheel(cp310('2.7.0'))];
    second.projects.torch = first.projects.torch;
    await expect(index.find('torch', { lock })).rejects.toMatchObject({ code: 'E_CHECKSUM_MISMATCH' });
  });

  it('says what is wrong with one that a person changed', async () => {
    const file = join(directory, 'jsg.lock.yaml');
    await writeFile(file, 'version: 2\n');
    await expect(readLock(file)).rejects.toMatchObject({
      code: 'E_IO_FAILED',
      message: expect.stringContaining('version'),
    });
  });
});
