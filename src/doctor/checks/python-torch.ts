/** PyTorch: built for CUDA, for this CUDA, for this GPU, and does a kernel run? */
import type { Torch } from '../../device/python-torch.js';
import { codeOfArchList, runsOn } from '../../device/wheels-arch.js';
import { type Check, outcome } from '../check.js';
import type { Facts } from '../facts.js';
import { archText, boardCuda, gpuTarget, replaceTorch } from './python-install.js';

/** Kernels in its libraries say more than a version. */
function hasCuda({ hasCuda: told }: Torch, { python }: Facts): boolean | null {
  return python?.libraries.some((library) => library.package === 'torch' && library.gpu !== null) || told;
}

const isForCuda = (facts: Facts) => facts.device.gpu !== null || gpuTarget(facts) !== null;

export const torch: Check = {
  id: 'torch',
  group: 'python',
  expected: 'a torch that is imported and sees the GPU',
  why: 'SGLang computes with it; without CUDA every token comes from the CPU, or nothing starts',
  look: (facts) => {
    const found = facts.python?.torch ?? null;
    if (facts.python === null) return null;
    if (found === null) return outcome('skip', 'no torch: SGLang needs it, the native runtime does not');
    const text = describe(found);
    if (found.fault !== null) return outcome('fail', `${text}: ${found.fault}`, replaceTorch(facts));
    if (!isForCuda(facts)) return outcome('pass', text);
    if (hasCuda(found, facts) === false) {
      return outcome('fail', `${text}: a wheel built without CUDA`, replaceTorch(facts));
    }
    if (hasCuda(found, facts) === null) return outcome('skip', `${text}: not told whether it was built with CUDA`);
    if (found.cudaAvailable === false) {
      // The reason is told by torch-cuda.
      if (isForOtherCuda(facts, found)) return null;
      const fix = 'groups; ls -l /dev/nvhost-gpu /dev/nvmap /dev/nvidia*   # then sudo usermod -aG video,render $USER';
      return outcome('fail', `${text}: torch.cuda.is_available() is False`, fix);
    }
    return outcome('pass', text);
  },
};

function describe({ version, cuda, cudaAvailable, site }: Torch): string {
  const details = [
    cuda !== null && `built for CUDA ${cuda}`,
    cudaAvailable === true && 'sees the GPU',
    site !== null && `in ${site}`,
  ].filter(Boolean);
  return `torch ${version}${details.length > 0 ? ` (${details.join(', ')})` : ''}`;
}

function isForOtherCuda(facts: Facts, { cuda }: Torch): boolean {
  const board = boardCuda(facts);
  return board !== null && cuda !== null && major(cuda) !== major(board);
}

const major = (version: string) => Number.parseInt(version, 10);
const minor = (version: string) => Number(version.split('.')[1] ?? 0);

export const torchCuda: Check = {
  id: 'torch-cuda',
  group: 'python',
  expected: "a torch that was built for the CUDA of this board's driver",
  why: 'the driver of a Jetson comes with its L4T and runs no newer CUDA; an older one lacks its libraries here',
  look: (facts) => {
    const found = facts.python?.torch ?? null;
    const board = boardCuda(facts);
    if (found?.cuda == null || board === null) return null;
    const expected = `built for CUDA ${board}, as L4T ${facts.release.l4t} brings`;
    const text = `torch ${found.version} is built for CUDA ${found.cuda}; the board has CUDA ${board}`;
    if (isForOtherCuda(facts, found)) {
      const works = found.launch === 'ok' || found.cudaAvailable === true;
      return { ...outcome(works ? 'warn' : 'fail', text, replaceTorch(facts)), expected };
    }
    if (minor(found.cuda) <= minor(board) || found.launch === 'ok') return outcome('pass', text);
    return { ...outcome('warn', `${text}: its PTX is too new for the driver`, replaceTorch(facts)), expected };
  },
};

export const torchArch: Check = {
  id: 'torch-arch',
  group: 'python',
  expected: 'a torch with machine code for this GPU, or PTX that its driver compiles',
  why: 'without it the first kernel ends with "no kernel image is available", though torch sees the GPU',
  look: (facts) => {
    const gpu = gpuTarget(facts);
    const found = facts.python?.torch ?? null;
    if (facts.python === null || found === null || gpu === null || hasCuda(found, facts) === false) return null;
    const library = facts.python.libraries.find((each) => each.package === 'torch' && each.gpu !== null)?.gpu ?? null;
    const listed = found.archList !== null && found.archList.length > 0 ? codeOfArchList(found.archList) : null;
    const code = listed ?? library;
    if (code === null) return null;
    const names = [...code.sass.map((arch) => `sm_${arch}`), ...code.ptx.map((arch) => `compute_${arch}`)].join(' ');
    const text = `torch ${found.version} has code for ${names || 'no GPU'}; this one is sm_${gpu.arch}`;
    if (runsOn(code, gpu) || found.launch === 'ok') return outcome('pass', text);
    if (listed === null && library?.isComplete === false) return outcome('skip', `${text}, as far as it was read`);
    const expected = `sm_${gpu.arch} in torch.cuda.get_arch_list(), or PTX of compute_${gpu.arch} or older (${archText(gpu.arch)})`;
    return { ...outcome('fail', text, replaceTorch(facts)), expected };
  },
};

export const torchLaunch: Check = {
  id: 'torch-run',
  group: 'python',
  expected: 'a kernel of torch runs on the GPU',
  why: 'an import and torch.cuda.is_available() prove nothing; this does',
  look: (facts) => {
    const launch = facts.python?.torch?.launch ?? null;
    if (launch === null) return null;
    if (launch === 'ok') return outcome('pass', 'a kernel ran, and its result is right');
    return outcome('fail', launch, replaceTorch(facts));
  },
};

export const torchCopies: Check = {
  id: 'torch-copies',
  group: 'python',
  expected: 'one torch on the import path',
  why: 'the first on the path is imported, often a CPU wheel in ~/.local that hides the right one',
  look: ({ python }) => {
    const copies = python?.distributions.filter(({ name }) => name === 'torch') ?? [];
    if (copies.length < 2) return null;
    const text = copies.map(
      ({ version, site }, i) => `${version} in ${site}${i === 0 ? ' (this one is imported)' : ''}`,
    );
    return outcome(
      'warn',
      text.join(', '),
      'python3 -m pip uninstall -y torch   # removes the first; then jsg doctor again',
    );
  },
};
