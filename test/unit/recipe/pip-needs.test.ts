/** What pip would fetch by itself in the course of a plan. */
import { describe, expect, it } from 'vitest';
import { makePlan, planParts } from '../../../src/recipe/make-plan.js';
import { pipNeeds } from '../../../src/recipe/pip-needs.js';
import { loadRecipe } from '../../../src/recipe/recipe.js';
import { board } from './boards.js';

const needsOf = async (name: string, variant = 'seed') =>
  pipNeeds(makePlan({ recipe: loadRecipe(name), variant, device: await board('agx-orin-jp6.2') }));

describe('pipNeeds', () => {
  it('what steps name, but no files that steps have made', async () => {
    expect(await needsOf('flashinfer')).toEqual({
      wheels: ['setuptools', 'wheel', 'ninja'],
      sourcePackages: [],
      builds: [],
    });
  });

  it('projects that pip builds, and whether it installs what they require', async () => {
    expect(await needsOf('xgrammar')).toMatchObject({
      wheels: ['setuptools', 'wheel', 'pybind11'],
      builds: [{ folder: 'xgrammar/python', withDependencies: true }],
    });
    expect((await needsOf('sglang')).builds).toEqual([{ folder: 'sglang/python', withDependencies: true }]);
    expect((await needsOf('sglang', 'latest')).builds).toEqual([{ folder: 'sglang/python', withDependencies: false }]);
    expect((await needsOf('sgl-kernel', 'latest')).builds).toEqual([]);
  });

  it('source packages', async () => {
    expect(await needsOf('xgrammar', 'latest')).toMatchObject({ sourcePackages: ['xgrammar==0.2.8'] });
  });

  it('nothing of what was fetched before the steps', async () => {
    expect(await needsOf('torch')).toEqual({ wheels: [], sourcePackages: [], builds: [] });
  });

  it('no option is taken for a package', async () => {
    for (const variant of ['seed', 'latest']) {
      const device = await board('thor');
      const parts = planParts({ recipe: loadRecipe('all'), variant, device });
      for (const { wheels } of parts.map(pipNeeds))
        expect(wheels.filter((word) => !/^[a-z][\w.-]*(?:[=<]=?[\d.]+)?$/.test(word))).toEqual([]);
    }
  });
});
