/** `jsg build torch` against an index that behaves like the real one, and beside it a public one whose torch has no CUDA. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execaSync } from 'execa';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { makeWheel } from '../integration/make-wheel.js';
import { IndexServer } from '../integration/registry-server.js';
import { jsg } from './jsg.js';

const path = 'amd64/cu128';
const here = execaSync('python3', ['-c', "import sys; print('cp%d%d' % sys.version_info[:2])"]).stdout;
const tag = `${here}-${here}-linux_${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}`;

/** What the check asks of a torch. */
const torchFiles = (version: string, cuda: string | null, archs: string[]) => ({
  'torch/__init__.py': `__version__ = '${version}'\nfrom . import version, cuda, _C\n`,
  'torch/version.py': `cuda = ${cuda === null ? 'None' : `'${cuda}'`}\n`,
  'torch/cuda.py': 'def get_arch_list(): return []\ndef is_available(): return False\n',
  'torch/_C.py': `def _cuda_getArchFlags(): return '${archs.join(' ')}'\n`,
});
const torch = (version: string, cuda: string | null = '12.8', archs = ['sm_87', 'compute_90']) =>
  makeWheel('torch', { version, tag, requires: ['filelock', 'sympy>=1.13'], files: torchFiles(version, cuda, archs) });

/** For builds that are to fail: making one takes seconds. */
let venv = '';
beforeAll(() => {
  venv = mkdtempSync(join(tmpdir(), 'jsg-venv-'));
  execaSync('python3', ['-m', 'venv', venv]);
});
afterAll(() => rmSync(venv, { recursive: true, force: true }));

let jetson: IndexServer;
let publicIndex: IndexServer;
let folder = '';
let env: Record<string, string> = {};

beforeEach(async () => {
  jetson = new IndexServer(
    { torch: [torch('2.8.0'), torch('2.7.0')], sympy: [makeWheel('sympy', { version: '1.14.0' })] },
    path,
  );
  publicIndex = new IndexServer(
    {
      torch: [makeWheel('torch', { version: '99.0', files: torchFiles('99.0', null, []) })],
      filelock: [makeWheel('filelock')],
    },
    'root/pypi',
  );
  folder = mkdtempSync(join(tmpdir(), 'jsg-torch-'));
  env = {
    JSG_INDEX_URLS: await jetson.start(),
    PIP_INDEX_URL: `${await publicIndex.start()}/root/pypi/+simple/`,
    PIP_RETRIES: '0',
  };
});
afterEach(async () => {
  await Promise.all([jetson.stop(), publicIndex.stop()]);
  rmSync(folder, { recursive: true, force: true });
});

const build = (...more: string[]) =>
  jsg(['build', 'torch', '--platform', path, '--build-dir', folder, ...more], { env });
const lockFile = () => join(folder, 'seed', 'jsg.lock.yaml');
const python = (code: string) => execaSync(join(folder, 'seed', 'venv', 'bin', 'python'), ['-c', code]).stdout;

