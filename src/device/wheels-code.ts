/** For which GPUs and CPUs the libraries of installed wheels were compiled, and what they need to load. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { neededLibraries, readElf, withBytes } from './elf.js';
import { type GpuCode, readGpuCode } from './elf-fatbin.js';
import type { Distribution, Site } from './wheels.js';

export interface WheelLibrary {
  /** Distribution it belongs to. */
  package: string;
  /** Path inside the site: `sgl_kernel/common_ops.abi3.so`. */
  file: string;
  /** CPU it is for; null: another one than jsg runs on. */
  cpu: 'arm64' | 'x64' | null;
  /** Null: no code for a GPU in it. */
  gpu: GpuCode | null;
  /** Libraries of CUDA that it needs and that the loader would not find: `libcudart.so.12`. Not looked at in copied files. */
  missing: string[];
}

/** Packages that bring compiled code for the GPU, and the folders to look in where no list of files is there. */
const FOLDERS: Record<string, string[]> = {
  torch: ['torch/lib'],
  torchvision: ['torchvision'],
  torchao: ['torchao'],
  'sgl-kernel': ['sgl_kernel', 'sgl_kernel/sm90', 'sgl_kernel/sm100'],
  'sglang-kernel': ['sgl_kernel', 'sgl_kernel/sm90', 'sgl_kernel/sm100'],
  'flash-attn': ['.'],
  'flashinfer-python': ['flashinfer'],
  flashinfer: ['flashinfer'],
  'flashinfer-jit-cache': ['flashinfer_jit_cache/jit_cache'],
  vllm: ['vllm'],
  xgrammar: ['xgrammar'],
};

const LIBRARY = /\.so(\.\d+)*$/;
/** PyTorch's kernels are in these; its other libraries only call them. */
const TORCH_KERNELS = /^torch\/lib\/libtorch_cuda[\w.]*\.so$/;
const FLASH_ATTN = /^flash_attn\w*\.[\w.-]*so$|^flash_attn\//;
/** A jit cache is one library for each kernel, hundreds of them: a sample tells for which GPU it was made. */
const MAX_LIBRARIES = 16;

/** The driver's libcuda comes from the system, or from the container runtime: not a matter of wheels. */
const OF_CUDA =
  /^lib(cudart|cublas|cublasLt|cudnn|cufft|cufile|curand|cusolver|cusparse|cusparseLt|cudss|nccl|nvrtc|nvJitLink|nvToolsExt|nvshmem_host)\.so\.\d+$/;

/** Names of the libraries where the loader looks, and where wheels of CUDA's own libraries put them. */
function cudaLibraries(sites: Site[]): Set<string> {
  const names = new Set<string>();
  const add = ({ source }: Site, folder: string) => {
    for (const name of source.list(folder)) if (OF_CUDA.test(name)) names.add(name);
  };
  for (const site of sites) {
    add(site, `${site.path}/torch/lib`);
    const wheels = site.source.list(`${site.path}/nvidia`);
    for (const wheel of wheels) add(site, `${site.path}/nvidia/${wheel}/lib`);
  }
  const site = sites.find(({ source }) => source.isHere);
  if (site === undefined) return names;
  const toolkits = site.source.list('/usr/local').filter((name) => /^cuda/.test(name));
  for (const toolkit of toolkits) add(site, `/usr/local/${toolkit}/lib64`);
  const loaderPath = (process.env.LD_LIBRARY_PATH ?? '').split(':').filter((path) => path.startsWith('/'));
  for (const folder of [...SYSTEM_FOLDERS, ...loaderPath]) add(site, folder);
  return names;
}

const SYSTEM_FOLDERS = ['aarch64-linux-gnu', 'x86_64-linux-gnu'].flatMap((triplet) => [
  `/usr/lib/${triplet}`,
  `/usr/lib/${triplet}/nvidia`,
  `/usr/lib/${triplet}/tegra`,
]);

/** Stops at `deadline`, ms of performance.now(). `isShadowed` copies are left out: they are not imported. */
export async function readLibraries(
  distributions: Distribution[],
  sites: Site[],
  deadline: number,
): Promise<WheelLibrary[]> {
  const found: WheelLibrary[] = [];
  const present = cudaLibraries(sites);
  for (const distribution of distributions) {
    const site = sites.find(({ path }) => path === distribution.site);
    if (distribution.isShadowed || site === undefined) continue;
    for (const file of librariesOf(distribution, site)) {
      if (performance.now() > deadline) return found;
      const path = site.source.find(`${site.path}/${file}`);
      const library = path === null ? null : readLibrary(path, deadline);
      if (library !== null) {
        const { needs, ...rest } = library;
        const missing = site.source.isHere ? needs.filter((name) => OF_CUDA.test(name) && !present.has(name)) : [];
        found.push({ package: distribution.name, file, ...rest, missing });
      }
      // Commands run meanwhile, and their time limits are kept by this thread.
      await nextTurn();
    }
  }
  return found;
}

function librariesOf({ name, files }: Distribution, { path, source }: Site): string[] {
  const folders = FOLDERS[name];
  if (folders === undefined) return [];
  const all =
    files ??
    folders.flatMap((folder) =>
      source.list(`${path}/${folder}`).map((file) => (folder === '.' ? file : `${folder}/${file}`)),
    );
  const wanted = all.filter((file) => LIBRARY.test(file) && !file.startsWith('/') && !file.includes('..'));
  if (name === 'torch') return wanted.filter((file) => TORCH_KERNELS.test(file));
  if (name === 'flash-attn') return wanted.filter((file) => FLASH_ATTN.test(file));
  return wanted.slice(0, MAX_LIBRARIES);
}

interface ReadLibrary extends Pick<WheelLibrary, 'cpu' | 'gpu'> {
  needs: string[];
}

function readLibrary(path: string, deadline: number): ReadLibrary | null {
  return withBytes(path, (bytes) => {
    const elf = readElf(bytes);
    if (elf === null) return null;
    const gpu = readGpuCode(bytes, () => performance.now() < deadline);
    return { cpu: elf.arch, gpu, needs: neededLibraries(bytes, elf) };
  });
}
