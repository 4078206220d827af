/** Compiled code in wheels: for this GPU, for this CPU, and with its libraries there. */
import { runsOn } from '../../device/wheels-arch.js';
import type { WheelLibrary } from '../../device/wheels-code.js';
import { type Check, outcome } from '../check.js';
import type { Facts } from '../facts.js';
import {
  archText,
  boardCuda,
  gpuTarget,
  importedOf,
  installFromIndex,
  rebuild,
  replaceTorch,
} from './python-install.js';

const SGL_KERNEL = ['sgl-kernel', 'sglang-kernel'];
const codeOf = ({ python }: Facts, name: string) =>
  python?.libraries.filter((library) => library.package === name && library.gpu !== null) ?? [];

/** Libraries of a package without code for this GPU. Half-read ones are left out: there may be more in them. */
function withoutCode(facts: Facts, name: string): { all: WheelLibrary[]; lacking: WheelLibrary[] } {
  const gpu = gpuTarget(facts);
  const all = codeOf(facts, name).filter(({ gpu: code }) => code?.isComplete);
  return { all, lacking: gpu === null ? [] : all.filter(({ gpu: code }) => code !== null && !runsOn(code, gpu)) };
}

function archsOf(libraries: WheelLibrary[]): string {
  const sorted = (archs: string[]) =>
    [...new Set(archs)].sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10));
  const sass = sorted(libraries.flatMap(({ gpu }) => gpu?.sass ?? [])).map((arch) => `sm_${arch}`);
  const ptx = sorted(libraries.flatMap(({ gpu }) => gpu?.ptx ?? [])).map((arch) => `compute_${arch}`);
  return [...sass, ...ptx].join(' ') || 'no GPU';
}

export const sglKernel: Check = {
  id: 'sgl-kernel',
  group: 'python',
  expected: 'SGLang kernels compiled for this GPU',
  why: 'without them SGLang ends at its first RMSNorm: "no kernel image is available for execution on the device"',
  look: (facts) => {
    const [found] = importedOf(facts, SGL_KERNEL);
    if (found === undefined) return null;
    const gpu = gpuTarget(facts);
    const launch = facts.python?.torch?.sglKernelLaunch ?? null;
    const fix = buildSglKernel(facts);
    const text = `${found.name} ${found.version}`;
    if (launch !== null && launch !== 'ok') return outcome('fail', `${text}: ${launch}`, fix);
    const { all, lacking } = withoutCode(facts, found.name);
    if (gpu === null || all.length === 0)
      return outcome(launch === 'ok' ? 'pass' : 'skip', `${text}: its code is not told`);
    const detail = `${text} has code for ${archsOf(all)}; this GPU is sm_${gpu.arch}`;
    const expected = `sm_${gpu.arch} in each of its libraries`;
    if (lacking.length === all.length && launch !== 'ok') return { ...outcome('fail', detail, fix), expected };
    if (lacking.length === 0) return outcome('pass', detail);
    const files = lacking.map(({ file }) => file).join(', ');
    return { ...outcome('warn', `${text} has no code for sm_${gpu.arch} in ${files}`, fix), expected };
  },
};

/** Its CMake leaves out what is older than sm_90 unless told, and the source must be of the installed sglang's time. */
function buildSglKernel(facts: Facts): string {
  const gpu = gpuTarget(facts);
  const sglang = importedOf(facts, ['sglang'])[0]?.version;
  const tag = sglang !== undefined && /^\d+(\.\d+)+$/.test(sglang) ? `-b v${sglang} ` : '';
  const archs = gpu === null ? '' : `TORCH_CUDA_ARCH_LIST=${archText(gpu.arch)} `;
  const below = gpu !== null && gpu.arch < 90 ? 'CMAKE_ARGS=-DENABLE_BELOW_SM90=ON ' : '';
  return (
    `git clone ${tag}--depth 1 https://github.com/sgl-project/sglang && cd sglang/sgl-kernel && ` +
    `${archs}${below}MAX_JOBS=2 python3 -m pip install --no-build-isolation --no-deps --force-reinstall .`
  );
}

