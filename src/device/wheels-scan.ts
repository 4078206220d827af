/** Facts that only the contents of installed packages tell: names in binaries and sources. Reads bounded parts. */
import { type Bytes, withBytes } from './elf.js';
import type { Site } from './wheels.js';

export interface WheelContents {
  /** Assemblers that Triton brings, and whether each knows this GPU's architecture. */
  ptxas: { file: string; knowsArch: boolean }[];
  /** NumPy ABI that torch was compiled with; null: not told. */
  torchNumpy: 1 | 2 | null;
  /** Names that SGLang takes from torchao's quantization and that this torchao lacks. */
  torchaoMissing: string[];
}

const CHUNK_BYTES = 2 ** 22;
/** ptxas of CUDA 13 has 38 MB, libtorch_python 28 MB. */
const MAX_SCAN_BYTES = 2 ** 27;

/** Which of these texts stand somewhere in a file; null: the deadline came first. */
function textsIn(bytes: Bytes, texts: string[], deadline: number): Set<string> | null {
  const found = new Set<string>();
  const overlap = Math.max(...texts.map((text) => text.length));
  const end = Math.min(bytes.sizeBytes, MAX_SCAN_BYTES);
  for (let at = 0; at < end && found.size < texts.length; at += CHUNK_BYTES) {
    if (performance.now() > deadline) return null;
    const chunk = bytes.read(at, CHUNK_BYTES + overlap);
    for (const text of texts) if (chunk.includes(text, 0, 'latin1')) found.add(text);
  }
  return found;
}

function scan(sites: Site[], file: string, texts: string[], deadline: number): Set<string> | null {
  for (const { path, source } of sites) {
    const found = source.find(`${path}/${file}`);
    if (found !== null) return withBytes(found, (bytes) => textsIn(bytes, texts, deadline));
  }
  return null;
}

export interface Wanted {
  /** Compute capability times ten of the GPU; null: not known. */
  arch: number | null;
  /** Whether it matters with which NumPy torch was compiled. */
  numpy: boolean;
  /** When to stop reading, ms of performance.now(). */
  deadline: number;
}

/** Every ptxas that Triton ever brought knows the GPUs before this one. */
const FIRST_NEW_ARCH = 100;

export function scanWheels(sites: Site[], { arch, numpy, deadline }: Wanted): WheelContents {
  return {
    torchaoMissing: missingFromTorchao(sites),
    torchNumpy: numpy ? scanTorchNumpy(sites, deadline) : null,
    ptxas: arch === null || arch < FIRST_NEW_ARCH ? [] : scanPtxas(sites, arch, deadline),
  };
}

/** Triton assembles its kernels with the ptxas it brings, not with the toolkit's. */
function scanPtxas(sites: Site[], arch: number, deadline: number): WheelContents['ptxas'] {
  return ['ptxas', 'ptxas-blackwell'].flatMap((name) => {
    const file = `triton/backends/nvidia/bin/${name}`;
    const found = scan(sites, file, [`sm_${arch}`], deadline);
    return found === null ? [] : [{ file, knowsArch: found.size > 0 }];
  });
}

/** Code compiled with NumPy 2's headers asks for `numpy._core` first; NumPy 1's know `numpy.core` alone. */
function scanTorchNumpy(sites: Site[], deadline: number): 1 | 2 | null {
  const [ofNumpy2, ofBoth] = ['numpy._core', 'numpy.core'] as const;
  const found = scan(sites, 'torch/lib/libtorch_python.so', [ofNumpy2, ofBoth], deadline);
  if (found === null || found.size === 0) return null;
  return found.has(ofNumpy2) ? 2 : 1;
}

/** torchao renames its configurations from release to release, and SGLang imports them when --torchao-config is given. */
function missingFromTorchao(sites: Site[]): string[] {
  const user = readFirst(sites, 'sglang/srt/layers/torchao_utils.py');
  const offered = readFirst(sites, 'torchao/quantization/__init__.py');
  if (user === null || offered === null) return [];
  const imports = user.matchAll(/^[ \t]*from torchao\.quantization import (?:\(([^)]*)\)|([^\n]*))/gm);
  const names = [...imports].flatMap(([, several, single]) =>
    (several ?? single ?? '')
      .replace(/#.*$/gm, '')
      .split(',')
      .map((name) => name.trim().split(/\s/)[0] ?? ''),
  );
  const lacks = (name: string) => /^\w+$/.test(name) && !new RegExp(`\\b${name}\\b`).test(offered);
  return [...new Set(names.filter(lacks))];
}

function readFirst(sites: Site[], file: string): string | null {
  for (const { path, source } of sites) {
    const text = source.read(`${path}/${file}`);
    if (text !== null) return text;
  }
  return null;
}
