/** `jsg bundle`, and a build from what it has gathered, with everything that could be asked standing by and counting. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execaSync } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Manifest } from '../../src/bundle/manifest.js';
import { sha256OfFile } from '../../src/files.js';
import { makeWheel } from '../integration/make-wheel.js';
import { makeUpstream, UPSTREAM } from '../integration/recipe-run-spec.js';
import { IndexServer } from '../integration/registry-server.js';
import { Jsg, jsg } from './jsg.js';

const path = 'amd64/cu128';
const here = execaSync('python3', ['-c', "import sys; print('%d.%d' % sys.version_info[:2])"]).stdout;
const cp = `cp${here.replace('.', '')}`;
const tag = `${cp}-${cp}-linux_x86_64`;

/** A source with a submodule that is used and one that is not, a build tool, and a wheel to install. */
const RECIPE = {
  description: 'a demo',
  variants: {
    seed: {
      description: 'the demo',
      sources: [
        {
          git: `${UPSTREAM}/demo.git`,
          name: 'demo',
          tag: 'v0.2.0',
          submodules: [{ path: '3rdparty/lib', holds: '3rdparty/lib/include/lib.h' }],
        },
      ],
      requirements: { tools: ['git', 'python3'], memory_gb: 0.01, disk_gb: 0.01 },
      steps: [
        { id: 'tools', title: 'install the build tools', run: 'python3 -m pip install buildtool', timeout_min: 5 },
        {
          id: 'wheel',
          title: 'build the wheel',
          in: 'demo',
          run: 'python3 setup.py --verbose bdist_wheel --dist-dir ./',
          outputs: ['demo/demo-0.2.0-py3-none-any.whl'],
          timeout_min: 5,
        },
        {
          id: 'install',
          title: 'install the wheel',
          in: 'demo',
          run: 'pip3 install demo-0.2.0-py3-none-any.whl --no-deps --force-reinstall',
          expects: 'Successfully installed demo-0.2.0',
          timeout_min: 5,
        },
      ],
      checks: [{ import: 'demo' }],
    },
  },
};

let jetson: IndexServer;
let publicIndex: IndexServer;
let root = '';
let recipe = '';
let profile = '';
let output = '';
let env: Record<string, string> = {};

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'jsg-bundle-'));
  const torchFiles = {
    'torch/__init__.py': "__version__ = '2.8.0'\nfrom . import version, cuda\n",
    'torch/version.py': "cuda = '12.8'\n",
    'torch/cuda.py': "def get_arch_list(): return ['sm_80']\n",
  };
  jetson = new IndexServer(
    {
      torch: [makeWheel('torch', { version: '2.8.0', tag, requires: ['sympy'], files: torchFiles })],
      sympy: [makeWheel('sympy', { requires: ['mpmath'] })],
    },
    path,
  );
  publicIndex = new IndexServer(
    {
      mpmath: [makeWheel('mpmath')],
      buildtool: [makeWheel('buildtool', { requires: ['buildhelper'] })],
      buildhelper: [makeWheel('buildhelper')],
    },
    'root/pypi',
  );
  const upstream = makeUpstream(join(root, 'upstream'));
  const config = upstream.env.GIT_CONFIG_GLOBAL ?? '';
  recipe = join(root, 'demo.yaml');
  writeFileSync(recipe, JSON.stringify(RECIPE));
  const model = join(root, 'tiny');
  mkdirSync(model);
  for (const name of ['config.json', 'model.safetensors', 'tokenizer.json'])
    writeFileSync(join(model, name), `{"${name}":1}`);
  profile = join(root, 'board.yaml');
  writeFileSync(profile, `description: a board\nmodel-path: ${model}\ndevice: cuda\n`);
  output = join(root, 'a bundle');
  env = {
    JSG_INDEX_URLS: await jetson.start(),
    PIP_INDEX_URL: `${await publicIndex.start()}/root/pypi/+simple/`,
    PIP_RETRIES: '0',
    GIT_CONFIG_GLOBAL: config,
    GIT_CONFIG_NOSYSTEM: '1',
  };
});
afterAll(async () => {
  await Promise.all([jetson.stop(), publicIndex.stop()]);
  rmSync(root, { recursive: true, force: true });
});

const gather = (to = output, ...more: string[]) =>
  jsg(['bundle', '--profile', profile, '--platform', path, '--recipe', `torch,${recipe}`, '--output', to, ...more], {
    env,
  });
const manifestOf = (directory: string) =>
  JSON.parse(readFileSync(join(directory, 'manifest.json'), 'utf8')) as Manifest;
