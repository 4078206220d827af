/** What the tests of `jsg build` build: a recipe for the repositories of recipe-run-spec, and a folder for each build. */
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execaSync } from 'execa';
import { makeUpstream, UPSTREAM } from '../integration/recipe-run-spec.js';

export interface Site {
  root: string;
  /** Of git, which finds UPSTREAM there. */
  env: Record<string, string>;
  commit: string;
}

export function makeSite(): Site {
  const root = mkdtempSync(join(tmpdir(), 'jsg-build-e2e-'));
  const { env, commit } = makeUpstream(join(root, 'upstream'));
  const { GIT_CONFIG_GLOBAL = '', GIT_CONFIG_NOSYSTEM = '' } = env;
  return { root, env: { GIT_CONFIG_GLOBAL, GIT_CONFIG_NOSYSTEM }, commit };
}

/** Values of the recipe in YAML, each over the default. */
export interface Wanted {
  tools?: string;
  tag?: string;
  minKb?: number;
  /** Further steps. */
  steps?: string;
}

/** Writes the recipe `demo`; its path. */
export function writeRecipe({ root, commit }: Site, folder: string, wanted: Wanted = {}): string {
  const path = join(root, folder, 'demo.yaml');
  mkdirSync(join(root, folder), { recursive: true });
  writeFileSync(
    path,
    `description: a wheel that writes itself
variants:
  seed:
    description: demo 0.2.0
    sources:
      - git: ${UPSTREAM}/demo.git
        name: demo
        tag: ${wanted.tag ?? 'v0.2.0'}
        commit: ${commit}
        submodules: [{ path: 3rdparty/lib, holds: 3rdparty/lib/include/lib.h }]
    requirements: { tools: ${wanted.tools ?? '[git, python3]'}, memory_gb: 0.1, disk_gb: 0.1 }
    steps:
      - id: wheel
        title: build the wheel
        in: demo
        run: python3 setup.py --verbose bdist_wheel --dist-dir ./
        outputs: ['demo/demo-0.2.0-py3-none-any.whl']
        timeout_min: 5
      - id: install
        title: install the wheel
        in: demo
        run: pip3 install --no-index --no-deps --force-reinstall demo-*.whl
        expects: Successfully installed demo-0.2.0
        timeout_min: 5
${wanted.steps ?? ''}    outputs: ['demo/demo-0.2.0-py3-none-any.whl']
    checks:
      - { wheel: 'demo/demo-0.2.0-py3-none-any.whl', min_kb: ${wanted.minKb ?? 1} }
      - { contents: 'demo/demo-0.2.0-py3-none-any.whl', prefix: demo/part, count: 10 }
      - { import: demo, version: '0.2.0', needs: [] }
      - { import: demo, needs: [torch] }
`,
  );
  return path;
}

/** A virtual environment of one's own: making one for each build takes most of a test's time. */
export function makeVenv({ root }: Pick<Site, 'root'>, name: string): string {
  const path = join(root, name);
  execaSync('python3', ['-m', 'venv', path]);
  return path;
}
