/** CUDA, cuDNN and TensorRT: which versions are installed, by the files and packages they leave. */
import type { Packages } from './packages.js';
import type { Source } from './source.js';
import { compareVersions, upstreamVersion } from './versions.js';

export interface Libraries {
  /** nvcc's own version where there is one (`12.6.68`), else the toolkit's. Null: none found. */
  cuda: string | null;
  /** Of the nvcc that a build would take; null: there is none on PATH or in /usr/local/cuda. */
  nvcc: string | null;
  /** Toolkit in /usr/local/cuda by its own file: `12.6.11`. */
  toolkit: string | null;
  /** Other toolkits side by side: `12.2`, `12.6`. */
  installed: string[];
  cudnn: string | null;
  tensorrt: string | null;
}

export async function probeLibraries(source: Source, packages: Packages): Promise<Libraries> {
  const { read, list } = source;
  const nvcc = parseNvcc(await nvccText(source));
  const json = read('/usr/local/cuda/version.json');
  const toolkit = parseCudaVersionFile(json ?? read('/usr/local/cuda/version.txt') ?? '');
  const installed = list('/usr/local')
    .map((name) => /^cuda-(\d+\.\d+)$/.exec(name)?.[1])
    .filter((version) => version !== undefined);
  const packaged = newest(packages, /^cuda-(?:nvcc|toolkit|cudart|runtime)-\d+-\d+$/);
  return {
    cuda: nvcc ?? toolkit.nvcc ?? toolkit.sdk ?? packaged ?? installed.sort(compareVersions).at(-1) ?? null,
    nvcc,
    toolkit: toolkit.sdk,
    installed,
    cudnn: findCudnn(source, packages),
    tensorrt:
      packageVersion(packages, ['tensorrt', 'libnvinfer-bin', 'python3-libnvinfer']) ?? newest(packages, /^libnvinfer/),
  };
}

/** JetPack puts nvcc where PATH does not look. */
async function nvccText({ run, isHere }: Source): Promise<string> {
  const found = await run('nvcc', ['--version']);
  const other = found === null && isHere ? await run('/usr/local/cuda/bin/nvcc', ['--version']) : null;
  return (found ?? other)?.stdout ?? '';
}

/** `Cuda compilation tools, release 12.6, V12.6.68` */
export function parseNvcc(text: string): string | null {
  return /\bV(\d+\.\d+\.\d+)\b/.exec(text)?.[1] ?? /\brelease (\d+\.\d+)\b/.exec(text)?.[1] ?? null;
}

/** version.json (CUDA 11 and later; possibly cut short) or version.txt: `CUDA Version 10.2.300`. */
export function parseCudaVersionFile(text: string): { sdk: string | null; nvcc: string | null } {
  const of = (key: string) =>
    new RegExp(`"${key}"\\s*:\\s*\\{[^{}]*?"version"\\s*:\\s*"(\\d+(?:\\.\\d+)+)`).exec(text)?.[1];
  return { sdk: of('cuda') ?? /CUDA Version (\d+(?:\.\d+)+)/i.exec(text)?.[1] ?? null, nvcc: of('cuda_nvcc') ?? null };
}

/** The package has four numbers, the header three; the header says which one a build would see. */
function findCudnn({ read }: Source, packages: Packages): string | null {
  const headers = ['/usr/include', '/usr/include/aarch64-linux-gnu', '/usr/local/cuda/include'].flatMap((folder) =>
    ['cudnn_version.h', 'cudnn_version_v9.h', 'cudnn_version_v8.h', 'cudnn.h'].map((name) => `${folder}/${name}`),
  );
  const header = headers.map((path) => parseCudnnHeader(read(path) ?? '')).find((version) => version !== null) ?? null;
  const packaged = [...packages]
    .filter(([name]) => /^libcudnn\d+(?:-cuda-\d+)?$/.test(name))
    .map(([, version]) => upstreamVersion(version));
  const same = packaged.find((version) => header !== null && `${version}.`.startsWith(`${header}.`));
  return same ?? header ?? packaged.sort(compareVersions).at(-1) ?? null;
}

export function parseCudnnHeader(text: string): string | null {
  const part = (name: string) => new RegExp(`^\\s*#\\s*define\\s+CUDNN_${name}\\s+(\\d+)`, 'm').exec(text)?.[1];
  const [major, minor, patch] = [part('MAJOR'), part('MINOR'), part('PATCHLEVEL')];
  return major === undefined || minor === undefined ? null : [major, minor, patch].filter(Boolean).join('.');
}

function packageVersion(packages: Packages, names: string[]): string | null {
  const version = names.map((name) => packages.get(name)).find((found) => found !== undefined);
  return version === undefined ? null : upstreamVersion(version);
}

function newest(packages: Packages, name: RegExp): string | null {
  const versions = [...packages].filter(([each]) => name.test(each)).map(([, version]) => upstreamVersion(version));
  return versions.sort(compareVersions).at(-1) ?? null;
}