/** But for XGrammar's sources, which are not here and are asked for again each time. */
const asked = () => [...jetson.requests, ...publicIndex.requests].filter((line) => !line.includes('/xgrammar/')).length;
/** Where git would find its sources if it were let. */
const buildOffline = (name: string, ...more: string[]) => {
  const folder = mkdtempSync(join(root, 'build-'));
  return jsg(['build', name, '--platform', path, '--build-dir', folder, '--offline', '--bundle', output, ...more], {
    env,
  }).then((ended) => ({ ...ended, folder: join(folder, 'seed') }));
};

describe('jsg bundle', () => {
  it('goes on where it was cut off, and then holds all that the recipes fetch', async () => {
    jetson.faults.wrongContent = Buffer.from('not the wheel');
    const spoiled = await gather();
    expect({ code: spoiled.code, stderr: spoiled.stderr }).toMatchObject({
      code: 4,
      stderr: expect.stringContaining('sha256'),
    });
    expect(existsSync(join(output, 'manifest.json'))).toBe(false);
    jetson.faults.wrongContent = null;
    jetson.faults.cuts.push(100);
    const { code, stdout, stderr } = await gather();
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(stdout).toContain(`for ${path}`);

    expect(jetson.requests.some((line) => line.endsWith(' bytes=100-'))).toBe(true);
    const { files, missing, ...about } = manifestOf(output);
    expect(about).toMatchObject({ platform: path, python: here, machine: 'x86_64', variant: 'seed' });
    // The sources of XGrammar are at hand only where this jsg was compiled with them.
    expect(missing.filter(({ what }) => !what.startsWith('XGrammar'))).toEqual([]);
    expect(files.map(({ kind, name, version }) => [kind, name, version])).toEqual(
      expect.arrayContaining([
        ['git-source', 'demo', 'v0.2.0'],
        ['wheel', 'torch', '2.8.0'],
        ['wheel', 'sympy', '1.0'],
        ['wheel', 'mpmath', '1.0'],
        ['wheel', 'buildtool', '1.0'],
        ['wheel', 'buildhelper', '1.0'],
        ['npm', 'jsg', expect.any(String)],
      ]),
    );
    for (const { path: file, sha256 } of files) expect(await sha256OfFile(join(output, file)), file).toBe(sha256);
    expect(readdirSync(join(output, 'model', 'tiny')).sort()).toEqual([
      'config.json',
      'model.safetensors',
      'tokenizer.json',
    ]);
    expect(readdirSync(output).sort()).toEqual([
      ...['INSTALL.md', 'jsg.lock.yaml', 'manifest.json', 'model', 'npm', 'sources', 'wheels'],
    ]);
    const source = files.find(({ kind }) => kind === 'git-source');
    expect(source).toMatchObject({ submodules: ['3rdparty/lib'], commit: expect.stringMatching(/^[0-9a-f]{40}$/) });
  });

  it('holds a jsg that runs where it is unpacked', () => {
    const tar = manifestOf(output).files.find(({ kind }) => kind === 'npm')?.path ?? '';
    const folder = mkdtempSync(join(root, 'npm-'));
    execaSync('tar', ['-xf', join(output, tar), '-C', folder]);
    const { stdout } = execaSync('node', [join(folder, 'jsg', 'bin', 'jsg.js'), 'profiles']);
    expect(stdout).toContain('smollm2');
    expect(existsSync(join(folder, 'jsg', 'node_modules', 'vitest'))).toBe(false);
  });

  it('a second time changes nothing, and fetches nothing but jsg', async () => {
    const before = { files: manifestOf(output).files, asked: asked() };
    expect(await gather()).toMatchObject({ code: 0 });
    expect(asked()).toBe(before.asked);
    const isOurs = ({ kind }: { kind: string }) => kind !== 'npm';
    expect(manifestOf(output).files.filter(isOurs)).toEqual(before.files.filter(isOurs));
  });

  it('writes a tar whose folder is the bundle', async () => {
    const tar = join(root, 'board.tar');
    expect(await gather(tar, '--no-model')).toMatchObject({ code: 0 });
    const { stdout } = execaSync('tar', ['-tf', tar]);
    expect(stdout.split('\n')).toEqual(expect.arrayContaining(['board/manifest.json', 'board/INSTALL.md']));
    expect(stdout).not.toContain('.jsg-bundle');
    expect(readdirSync(root).filter((name) => name.includes('.part'))).toEqual([]);
    expect(await gather(tar)).toMatchObject({ code: 2, stderr: expect.stringContaining('is there already') });
    const refused = await jsg(['build', 'torch', '--offline', '--bundle', tar], { env });
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining(`tar -xf ${tar}`) });
  });

  it.each([
    ['no profile', ['--output', 'x'], /--profile is not given/],
    ['no output', ['--profile', 'smollm2'], /--output is not given/],
    ['a folder of something else', ['--profile', 'smollm2', '--output', '/etc'], /is no bundle/],
    ['a compressed file', ['--profile', 'smollm2', '--output', 'x.tar.gz'], /would be compressed/],
    ['an unknown profile', ['--profile', 'smolm2', '--output', 'x'], /smollm2/],
    ['an unknown recipe', ['--profile', 'smollm2', '--output', 'x', '--recipe', 'torhc'], /torch/],
    ['an odd platform', ['--profile', 'smollm2', '--output', 'x', '--platform', 'orin'], /not a path of the index/],
  ])('refuses %s', async (_, args, message) => {
    const { code, stdout, stderr } = await jsg(['bundle', ...args], { env });
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(message);
  });

  it('killed at any moment it goes on, and comes to the same', async () => {
    const to = join(root, 'killed');
    const args = ['bundle', '--profile', profile, '--platform', path, '--recipe', `torch,${recipe}`, '--output', to];
    for (let i = 0; i < 4; i += 1) {
      const running = new Jsg(args, env);
      await new Promise((done) => setTimeout(done, 300 + Math.random() * 3000));
      await running.end(i % 2 === 0 ? 'SIGKILL' : 'SIGINT');
    }
    const { code, stderr } = await gather(to);
    expect({ code, stderr }).toMatchObject({ code: 0 });
    const wheels = (directory: string) => manifestOf(directory).files.filter(({ kind }) => kind === 'wheel');
    expect(wheels(to)).toEqual(wheels(output));
    expect(readdirSync(join(to, 'sources'))).toEqual(readdirSync(join(output, 'sources')));
    expect(
      readdirSync(to, { recursive: true, encoding: 'utf8' }).filter((name) => /\.part\b|\.tmp$|\.pip-/.test(name)),
    ).toEqual([]);
    const left = execaSync('ps', ['-eo', 'args']).stdout.split('\n');
    expect(left.filter((line) => line.includes(to))).toEqual([]);
  });

  it('refuses to mix two boards in one folder', async () => {
    const args = ['bundle', '--profile', profile, '--platform', 'jp6/cu126', '--recipe', 'none', '--output', output];
    const { code, stderr } = await jsg(args, { env });
    expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining(`is a bundle for ${path}`) });
  });
});

