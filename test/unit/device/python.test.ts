import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { probePython } from '../../../src/device/python.js';
import { askIndex } from '../../../src/device/python-index.js';
import { probeEnvironment } from '../../../src/device/python-interpreter.js';
import { parsePipConfig, probePipIndexes } from '../../../src/device/python-pip.js';
import { askTorch, cudaOfTag, type Torch, torchOfFiles } from '../../../src/device/python-torch.js';
import { type Output, type Source, sourceUnder } from '../../../src/device/source.js';
import { listDistributions } from '../../../src/device/wheels.js';

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});
afterEach(() => vi.unstubAllEnvs());

function rootWith(files: Record<string, string>): string {
  const root = mkdtempSync(join(tmpdir(), 'jsg-python-'));
  folders.push(root);
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
  return root;
}

/** This machine, with one command's answer put in. */
const answering = (output: Output | null): Source => ({ ...sourceUnder('/'), run: async () => output });
const said = (stdout: string, code: number | null = 0, stderr = ''): Output => ({ code, stdout, stderr });

describe('probeEnvironment', () => {
  const answer = {
    version: '3.12.3',
    path: '/usr/bin/python3',
    prefix: '/usr',
    venv: false,
    conda: false,
    managed: true,
    sites: ['/usr/lib/python3/dist-packages'],
  };

  it.each([
    [{}, 'system', true],
    [{ venv: true, path: '/home/me/sglang/bin/python3' }, 'venv', false],
    [{ conda: true, path: '/opt/conda/bin/python3', managed: false }, 'conda', false],
    [{ path: '/home/me/.pyenv/bin/python3', managed: false }, 'other', false],
  ])('takes what the interpreter says: %j', async (change, kind, isExternallyManaged) => {
    const source = answering(said(`a greeting of sitecustomize\n${JSON.stringify({ ...answer, ...change })}\n`));
    const { interpreter, sites } = await probeEnvironment(source, {});
    expect(interpreter).toMatchObject({ version: '3.12.3', kind, isExternallyManaged });
    expect(sites.map(({ path }) => path)).toEqual(['/usr/lib/python3/dist-packages']);
  });

  it.each([null, said(''), said('{"version": 3}'), said('Segmentation fault', 139), said('{')])(
    'knows of none when the answer is %j',
    async (output) => {
      expect(await probeEnvironment(answering(output), {})).toEqual({ interpreter: null, prefix: null, sites: [] });
    },
  );

  it("finds a copied board's folders in the order of its import path", async () => {
    const root = rootWith({
      '/home/me/.local/lib/python3.10/site-packages/x': '',
      '/usr/local/lib/python3.10/dist-packages/x': '',
      '/usr/local/lib/python3.8/dist-packages/x': '',
      '/usr/lib/python3/dist-packages/x': '',
      '/usr/lib/python3.10/EXTERNALLY-MANAGED': '',
      '/usr/bin/x': '',
    });
    symlinkSync('python3.10', join(root, '/usr/bin/python3'));
    const { interpreter, sites } = await probeEnvironment(sourceUnder(root), {});
    expect(interpreter).toEqual({
      version: '3.10',
      path: '/usr/bin/python3',
      kind: 'system',
      isExternallyManaged: true,
    });
    expect(sites.map(({ path }) => path)).toEqual([
      '/home/me/.local/lib/python3.10/site-packages',
      '/usr/local/lib/python3.10/dist-packages',
      '/usr/lib/python3/dist-packages',
    ]);
  });

  it('takes the environment that an image is made around', async () => {
    const root = rootWith({
      '/opt/venv/pyvenv.cfg': 'home = /usr/bin\ninclude-system-site-packages = true\nversion = 3.10.12\n',
      '/opt/venv/lib/python3.10/site-packages/x': '',
      '/usr/lib/python3/dist-packages/x': '',
    });
    const { interpreter, sites } = await probeEnvironment(sourceUnder(root), {});
    expect(interpreter).toMatchObject({ version: '3.10.12', kind: 'venv' });
    expect(sites.map(({ path }) => path)).toEqual([
      '/opt/venv/lib/python3.10/site-packages',
      '/usr/lib/python3/dist-packages',
    ]);
  });

  it('tells nothing of this machine when a copied one has no Python', async () => {
    expect(await probeEnvironment(sourceUnder(rootWith({ '/etc/x': '' })), {})).toEqual({
      interpreter: null,
      prefix: '/usr',
      sites: [],
    });
  });
});

