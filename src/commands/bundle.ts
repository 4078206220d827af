/** `jsg bundle`: all that a board needs, gathered here for an installation without a network. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { type BundleRequest, bundleTasks, gatherBundle, isTar } from '../bundle/gather.js';
import type { Manifest } from '../bundle/manifest.js';
import { probeMachine } from '../device/machine.js';
import { sourceUnder } from '../device/source.js';
import { JsgError } from '../errors.js';
import { loadProfile, type Profile } from '../profile/profile.js';
import { planDevice, planDeviceOfPath } from '../recipe/machine-facts.js';
import { planParts } from '../recipe/make-plan.js';
import type { PlanDevice } from '../recipe/plan.js';
import { loadRecipe } from '../recipe/recipe.js';
import { megabytes } from '../recipe/run/checks/finding.js';
import { JetsonIndex } from '../registry/jetson-index.js';
import type { Target } from '../registry/tags.js';
import { targetOfPath, targetOfPython } from '../registry/target.js';
import { showBuild } from './build-view.js';
import { givenPlatform, givenPython } from './platform.js';
import type { Options } from './settings.js';
import { abortedBySignals } from './signals.js';

/** Returns 0 where the bundle is whole, but for what its manifest names as missing. */
export async function bundle(options: Options): Promise<number> {
  const profile = loadProfile(required(options.profile, '--profile NAME'));
  const output = outputOf(required(options.output, '--output DIR, or a file that ends in .tar'));
  const { device, target } = await chooseBoard(options);
  const variant = String(options.variant ?? 'seed');
  const recipes = chooseRecipes(profile, options.recipe as string | undefined);
  const plans = recipes.flatMap((name) => planParts({ recipe: loadRecipe(name), variant, device }));
  const { platform } = device;
  const index = platform === null ? null : new JetsonIndex({ path: platform, target });
  const model = options.model === false ? null : (profile.settings['model-path'] ?? null);
  const python = process.env.JSG_PYTHON || 'python3';
  const what = { output, profile: profile.name, model, variant, recipes, plans, platform, target, index, python };
  try {
    const manifest = await gatherShown(what);
    process.stdout.write(options.json ? `${JSON.stringify(manifest, null, 2)}\n` : format(output, manifest));
    for (const { what: name, why } of manifest.missing) {
      process.stderr.write(`jsg: warning: not in the bundle: ${name}: ${why}\n`);
    }
    return 0;
  } finally {
    await index?.close();
  }
}

function required(value: unknown, what: string): string {
  if (value !== undefined && value !== '') return String(value);
  throw new JsgError('E_USAGE', `${what.split(/[ ,]/)[0]} is not given`, {
    hint: `jsg bundle takes ${what}: jsg bundle --profile smollm2 --output ./bundle`,
  });
}

function outputOf(text: string): string {
  if (/\.(tgz|tar\.\w+|zip)$/i.test(text)) {
    throw new JsgError('E_USAGE', `--output: ${text} would be compressed, and what is in it is already`, {
      hint: 'Give a folder, or a file that ends in .tar.',
    });
  }
  const output = resolve(text);
  if (isTar(output) && existsSync(output)) {
    throw new JsgError('E_USAGE', `--output: ${output} is there already`, { hint: 'Remove it, or give another name.' });
  }
  return output;
}

/** That of `--platform`, else this machine. */
async function chooseBoard(options: Options): Promise<{ device: PlanDevice; target: Target }> {
  const [platform, python] = [givenPlatform(options), givenPython(options)];
  const source = sourceUnder();
  const here = await targetOfPython(source);
  if (platform !== null) {
    const target = targetOfPath(platform);
    const wanted =
      python ?? (here?.machine === target.machine && !isJetsonPath(platform) ? here.python : target.python);
    const of = { ...target, python: wanted };
    return { device: planDeviceOfPath(platform, of), target: of };
  }
  if (here === null) throw new JsgError('E_IO_FAILED', 'python3 does not run', { hint: 'Install it: jsg doctor.' });
  const target = { ...here, python: python ?? here.python };
  const found = planDevice({ machine: await probeMachine(source), python: target.python, sm: null });
  return { device: found, target };
}

/** Their JetPack decides on the Python; elsewhere it is whatever is there. */
const isJetsonPath = (platform: string) => /^(jp\d|sbsa)\//.test(platform);

/** What the profile's launch calls for: SGLang with its kernels where it computes on a GPU, nothing for the CPU. */
function chooseRecipes({ settings }: Profile, given: string | undefined): string[] {
  if (given === 'none') return [];
  if (given !== undefined) {
    const names = given.split(',').map((name) => name.trim());
    return [...new Set(names.filter(Boolean))];
  }
  if (settings.device !== 'cuda') return [];
  const isFlashinfer = settings['attention-backend'] === 'flashinfer';
  const isXgrammar = settings['grammar-backend'] === 'xgrammar';
  return [
    'torch',
    ...(isFlashinfer ? ['flashinfer'] : []),
    'sglang',
    'sgl-kernel',
    ...(isXgrammar ? ['xgrammar'] : []),
  ];
}

/** Gathers under a display; a signal ends it in order. */
function gatherShown(what: Omit<BundleRequest, 'signal' | 'onEvent'>): Promise<Manifest> {
  return abortedBySignals(async (signal) => {
    const view = showBuild(bundleTasks(what));
    try {
      const manifest = await gatherBundle({ ...what, signal, onEvent: view.onEvent });
      await view.end();
      return manifest;
    } catch (error) {
      await view.fail();
      throw error;
    }
  });
}

function format(output: string, { platform, machine, python, files }: Manifest): string {
  const kinds = ['git-source', 'wheel', 'source-package', 'native', 'model', 'npm'] as const;
  const lines = kinds.flatMap((kind) => {
    const found = files.filter((file) => file.kind === kind);
    const bytes = found.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    const names = found.map(({ name, version }) => [name, version].filter(Boolean).join(' '));
    return found.length === 0
      ? []
      : [`  ${kind.padEnd(15)} ${megabytes(bytes).padStart(10)}  ${[...new Set(names)].join(', ')}`];
  });
  const target = [platform, machine, `Python ${python}`].filter(Boolean).join(', ');
  return [`${output} for ${target}`, ...lines, 'INSTALL.md in it says how it is installed.', ''].join('\n');
}
