/** Python as serving sees it: interpreter, packages, PyTorch, compiled code, and where pip looks. Changes nothing. */
import { askIndex, type IndexAnswer } from './python-index.js';
import { type Interpreter, probeEnvironment } from './python-interpreter.js';
import { type PipIndex, probePipIndexes } from './python-pip.js';
import { askTorch, type Torch, torchOfFiles } from './python-torch.js';
import type { Source } from './source.js';
import { type Distribution, listDistributions, type Site } from './wheels.js';
import { readLibraries, type WheelLibrary } from './wheels-code.js';
import { scanWheels, type WheelContents } from './wheels-scan.js';

export interface Python {
  /** Null: none found, or a copied machine does not tell. */
  interpreter: Interpreter | null;
  /** pip of this interpreter: `22.0.2`; null: none. */
  pip: string | null;
  /** Folders it imports from, in order. */
  sites: string[];
  /** The packages that serving needs; see `isShadowed` for those that are not the ones imported. */
  distributions: Distribution[];
  torch: Torch | null;
  libraries: WheelLibrary[];
  contents: WheelContents;
  indexes: PipIndex[];
  /** Null: the index was not asked. */
  index: IndexAnswer | null;
}

export interface PythonOptions {
  /** Whether torch is imported and asked, which takes seconds; `launch`: and runs a kernel. */
  torch: 'files' | 'ask' | 'launch';
  /** Index to try; null: none. */
  indexUrl: string | null;
  /** Compute capability times ten of the board's GPU; null: not known. */
  arch: number | null;
}

/** For headers of libraries, all together; the rest of doctor answers within 2 s. */
const LIBRARIES_MS = 700;
/** For the contents of a few files of tens of MB. */
const CONTENTS_MS = 300;

export async function probePython(source: Source, options: PythonOptions): Promise<Python> {
  const { interpreter, prefix, sites } = await probeEnvironment(source);
  const distributions = listDistributions(sites);
  const torch = torchOfFiles(sites, distributions);
  const [asked, libraries, index] = await Promise.all([
    torch !== null && mayAsk(source, sites, torch, options)
      ? askTorch(source, torch, options.torch === 'launch')
      : torch,
    readLibraries(distributions, sites, performance.now() + LIBRARIES_MS),
    options.indexUrl === null ? null : askIndex(options.indexUrl),
  ]);
  return {
    interpreter,
    pip: distributions.find(({ name }) => name === 'pip')?.version ?? null,
    sites: sites.map(({ path }) => path),
    distributions,
    torch: asked,
    libraries,
    contents: scanWheels(sites, {
      arch: options.arch ?? asked?.gpu?.arch ?? null,
      numpy: isNumpy2(distributions),
      deadline: performance.now() + CONTENTS_MS,
    }),
    indexes: probePipIndexes(source, prefix),
    index,
  };
}

/** A copied machine's torch cannot run here; one that PYTHONPATH shows to the commands of this machine can. */
function mayAsk({ isHere }: Source, sites: Site[], torch: Torch, options: PythonOptions): boolean {
  if (options.torch === 'files') return false;
  return isHere || sites.some(({ path, source }) => path === torch.site && source.isHere);
}

const isNumpy2 = (distributions: Distribution[]) =>
  distributions.some(({ name, version, isShadowed }) => name === 'numpy' && !isShadowed && /^[2-9]/.test(version));