describe('torch', () => {
  const siteOf = (files: Record<string, string>) => [{ path: '/site', source: sourceUnder(rootWith(files)) }];
  const known = torchOfFiles(
    siteOf({ '/site/torch/version.py': "__version__ = '2.8.0'\ncuda = '12.6'\n" }),
    [],
  ) as Torch;

  it.each([
    [
      "from typing import Optional\n__version__ = '2.8.0+cu126'\ncuda: Optional[str] = '12.6'\n",
      '2.8.0+cu126',
      '12.6',
      true,
    ],
    ["__version__ = '2.14.0+cpu'\ndebug = False\ncuda: Optional[str] = None\n", '2.14.0+cpu', null, false],
    ["__version__ = '2.9.0'\ncuda = None\n", '2.9.0', null, false],
    ["__version__ = '2.1.0a0+41361538.nv23.06'\ncuda = '11.4'\n", '2.1.0a0+41361538.nv23.06', '11.4', true],
    ["__version__ = '2.1.0a0+41361538.nv23.06'\n", '2.1.0a0+41361538.nv23.06', null, true],
    ["__version__ = '2.11.0+cu130'\n", '2.11.0+cu130', '13.0', true],
    ["__version__ = '2.8.0'\n", '2.8.0', null, null],
  ])('is read from its files: %j', (text, version, cuda, hasCuda) => {
    const wanted = { version, cuda, hasCuda, site: '/site' };
    expect(torchOfFiles(siteOf({ '/site/torch/version.py': text }), [])).toMatchObject(wanted);
  });

  it.each([
    ['torch/lib/libtorch_cuda.so,,\n', true],
    ['torch/lib/libtorch_cpu.so,,\n', false],
  ])('tells by the files it brought whether it has CUDA', (record, hasCuda) => {
    const sites = siteOf({ '/site/torch-2.8.0.dist-info/METADATA': '', '/site/torch-2.8.0.dist-info/RECORD': record });
    expect(torchOfFiles(sites, listDistributions(sites))).toMatchObject({ version: '2.8.0', hasCuda });
  });

  it.each([
    [[{ version: '2.9.0', cuda: null }, { cudaAvailable: false }, { archList: [] }], false],
    [[{ version: '2.11.0', cuda: null }, { cudaAvailable: true }, { archList: ['sm_87'] }], true],
    [[{ version: '2.1.0a0+1.nv23.06', cuda: null }, { cudaAvailable: false }], true],
    [[{ version: '2.9.0', cuda: null }], null],
  ])('has CUDA, by its answers %j: %s', async (answers, hasCuda) => {
    const untold = { ...known, cuda: null, hasCuda: null };
    const stdout = answers.map((each) => `jsg ${JSON.stringify(each)}`).join('\n');
    expect((await askTorch(answering(said(stdout)), untold, false)).hasCuda).toBe(hasCuda);
  });

  it('is known by its package alone where its files cannot be read', () => {
    const sites = siteOf({ '/site/torch-2.8.0+cpu.dist-info/METADATA': 'Version: 2.8.0+cpu\n' });
    expect(torchOfFiles(sites, listDistributions(sites))).toMatchObject({ version: '2.8.0+cpu', hasCuda: false });
  });

  it('is not a folder of that name with nothing in it', () => {
    expect(torchOfFiles(siteOf({ '/site/torch/README': '' }), [])).toBeNull();
  });

  it.each([
    ['2.11.0+cu130', '13.0'],
    ['2.4.0+cu118', '11.8'],
    ['2.8.0+cpu', null],
    ['2.8.0', null],
  ])('%s was built for CUDA %s', (version, cuda) => {
    expect(cudaOfTag(version)).toBe(cuda);
  });

  it('says more when asked', async () => {
    const answers = [
      { version: '2.8.0+cu126', cuda: '12.6' },
      { cudaAvailable: true },
      { archList: ['sm_87'] },
      { gpu: { name: 'Orin', arch: 87 } },
      { launch: 'ok' },
    ];
    const stdout = ['noise', ...answers.map((each) => `jsg ${JSON.stringify(each)}`), 'jsg {broken'].join('\n');
    expect(await askTorch(answering(said(stdout)), known, true)).toEqual({
      ...known,
      version: '2.8.0+cu126',
      cudaAvailable: true,
      archList: ['sm_87'],
      gpu: { name: 'Orin', arch: 87 },
      launch: 'ok',
    });
  });

  it.each([
    [said('jsg {"fault": "OSError: libcudart.so.12: cannot open"}'), 'OSError: libcudart.so.12: cannot open'],
    [said('', 132), 'importing torch ended with status 132'],
    [said('', null), 'importing torch was ended by a signal, or took too long'],
    [said('jsg {"version": "2.8.0"}', 139), 'torch ended with status 139 after it was imported'],
    [said('jsg {"version": 5, "archList": "x", "gpu": []}', 0), null],
    [null, null],
  ])('keeps what its files say when it fails: %j', async (output, fault) => {
    expect(await askTorch(answering(output), known, false)).toMatchObject({ version: '2.8.0', cuda: '12.6', fault });
  });

  it('shows no control characters and no odd entries of what it says', async () => {
    const told = {
      version: '2.8.0\u001b[31m\nfail',
      archList: ['sm_87', 'sm_87; reboot', 5],
      gpu: { name: '\u0007', arch: 87 },
    };
    const asked = await askTorch(answering(said(`jsg ${JSON.stringify(told)}`)), known, false);
    expect(asked).toMatchObject({ version: expect.stringMatching(/^2\.8\.0[ -~]*$/), archList: ['sm_87'] });
    expect(asked.gpu).toEqual({ name: 'GPU', arch: 87 });
  });

  it('shows an ABI that does not fit', async () => {
    const stderr = 'A module that was compiled using NumPy 1.x cannot be run in\nNumPy 2.2.6 as it may crash.\n';
    const asked = await askTorch(answering(said('jsg {"version": "2.5.0"}', 0, stderr)), known, false);
    expect(asked.hasNumpyFault).toBe(true);
  });
});