describe('jsg build torch', () => {
  it('installs what the index has for the board, proves its CUDA, and locks it', async () => {
    const { code, stdout, stderr } = await build();
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(stdout).toMatch(/Successfully installed .*torch-2\.8\.0/);
    expect(stdout).toContain('torch 2.8.0, CUDA 12.8, for sm_87 compute_90');
    expect(python('import torch; print(torch.__version__)')).toBe('2.8.0');
    const lock = parse(readFileSync(lockFile(), 'utf8'));
    expect(lock).toMatchObject({ platform: path });
    const names = lock.packages.map(({ name, version }: { name: string; version: string }) => `${name} ${version}`);
    expect(names).toEqual(['filelock 1.0', 'sympy 1.14.0', 'torch 2.8.0']);
    expect(lock.packages[2]).toMatchObject({ url: expect.stringContaining(jetson.url), sha256: expect.any(String) });
    expect(publicIndex.requests.some((line) => line.includes('/torch/'))).toBe(false);

    const before = jetson.requests.length;
    const again = await build();
    expect({ code: again.code, requests: jetson.requests.length }).toEqual({ code: 0, requests: before });
    expect(again.stdout).toContain('nothing was to be done');
  });

  it('takes what the lock names, and refuses a wheel that was rebuilt under its name', async () => {
    expect(await build('--variant', 'latest')).toMatchObject({ code: 0 });
    const lock = join(folder, 'latest', 'jsg.lock.yaml');
    jetson.projects.torch?.unshift(torch('2.9.0'));
    expect(await build('--lock', lock)).toMatchObject({ code: 0 });
    expect(python('import torch; print(torch.__version__)')).toBe('2.8.0');

    jetson.projects.torch?.splice(1, 1, torch('2.8.0', '12.8', ['sm_80']));
    rmSync(join(folder, 'seed', 'wheels'), { recursive: true });
    const refused = await build('--lock', lock);
    expect(refused.code).toBe(4);
    expect(refused.stderr).toMatch(/jsg: torch-2\.8\.0-.*: no mirror has the file with the locked sha256 any more/);
    expect(refused.stderr).toContain('Remove torch from the lock file');
  });

  it('says what a lock of another board is', async () => {
    const lock = join(folder, 'mine.yaml');
    writeFileSync(lock, "version: 1\nplatform: jp6/cu126\npython: '3.10'\npackages: []\n");
    const { code, stderr } = await build('--lock', lock, '--venv', venv);
    expect({ code, stderr }).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('is for jp6/cu126 and Python 3.10'),
    });
  });

  it('goes on where a download was cut off', async () => {
    jetson.faults.cuts.push(100);
    expect(await build()).toMatchObject({ code: 0 });
    expect(jetson.requests.some((line) => /torch.* bytes=100-$/.test(line))).toBe(true);
  });

  it.each([
    ['without CUDA', torch('2.8.0', null, []), /torch 2\.8\.0 was built without CUDA/],
    ['for another CUDA', torch('2.8.0', '11.8'), /built for CUDA 11\.8, and this is for CUDA 12\.8/],
    [
      'that cannot be imported',
      makeWheel('torch', { version: '2.8.0', tag, files: { 'torch/__init__.py': 'import nothing_here\n' } }),
      /nothing_here/,
    ],
  ])('does not accept a torch %s', async (_, wheel, message) => {
    jetson.projects.torch = [wheel];
    const { code, stderr } = await build('--venv', venv);
    expect(code).toBe(1);
    expect(stderr).toMatch(message);
  });

  it.each([
    [
      'the index is down',
      () => {
        jetson.faults.isDown = true;
      },
      /does not answer/,
      4,
    ],
    [
      'it has no torch',
      () => {
        jetson.projects.torch = [];
      },
      /torch/,
      1,
    ],
    [
      'a file is not what its hash says',
      () => {
        jetson.faults.wrongContent = Buffer.from('something else');
      },
      /sha256 is/,
      4,
    ],
  ])('takes no torch from elsewhere where %s', async (_, spoil, message, exit) => {
    spoil();
    const { code, stderr } = await build('--venv', venv);
    expect({ code, stderr }).toMatchObject({ code: exit, stderr: expect.stringMatching(message) });
    expect(publicIndex.requests.some((line) => line.includes('/torch/'))).toBe(false);
    expect(existsSync(lockFile())).toBe(false);
  });

  it('shows the commands that come to the same', async () => {
    const { code, stdout } = await build('--print');
    expect(code).toBe(0);
    expect(stdout).toContain(`pip download torch --index-url https://`);
    expect(stdout).toContain(
      'pip install --no-index --find-links wheels/torch --force-reinstall wheels/torch/torch-*.whl',
    );
    expect(readdirSync(folder)).toEqual([]);
  });

  it.each([
    [['--platform', 'jp6'], /--platform: 'jp6' is not a path of the index/],
    [['--offline'], /--offline needs --bundle/],
    [['--bundle', '.'], /--bundle goes with --offline/],
  ])('%j', async (args, message) => {
    const { code, stderr } = await build(...args);
    expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringMatching(message) });
  });
});
