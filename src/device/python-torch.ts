/** PyTorch: what its files say, and what it says itself when a short program asks it. */
import { oneValue, type Source } from './source.js';
import type { Distribution, Site } from './wheels.js';
import { localTag } from './wheels-versions.js';

export interface Torch {
  version: string;
  /** CUDA it was built for: `12.6`; null: built without, or not told. */
  cuda: string | null;
  /** Whether it was built with CUDA; null: not told. */
  hasCuda: boolean | null;
  /** Folder it is imported from; null: not told. */
  site: string | null;
  /** Null: it was not asked, or could not say. */
  cudaAvailable: boolean | null;
  /** `sm_87`, `compute_90`; null: not told. */
  archList: string[] | null;
  /** Name and compute capability times ten of the GPU it sees. */
  gpu: { name: string; arch: number } | null;
  /** `ok`, or why a kernel did not run; null: none was launched. */
  launch: string | null;
  /** The same for a kernel of sgl-kernel. */
  sglKernelLaunch: string | null;
  /** Whether NumPy's ABI is not the one that torch was built with. */
  hasNumpyFault: boolean;
  /** Why it could not be imported; null: it was, or it was not asked. */
  fault: string | null;
}

/** Importing torch takes 3 to 15 s on a board whose disk is cold. */
const TIMEOUT_MS = 30_000;

/**
 * Prints a line of JSON after each stage, so that a crash leaves what was known. The kernels are tiny, but a CUDA context
 * takes some hundred MB, so launching is the caller's choice. No bytecode is written, nothing is changed.
 */
const ASK = `
import sys
sys.path[:] = [p for p in sys.path if p]
import json
def say(**facts):
    print('jsg ' + json.dumps(facts)); sys.stdout.flush()
def why(error):
    return '%s: %s' % (type(error).__name__, (str(error).strip() or 'no message').splitlines()[0])
try:
    import torch
except BaseException as error:
    say(fault=why(error)); sys.exit(0)
say(version=str(torch.__version__), cuda=getattr(getattr(torch, 'version', None), 'cuda', None))
try:
    import numpy
    torch.from_numpy(numpy.zeros(1))
except ImportError:
    pass
except RuntimeError as error:
    say(hasNumpyFault='umpy' in str(error))
except Exception:
    pass
try:
    say(cudaAvailable=bool(torch.cuda.is_available()))
    say(archList=list(torch.cuda.get_arch_list()))
    if torch.cuda.is_available():
        major, minor = torch.cuda.get_device_capability(0)
        say(gpu={'name': str(torch.cuda.get_device_name(0)), 'arch': major * 10 + minor})
except Exception:
    pass
if sys.argv[1:] == ['launch'] and torch.cuda.is_available() and hasattr(torch, 'arange'):
    try:
        x = torch.arange(64, device='cuda').to(torch.float16)
        ok = float((x * 2 + 1).float().sum()) == 4096.0
        say(launch='ok' if ok else 'a kernel gave a wrong result')
    except Exception as error:
        say(launch=why(error))
    try:
        import sgl_kernel
        if hasattr(sgl_kernel, 'rmsnorm'):
            sgl_kernel.rmsnorm(x.reshape(1, 64).contiguous(), torch.ones(64, device='cuda', dtype=torch.float16))
            torch.cuda.synchronize()
            say(sglKernelLaunch='ok')
    except BaseException as error:
        if getattr(error, 'name', None) != 'sgl_kernel':
            say(sglKernelLaunch=why(error))
`;