describe('pip configuration', () => {
  it('reads options of any section, in one line or several', () => {
    const text = [
      '[global]',
      'index-url = https://me:secret@index.example/jp6/cu126/+simple/',
      'timeout = 60',
      '# extra-index-url = https://commented.example/',
      '[install]',
      'extra_index_url =',
      '    https://one.example/simple',
      '    http://two.example/simple',
      'no-cache-dir = true',
      '    https://not-an-index.example',
      'find-links = /opt/wheels',
    ].join('\n');
    expect(parsePipConfig(text, '/etc/pip.conf')).toEqual([
      { url: 'https://index.example/jp6/cu126/+simple/', option: 'index-url', from: '/etc/pip.conf' },
      { url: 'https://one.example/simple', option: 'extra-index-url', from: '/etc/pip.conf' },
      { url: 'http://two.example/simple', option: 'extra-index-url', from: '/etc/pip.conf' },
      { url: '/opt/wheels', option: 'find-links', from: '/etc/pip.conf' },
    ]);
  });

  it('takes the files of all users of a copied board, of an environment, and the variables', () => {
    const config = '[global]\nindex-url = https://index.example/';
    const root = rootWith({
      '/etc/pip.conf': config,
      '/home/me/.config/pip/pip.conf': config,
      '/root/.pip/pip.conf': config,
      '/opt/venv/pip.conf': config,
    });
    const env = { PIP_EXTRA_INDEX_URL: 'https://a.example https://b.example', UV_INDEX_URL: 'https://c.example' };
    const found = probePipIndexes(sourceUnder(root), '/opt/venv', env);
    expect(found.map(({ from }) => from)).toEqual([
      '/etc/pip.conf',
      '/root/.pip/pip.conf',
      '/home/me/.config/pip/pip.conf',
      '/opt/venv/pip.conf',
      'PIP_EXTRA_INDEX_URL',
      'PIP_EXTRA_INDEX_URL',
      'UV_INDEX_URL',
    ]);
  });

  it('is empty for what is no configuration', () => {
    expect(parsePipConfig('\u0001\u0002 = [[[\n= =\n', 'x')).toEqual([]);
  });
});

