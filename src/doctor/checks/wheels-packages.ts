/** Packages that compile or choose their kernels on the device: Triton, torchao, FlashInfer. */
import { type Check, outcome } from '../check.js';
import { gpuTarget, importedOf, installFromIndex } from './python-install.js';

export const triton: Check = {
  id: 'triton',
  group: 'python',
  expected: 'a Triton whose assembler knows this GPU',
  why: 'Triton compiles on the device; SGLang uses it for sampling, for MoE and as an attention backend',
  look: (facts) => {
    if (facts.python === null) return null;
    const [found] = importedOf(facts, ['triton']);
    const [sglang] = importedOf(facts, ['sglang']);
    if (found === undefined) {
      if (sglang === undefined) return null;
      return outcome('warn', 'no triton, which SGLang imports', installFromIndex(facts, '--no-deps triton'));
    }
    const { ptxas } = facts.python.contents;
    const gpu = gpuTarget(facts);
    if (gpu === null || ptxas.length === 0 || ptxas.some(({ knowsArch }) => knowsArch)) {
      return outcome('pass', `triton ${found.version}`);
    }
    const fix =
      'export TRITON_PTXAS_PATH=/usr/local/cuda/bin/ptxas TRITON_PTXAS_BLACKWELL_PATH=/usr/local/cuda/bin/ptxas';
    return outcome('warn', `triton ${found.version} brings a ptxas that does not know sm_${gpu.arch}`, fix);
  },
};

export const torchao: Check = {
  id: 'torchao',
  group: 'python',
  expected: 'a torchao with the configurations that this SGLang imports',
  why: '--torchao-config int4wo-128 nearly triples the tokens a second of an 8B model, and fails at its import without',
  look: (facts) => {
    const [found] = importedOf(facts, ['torchao']);
    const missing = facts.python?.contents.torchaoMissing ?? [];
    if (found === undefined || missing.length === 0) return null;
    const fix = installFromIndex(facts, "--no-deps 'torchao==0.9.0'");
    return outcome('warn', `torchao ${found.version} lacks ${missing.join(', ')}`, fix);
  },
};

export const flashinfer: Check = {
  id: 'flashinfer',
  group: 'python',
  expected: 'FlashInfer with the headers that it compiles its kernels from',
  why: 'built from a clone without submodules, it installs well and fails at the first compilation',
  look: (facts) => {
    const [found] = importedOf(facts, ['flashinfer', 'flashinfer-python']);
    if (found === undefined) return null;
    const sources = found.files?.filter((file) => file.startsWith('flashinfer/data/')) ?? [];
    const text = `${found.name} ${found.version}`;
    const hasHeaders = sources.some((file) => /cutlass\/include\//.test(file));
    if (sources.length === 0 || hasHeaders) return outcome('pass', text);
    const tag = /^\d+(\.\d+)*(\.post\d+)?$/.test(found.version) ? `-b v${found.version} ` : '';
    const fix =
      `git clone --recursive ${tag}https://github.com/flashinfer-ai/flashinfer && cd flashinfer && ` +
      'python3 -m pip install --no-build-isolation --no-deps --force-reinstall .';
    return outcome('fail', `${text} holds no headers of CUTLASS`, fix);
  },
};
