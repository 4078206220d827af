/** What the tests of the runner build: git repositories with a submodule and a setup.py that writes a wheel by itself. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execaSync } from 'execa';
import type { Plan, Step } from '../../src/recipe/plan.js';

export const UPSTREAM = 'https://git.example.invalid/acme';

/** Writes slowly and in the open, so that a kill meets a half-written wheel. */
const SETUP = `
import os, sys, time, zipfile
print('running bdist_wheel', flush=True)
slow = float(os.environ.get('SLOW', '0'))
if os.environ.get('FAIL'):
    print("ModuleNotFoundError: No module named 'setuptools'", file=sys.stderr)
    sys.exit(1)
parts = 10
with zipfile.ZipFile('demo-0.2.0-py3-none-any.whl', 'w') as wheel:
    def add(name, text):
        wheel.writestr(zipfile.ZipInfo(name, (2025, 1, 1, 0, 0, 0)), text)
    add('demo/__init__.py', "__version__ = '0.2.0'\\n")
    for i in range(parts):
        time.sleep(slow / parts)
        print(f'[{i + 1}/{parts}] part', flush=True)
        add(f'demo/part{i}.h', open('3rdparty/lib/include/lib.h').read() * 1000)
    add('demo-0.2.0.dist-info/METADATA', 'Metadata-Version: 2.1\\nName: demo\\nVersion: 0.2.0\\n')
    add('demo-0.2.0.dist-info/WHEEL', 'Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')
    add('demo-0.2.0.dist-info/RECORD', '')
`;

/** Makes the repositories under `root`; returns the environment in which git finds them at UPSTREAM, and the commit. */
export function makeUpstream(root: string): { env: NodeJS.ProcessEnv; commit: string } {
  const config = join(root, 'gitconfig');
  mkdirSync(root, { recursive: true });
  writeFileSync(
    config,
    `[user]\n name = t\n email = t@example.invalid\n[protocol "file"]\n allow = always\n[url "file://${root}/"]\n insteadOf = ${UPSTREAM}/\n`,
  );
  const env = { ...process.env, GIT_CONFIG_GLOBAL: config, GIT_CONFIG_NOSYSTEM: '1' };
  const git = (folder: string, ...args: string[]) => execaSync('git', args, { cwd: join(root, folder), env }).stdout;
  const repository = (folder: string, files: Record<string, string>) => {
    mkdirSync(join(root, folder), { recursive: true });
    git(folder, 'init', '-q', '-b', 'main');
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(join(root, folder, name, '..'), { recursive: true });
      writeFileSync(join(root, folder, name), text);
    }
    git(folder, 'add', '.');
    git(folder, 'commit', '-qm', 'first');
  };
  repository('lib.git', { 'include/lib.h': '#pragma once\n' });
  repository('unused.git', { 'README.md': 'not needed\n' });
  repository('demo.git', { 'setup.py': SETUP });
  git('demo.git', 'submodule', '--quiet', 'add', `${UPSTREAM}/lib.git`, '3rdparty/lib');
  git('demo.git', 'submodule', '--quiet', 'add', `${UPSTREAM}/unused.git`, '3rdparty/unused');
  git('demo.git', 'commit', '-qm', 'submodules');
  git('demo.git', 'tag', 'v0.2.0');
  return { env, commit: git('demo.git', 'rev-parse', 'HEAD') };
}

export const WHEEL = 'demo/demo-0.2.0-py3-none-any.whl';

export function step(values: Partial<Step> & Pick<Step, 'id' | 'argv'>): Step {
  return {
    title: values.id,
    source: null,
    note: null,
    cwd: '.',
    makeCwd: false,
    env: {},
    inputs: [],
    modules: [],
    outputs: [],
    expects: null,
    timeoutMs: 60_000,
    ...values,
  };
}

export const buildWheel = step({
  id: 'demo/build-wheel',
  cwd: 'demo',
  argv: ['python3', 'setup.py', '--verbose', 'bdist_wheel', '--dist-dir', './'],
  outputs: ['demo/*.whl'],
});

export const installWheel = step({
  id: 'demo/install',
  cwd: 'demo',
  argv: ['python3', '-m', 'pip', 'install', '--no-index', '--no-deps', 'demo-*.whl'],
  inputs: ['demo/*.whl'],
  expects: 'Successfully installed demo-0.2.0',
});

export function planOf(commit: string | null, steps: Step[]): Plan {
  return {
    recipe: 'demo',
    variant: 'seed',
    device: {
      name: 'test',
      isJetson: false,
      arch: process.arch,
      l4t: null,
      jetpack: null,
      cuda: null,
      python: null,
      sm: null,
      platform: null,
      cores: 2,
      memoryBytes: 0,
    },
    warnings: [],
    sources: [
      {
        kind: 'git',
        name: 'demo',
        url: `${UPSTREAM}/demo.git`,
        tag: 'v0.2.0',
        commit,
        directory: 'demo',
        submodules: [{ path: '3rdparty/lib', holds: '3rdparty/lib/include/lib.h' }],
      },
    ],
    requirements: {
      jetpack: null,
      cuda: null,
      python: ['3.9', '3.19'],
      tools: [],
      modules: [],
      memoryBytes: 0,
      diskBytes: 0,
    },
    environment: {},
    jobs: { count: 2, memoryBytesPerJob: 1 },
    steps,
    outputs: ['demo/*.whl'],
    checks: [],
  };
}