describe('askIndex', () => {
  let server: Server | null = null;
  afterEach(() => {
    server?.closeAllConnections();
    server?.close();
    server = null;
  });
  const serve = async (status: number | null): Promise<string> => {
    server = createServer((_, response) => {
      if (status !== null) response.writeHead(status).end();
    });
    await new Promise<void>((done) => server?.listen(0, '127.0.0.1', done));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  };

  it.each([200, 404, 503])('reports status %i', async (status) => {
    const url = await serve(status);
    expect(await askIndex(url)).toEqual({ url, status, fault: null });
  });

  it('gives up after a second', async () => {
    expect(await askIndex(await serve(null))).toMatchObject({ status: null, fault: 'timeout' });
  });

  it('says why there is no answer', async () => {
    const url = await serve(200);
    server?.close();
    server = null;
    expect(await askIndex(url)).toMatchObject({ status: null, fault: 'ECONNREFUSED' });
    expect(await askIndex('no address')).toMatchObject({ status: null });
  });
});

function hasPython(): boolean {
  try {
    execFileSync('python3', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

describe.skipIf(!hasPython())('probePython, with the python3 of this machine', () => {
  const options = { torch: 'ask', indexUrl: null, arch: 87 } as const;
  const module = [
    "__version__ = '2.11.0+cu130'",
    'class version: cuda = None',
    'class cuda:',
    '    @staticmethod',
    '    def is_available(): return False',
    '    @staticmethod',
    '    def get_arch_list(): return []',
  ].join('\n');

  it('asks the torch that PYTHONPATH shows beside the files of a copied board', async () => {
    const site = rootWith({ '/torch/__init__.py': module });
    vi.stubEnv('PYTHONPATH', site);
    const { torch } = await probePython(sourceUnder(rootWith({ '/etc/x': '' })), options);
    expect(torch).toMatchObject({
      version: '2.11.0+cu130',
      cuda: '13.0',
      cudaAvailable: false,
      archList: [],
      fault: null,
    });
  });

  it("does not run a copied board's own torch", async () => {
    vi.stubEnv('PYTHONPATH', '');
    const files = { '/usr/lib/python3/dist-packages/torch/version.py': "__version__ = '2.8.0'\nimport nothing\n" };
    const { torch } = await probePython(sourceUnder(rootWith(files)), options);
    expect(torch).toMatchObject({ version: '2.8.0', cudaAvailable: null, fault: null });
  });

  it('says why an import fails', async () => {
    const site = rootWith({
      '/torch/__init__.py': "__version__ = '2.8.0'\nraise OSError('libcudart.so.12: not there')\n",
    });
    vi.stubEnv('PYTHONPATH', site);
    const { torch } = await probePython(sourceUnder(rootWith({ '/etc/x': '' })), options);
    expect(torch).toMatchObject({ version: '2.8.0', fault: 'OSError: libcudart.so.12: not there' });
  });

  it('knows this machine', async () => {
    const { interpreter, sites } = await probePython(sourceUnder('/'), { ...options, torch: 'files' });
    expect(interpreter?.version).toMatch(/^3\.\d+\.\d+/);
    expect(sites.length).toBeGreaterThan(0);
  });
});