/** Compiled beside torch, each useful without its kernels or not used at all: so never a failure. */
const OTHERS: { name: string; fix: (facts: Facts) => string }[] = [
  { name: 'torchvision', fix: replaceTorch },
  { name: 'flash-attn', fix: (facts) => rebuild('flash-attn', gpuTarget(facts)) },
  { name: 'vllm', fix: (facts) => installFromIndex(facts, '--force-reinstall --no-deps vllm') },
  { name: 'torchao', fix: (facts) => installFromIndex(facts, '--force-reinstall --no-deps torchao') },
  {
    name: 'flashinfer-jit-cache',
    // Without it FlashInfer compiles what it needs on the board.
    fix: () => 'python3 -m pip uninstall -y flashinfer-jit-cache',
  },
];

export const wheelArch: Check = {
  id: 'wheel-arch',
  group: 'python',
  expected: 'wheels compiled for this GPU',
  why: 'their kernels end with "no kernel image is available", or a slow way without them is taken',
  look: (facts) => {
    const gpu = gpuTarget(facts);
    if (gpu === null) return null;
    const judged = OTHERS.map((other) => ({ ...other, ...withoutCode(facts, other.name) })).filter(
      ({ all }) => all.length > 0,
    );
    const lacking = judged.filter(({ all, lacking }) => lacking.length === all.length);
    if (judged.length === 0) return null;
    if (lacking.length === 0)
      return outcome('pass', `${judged.map(({ name }) => name).join(', ')}: code for sm_${gpu.arch}`);
    const text = lacking.map(({ name, all }) => `${name} has code for ${archsOf(all)}, not for sm_${gpu.arch}`);
    return outcome('warn', text.join('; '), lacking.map(({ fix }) => fix(facts)).join(' && '));
  },
};

export const wheelCpu: Check = {
  id: 'wheel-cpu',
  group: 'python',
  expected: 'libraries for the CPU of this machine',
  why: 'a wheel may carry the wrong platform in its name; its libraries do not load',
  look: (facts) => {
    const { arch } = facts.device.cpu;
    const isKnown = arch === 'arm64' || arch === 'x64';
    const own = facts.board === null ? arch : 'arm64';
    const wrong = facts.python?.libraries.filter(({ cpu }) => cpu !== own) ?? [];
    const names = [...new Set(wrong.map((library) => library.package))];
    if (names.length === 0 || (facts.board === null && !isKnown)) return null;
    const text = wrong.map(({ file, cpu }) => `${file} is for ${cpu ?? 'another CPU'}`).slice(0, 3);
    const fix = `python3 -m pip uninstall -y ${names.join(' ')} && ${installFromIndex(facts, names.join(' '))}`;
    return outcome('fail', `${text.join(', ')}; this machine is ${own}`, fix);
  },
};

export const cudaLibraries: Check = {
  id: 'cuda-libs',
  group: 'python',
  expected: 'the CUDA libraries that the wheels were linked with',
  why: 'the import ends with "cannot open shared object file"; mostly a wheel for another CUDA than the board has',
  look: (facts) => {
    const lacking = facts.python?.libraries.filter(({ missing }) => missing.length > 0) ?? [];
    if (lacking.length === 0 || facts.python?.torch?.launch === 'ok') return null;
    const missing = [...new Set(lacking.flatMap((library) => library.missing))];
    const users = [...new Set(lacking.map((library) => library.package))];
    const cuda = boardCuda(facts);
    const text = `${missing.join(', ')} not found, needed by ${users.join(', ')}${cuda === null ? '' : `; the board has CUDA ${cuda}`}`;
    return outcome('fail', text, mendMissing(facts, missing, users));
  },
};

/** Libraries that JetPack leaves to apt: package by library. */
const APT: Record<string, string> = {
  libcusparseLt: 'libcusparselt0',
  libcudss: 'cudss',
  libcudnn: 'libcudnn9-cuda-12',
};

function mendMissing(facts: Facts, missing: string[], users: string[]): string {
  const packages = missing.map((name) => APT[name.split('.')[0] ?? '']);
  if (packages.every((name) => name !== undefined))
    return `sudo apt-get install -y ${[...new Set(packages)].join(' ')}`;
  if (users.includes('torch')) return replaceTorch(facts);
  return `python3 -m pip uninstall -y ${users.join(' ')} && ${installFromIndex(facts, `--no-deps ${users.join(' ')}`)}`;
}
