/** Plans of the recipes for known boards: reviewed as snapshots, and by what must hold for any. */
import { describe, expect, it } from 'vitest';
import { makePlan } from '../../../src/recipe/make-plan.js';
import type { PlanDevice } from '../../../src/recipe/plan.js';
import { formatPlan } from '../../../src/recipe/print.js';
import { loadRecipe, recipeNames } from '../../../src/recipe/recipe.js';
import { board } from './boards.js';

const planned = (name: string, device: PlanDevice, variant = 'seed') =>
  makePlan({ recipe: loadRecipe(name), variant, device });

const KNOWN = ['agx-orin-jp6.1', 'agx-orin-jp6.2', 'orin-nano-super', 'thor', 'x86-cuda'];

describe.each(KNOWN)('%s', (name) => {
  it.each(['seed', 'latest'])('the commands of all recipes, %s', async (variant) => {
    const text = formatPlan(planned('all', await board(name), variant), '/opt/jsg');
    await expect(text).toMatchFileSnapshot(`snapshots/${name}-${variant}.sh`);
  });

  it('the plan as JSON, the same each time', async () => {
    const plan = planned('all', await board(name));
    expect(JSON.parse(JSON.stringify(plan))).toEqual(plan);
    expect(JSON.stringify(planned('all', await board(name)))).toBe(JSON.stringify(plan));
    await expect(`${JSON.stringify(plan, null, 2)}\n`).toMatchFileSnapshot(`snapshots/${name}.plan`);
  });

  it('each step has an id of its own, and every name is filled but those left to the runner', async () => {
    const { steps } = planned('all', await board(name));
    expect(new Set(steps.map(({ id }) => id)).size).toBe(steps.length);
    const words = steps.flatMap(({ argv, env, title }) => [...argv, ...Object.values(env), title]);
    expect(words.filter((word) => /\{(?!jobs\}|package\})\w+\}/.test(word))).toEqual([]);
  });
});

describe('makePlan', () => {
  it.each([
    ['agx-orin-jp6.2', '8.7'],
    ['thor', '11.0'],
    ['x86-cuda', '9.0'],
  ])('%s: kernels are compiled for %s', async (name, arch) => {
    const wheel = planned('sgl-kernel', await board(name)).steps.find(({ id }) => id === 'sgl-kernel/wheel');
    expect(wheel?.env.TORCH_CUDA_ARCH_LIST).toBe(arch);
  });

  it('fewer jobs on a board of 8 GB', async () => {
    const [nano, agx] = [await board('orin-nano-super'), await board('agx-orin-jp6.2')];
    expect(planned('sgl-kernel', nano).jobs.count).toBe(1);
    expect(planned('xgrammar', nano).jobs.count).toBe(4);
    expect(planned('sgl-kernel', agx).jobs.count).toBe(12);
  });

  it('no list of architectures where no GPU is known, and no check that needs one', async () => {
    const plan = planned('flashinfer', { ...(await board('x86-cuda')), sm: null });
    expect(plan.environment).toEqual({ FLASHINFER_ENABLE_AOT: '0' });
    expect(plan.checks.map(({ kind }) => kind)).toEqual(['wheel', 'contents', 'import']);
  });

  it('one clone for two recipes of one repository, with the submodules that the second needs', async () => {
    const { sources, steps } = planned('all', await board('agx-orin-jp6.2'));
    expect(steps.filter(({ id }) => id === 'sglang/clone')).toHaveLength(1);
    const sglang = sources.find(({ name }) => name === 'sglang');
    expect(sglang).toMatchObject({ submodules: [{ path: 'sgl-kernel/3rdparty' }] });
  });

  it('torch comes from the index of the board and is checked for its CUDA', async () => {
    const plan = planned('torch', await board('agx-orin-jp6.1'), 'latest');
    expect(plan.sources).toEqual([
      {
        kind: 'package',
        name: 'torch',
        version: '2.8.0',
        index: {
          platform: 'jp6/cu126',
          url: expect.stringMatching(/jp6\/cu126\/\+simple\/$/),
          directory: 'wheels/torch',
        },
        sha256: null,
      },
    ]);
    expect(plan.checks[0]).toEqual({ kind: 'torch', cuda: '12.6', sm: 87 });
  });

  it('a JetPack without a row is warned of, and torch is refused for it', async () => {
    const old = await board('agx-orin-jp5');
    expect(planned('flashinfer', old).warnings.join()).toMatch(/JetPack 5\.1\.2 is here, 6\.1 or later is needed/);
    expect(() => planned('torch', { ...old, platform: null })).toThrow(
      /index of wheels is not known for .*JetPack 5\.1\.2/,
    );
    const newest = await board('agx-orin-jp7.2');
    expect(() => planned('torch', newest, 'latest')).toThrow(/torch that works is not known for .*JetPack 7\.2/);
  });

  it.each(recipeNames())('%s has no unknown variant', async (name) => {
    const device = await board('agx-orin-jp6.2');
    expect(planned(name, device).steps.length).toBeGreaterThan(0);
    expect(() => planned(name, device, 'sead')).toThrow(/has no variant sead/);
  });
});

describe('what is printed', () => {
  /** The document's commands of Steps 1 and 2 and of XGrammar; those that are mended stand in a comment. */
  it.each([
    'pip install torch --index-url https://pypi.jetson-ai-lab.dev/jp6/cu126',
    'git clone -b v0.2.0 https://github.com/flashinfer-ai/flashinfer.git --recursive',
    'cd flashinfer',
    'python3 setup.py --verbose bdist_wheel --dist-dir ./',
    'pip3 install flashinfer-0.2.0-py3-none-any.whl',
    'git clone https://github.com/sgl-project/sglang',
    'pip install -e .',
    'cd sgl-kernel',
    'pip3 install sgl_kernel-0.0.2.post14-cp310-cp310-linux_aarch64.whl',
    'git clone --recursive https://github.com/mlc-ai/xgrammar.git && cd xgrammar',
    'pre-commit install',
    'cmake .. -G Ninja',
    'ninja',
    'cd ../python',
    'python3 -m pip install .',
  ])('%s', async (command) => {
    expect(formatPlan(planned('all', await board('agx-orin-jp6.2')), '/opt/jsg')).toContain(command);
  });

  it('enters the folder of every command', async () => {
    const plan = planned('all', await board('agx-orin-jp6.2'));
    let at: string[] = [];
    const folders: string[] = [];
    for (const line of formatPlan(plan, '/opt/jsg').split('\n')) {
      const way = /^(?:mkdir .* && )?cd (\S+)$/.exec(line)?.[1];
      if (way !== undefined) {
        for (const part of way.split('/')) at = part === '..' ? at.slice(0, -1) : [...at, part];
      } else if (/^(?:git|pip3?|python3 (?!-m venv)|cmake|ninja|sed) ?/.test(line)) {
        folders.push(at.join('/') || '.');
      }
    }
    expect(folders).toEqual(plan.steps.map(({ cwd }) => cwd));
    expect(at).toEqual([]);
  });
});