describe('jsg build --offline', () => {
  it('builds the same without asking anybody', async () => {
    const before = asked();
    const torch = await buildOffline('torch');
    expect(torch, torch.stderr).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/Successfully installed.* torch-2\.8\.0/),
    });
    const demo = await buildOffline(recipe);
    expect(demo, demo.stderr).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('Successfully installed demo-0.2.0'),
    });
    expect(asked()).toBe(before);
    expect(existsSync(join(demo.folder, 'demo', '3rdparty', 'lib', 'include', 'lib.h'))).toBe(true);
    const python = join(demo.folder, 'venv', 'bin', 'python');
    expect(execaSync(python, ['-c', 'import buildtool, buildhelper, demo; print(demo.__version__)']).stdout).toBe(
      '0.2.0',
    );
  });

  it('names all that the bundle lacks', async () => {
    const { code, stderr } = await buildOffline('xgrammar');
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /the bundle .* lacks the source of xgrammar v0\.1\.11 \(933f6f5e0668\).*the wheel of pybind11/,
    );
    const latest = await buildOffline('torch', '--variant', 'latest');
    expect(latest.code).toBe(0);
  });

  it('refuses one of another platform, and says why', async () => {
    const { code, stderr } = await buildOffline('torch', '--platform', 'jp6/cu126');
    expect({ code, stderr }).toMatchObject({
      code: 5,
      stderr: expect.stringMatching(/is for another machine: the index path is jp6\/cu126 here, amd64\/cu128 there/),
    });
  });

  it('refuses damaged files, and what is no bundle', async () => {
    const file = join(output, 'wheels', 'sympy-1.0-py3-none-any.whl');
    const good = readFileSync(file);
    writeFileSync(file, good.subarray(0, 100));
    const damaged = await buildOffline('torch');
    expect(damaged).toMatchObject({
      code: 4,
      stderr: expect.stringContaining('sympy-1.0-py3-none-any.whl is damaged'),
    });
    writeFileSync(file, good);
    const none = await jsg(['build', 'torch', '--offline', '--bundle', root], { env });
    expect(none).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/has no manifest\.json: it is no bundle, or not finished/),
    });
    const nowhere = await jsg(['build', 'torch', '--offline', '--bundle', join(root, 'nowhere')], { env });
    expect(nowhere).toMatchObject({ code: 2, stderr: expect.stringContaining('there is no folder') });
  });
});