/** What is imported as torch, by its files alone; null: there is none. */
export function torchOfFiles(sites: Site[], distributions: Distribution[]): Torch | null {
  for (const { path, source } of sites) {
    const version = source.read(`${path}/torch/version.py`);
    const start = source.read(`${path}/torch/__init__.py`);
    const packaged = distributions.find(({ name, site }) => name === 'torch' && site === path);
    const text = `${version ?? ''}\n${start ?? ''}`;
    const told = oneValue(/^__version__\s*=\s*['"]([^'"\n]+)['"]/m.exec(text)?.[1] ?? packaged?.version ?? null);
    if (told === null) continue;
    const cuda = /^cuda(?::[^=]*)?\s*=\s*['"](\d+(?:\.\d+)+)['"]/m.exec(version ?? '')?.[1] ?? cudaOfTag(told);
    const saysNone = /^cuda(?::[^=]*)?\s*=\s*None\b/m.test(version ?? '');
    const library = packaged?.files?.some((file) => file.includes('libtorch_cuda')) ?? null;
    const hasCuda = cuda !== null || (hasCudaByTag(told) ?? library ?? (saysNone ? false : null));
    return { ...unasked, version: told, cuda, hasCuda, site: path };
  }
  return null;
}

const unasked: Omit<Torch, 'version'> = {
  cuda: null,
  hasCuda: null,
  site: null,
  cudaAvailable: null,
  archList: null,
  gpu: null,
  launch: null,
  sglKernelLaunch: null,
  hasNumpyFault: false,
  fault: null,
};

/** `2.11.0+cu130` -> `13.0` */
export function cudaOfTag(version: string): string | null {
  const match = /^cu(\d+)(\d)$/.exec(localTag(version) ?? '');
  return match ? `${match[1]}.${match[2]}` : null;
}

/** `cpu` or `cu126`; NVIDIA's own builds have CUDA always. Null: the tag does not tell. */
function hasCudaByTag(version: string): boolean | null {
  const tag = localTag(version) ?? '';
  return /^cpu/.test(tag) ? false : /^cu\d|nv\d/.test(tag) ? true : null;
}

/** `known`: what the files say; it stays where torch says nothing. `launch`: whether a kernel may run. */
export async function askTorch({ run }: Pick<Source, 'run'>, known: Torch, launch: boolean): Promise<Torch> {
  const output = await run('python3', ['-B', '-c', ASK, ...(launch ? ['launch'] : [])], TIMEOUT_MS);
  if (output === null) return known;
  const told = parseAnswers(output.stdout);
  const cuda = told.cuda ?? cudaOfTag(told.version ?? '') ?? known.cuda;
  const asked = { ...known, ...told, cuda, hasCuda: hasCudaAsTold(told, cuda) ?? known.hasCuda };
  const hasNumpyFault = asked.hasNumpyFault || /compiled using NumPy 1\.x/.test(output.stderr);
  return { ...asked, hasNumpyFault, fault: told.fault ?? faultOf(output.code, told) };
}

/** A torch that has answered and named no CUDA has none. Null: it did not answer. */
function hasCudaAsTold({ version, cudaAvailable, archList }: Partial<Torch>, cuda: string | null): boolean | null {
  if (cuda !== null || cudaAvailable === true || (archList?.length ?? 0) > 0) return true;
  if (version === undefined || cudaAvailable === undefined) return null;
  return hasCudaByTag(version) ?? false;
}

/** A process that ended before it named a version, or while a kernel was running. */
function faultOf(code: number | null, told: Partial<Torch>): string | null {
  if (code === 0 || told.launch != null) return null;
  const how = code === null ? 'was ended by a signal, or took too long' : `ended with status ${code}`;
  return told.version === undefined ? `importing torch ${how}` : `torch ${how} after it was imported`;
}

/** Fields of a wrong type are left out: the module that answers may be anything named torch. */
function parseAnswers(stdout: string): Partial<Torch> {
  const told: Record<string, unknown> = {};
  for (const line of stdout.split('\n')) {
    try {
      if (line.startsWith('jsg {')) Object.assign(told, JSON.parse(line.slice(4)));
    } catch {
      // A line that something else printed.
    }
  }
  const text = (name: string) => {
    const value = typeof told[name] === 'string' ? oneValue(told[name]) : null;
    return value === null ? {} : { [name]: value };
  };
  const flag = (name: string) => (typeof told[name] === 'boolean' ? { [name]: told[name] } : {});
  const gpu = told.gpu as Torch['gpu'];
  return {
    ...text('version'),
    ...text('cuda'),
    ...text('launch'),
    ...text('sglKernelLaunch'),
    ...text('fault'),
    ...flag('cudaAvailable'),
    ...flag('hasNumpyFault'),
    ...(Array.isArray(told.archList) ? { archList: told.archList.map(String).filter(isArch) } : {}),
    ...(typeof gpu?.name === 'string' && typeof gpu.arch === 'number'
      ? { gpu: { name: oneValue(gpu.name) ?? 'GPU', arch: gpu.arch } }
      : {}),
  };
}

const isArch = (entry: string) => /^(sm|compute)_\d+[a-z]?$/.test(entry);
