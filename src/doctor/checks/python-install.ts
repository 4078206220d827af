/** The commands that put the right wheels on a machine. */
import { smOf } from '../../device/modules.js';
import { stackOf } from '../../device/releases.js';
import type { Distribution } from '../../device/wheels.js';
import type { GpuTarget } from '../../device/wheels-arch.js';
import type { Facts } from '../facts.js';
import { jetsonIndexUrl } from './wheels-table.js';

/** Those of these packages that are imported: no copy that another one hides. */
export function importedOf({ python }: Facts, names: string[]): Distribution[] {
  return python?.distributions.filter(({ name, isShadowed }) => names.includes(name) && !isShadowed) ?? [];
}

/** The GPU that wheels must hold code for; null: none, or not told. */
export function gpuTarget({ board, python, addon }: Facts): GpuTarget | null {
  const ofBoard = board?.soc ? smOf(board.soc) : null;
  if (ofBoard !== null) return { arch: ofBoard, isTegra: true };
  const seen = python?.torch?.gpu?.arch ?? Number(/\(sm_(\d+)\)/.exec(addon?.cudaDevice ?? '')?.[1] ?? 0);
  return seen > 0 ? { arch: seen, isTegra: board !== null } : null;
}

/** CUDA that the driver of this Jetson's release brings: `12.6`; null: no Jetson, or not known. */
export function boardCuda({ release, libraries }: Facts): string | null {
  if (release.l4t === null) return null;
  const told = stackOf(release.l4t)?.cuda ?? libraries.cuda;
  return /^\d+\.\d+/.exec(told ?? '')?.[0] ?? null;
}

/** Installs packages from the index of this board's line. Without one: what must come first. */
export function installFromIndex({ release }: Facts, packages: string): string {
  const url = jetsonIndexUrl(release.l4t);
  if (url !== null) return `python3 -m pip install ${packages} --index-url ${url}`;
  if (release.l4t === null) return `python3 -m pip install ${packages}`;
  return `none of these wheels is for L4T ${release.l4t}: bring the board to JetPack 6.1 or newer first, then jsg doctor`;
}

/** pip takes an installed version for good, whatever it was built for: so it is removed first. */
export function replaceTorch(facts: Facts): string {
  const own = ['torch', 'torchvision', 'torchaudio'].filter(
    (name) => name === 'torch' || facts.python?.distributions.some((found) => found.name === name),
  );
  const packages = own.join(' ');
  const install = installFromIndex(facts, packages);
  return install.startsWith('python3') ? `python3 -m pip uninstall -y ${packages} && ${install}` : install;
}

/** Builds SGLang's kernels for this GPU on the board itself. */
export function rebuild(packages: string, gpu: GpuTarget | null): string {
  const archs = gpu === null ? '' : `TORCH_CUDA_ARCH_LIST=${archText(gpu.arch)} `;
  return `${archs}python3 -m pip install --force-reinstall --no-deps --no-build-isolation --no-binary ${packages} ${packages}`;
}

/** 87 -> `8.7` */
export const archText = (arch: number) => `${Math.floor(arch / 10)}.${arch % 10}`;
