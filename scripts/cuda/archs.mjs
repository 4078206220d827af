// What the native build compiles for CUDA on this machine: the GPU that is here, else every architecture of the package.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import { join } from 'node:path';

/** Of a Jetson's SoC. Xavier (tegra194, sm_72) lacks what the kernels use. */
const SOC_ARCHS = { tegra234: '87', tegra264: '110' };
/** The kernels use cp.async and bf16 tensor cores. */
const OLDEST_ARCH = 80;
/** What a compiler with all its children takes at most, with a wide margin: 0.4 GB were measured. */
const BYTES_PER_NVCC = 4 * 1024 ** 3;

/**
 * The GPUs of a machine as SM architectures, such as ['87']; null where it has none or they don't tell.
 * @param {string} root where the machine's files are
 * @param {() => string | null} smi what `nvidia-smi --query-gpu=compute_cap --format=csv,noheader` prints, null when it fails
 * @returns {string[] | null}
 */
export function presentArchs(root = '/', smi = runSmi) {
  const arch = SOC_ARCHS[/\bnvidia,(tegra\d+)/.exec(compatible(root))?.[1]];
  if (arch !== undefined) return [arch];
  const told = smi()?.match(/^\d+\.\d+(?=\s*$)/gm) ?? [];
  return told.length === 0 ? null : [...new Set(told.map((capability) => capability.replace('.', '')))].sort();
}

/** The device tree's names of the board and its SoC, the most specific first, ended by NUL each. */
function compatible(root) {
  try {
    // tegra234 and its like come last; the board's own names hold no `nvidia,tegra`.
    return readFileSync(join(root, 'proc/device-tree/compatible'), 'utf8').replaceAll('\0', '\n');
  } catch {
    return '';
  }
}

function runSmi() {
  const query = ['--query-gpu=compute_cap', '--format=csv,noheader'];
  const result = spawnSync('nvidia-smi', query, { encoding: 'utf8', timeout: 10_000 });
  return result.status === 0 ? result.stdout : null;
}

/**
 * The options of the build. JSG_CUDA (AUTO, ON, OFF) and JSG_CUDA_ARCHS (`87,90`, or `all` of the package) decide where
 * they are set; `archs` is empty for all.
 * @param {Record<string, string | undefined>} env
 * @param {() => string[] | null} present
 * @returns {{ cuda: string, archs: string[], note: string | null }}
 * @throws Error for a value that is none
 */
export function chooseCuda(env, present = presentArchs) {
  const cuda = (env.JSG_CUDA || 'AUTO').toUpperCase();
  if (!['AUTO', 'ON', 'OFF'].includes(cuda)) throw new Error(`JSG_CUDA=${env.JSG_CUDA}: it is AUTO, ON or OFF`);
  const asked = env.JSG_CUDA_ARCHS?.trim();
  if (asked && asked !== 'all' && !/^\d+([,;]\d+)*$/.test(asked)) {
    throw new Error(`JSG_CUDA_ARCHS=${asked}: it is 'all', or numbers such as 87,90`);
  }
  if (cuda === 'OFF' || asked === 'all') return { cuda, archs: [], note: null };
  if (asked) return { cuda, archs: asked.split(/[,;]/), note: null };
  const found = present();
  if (found === null) return { cuda, archs: [], note: null };
  const names = found.map((arch) => `sm_${arch}`).join(', ');
  const archs = found.filter((arch) => Number(arch) >= OLDEST_ARCH);
  if (archs.length === 0 && cuda === 'AUTO') {
    return {
      cuda: 'OFF',
      archs,
      note: `the GPU here is ${names}; CUDA needs sm_${OLDEST_ARCH} or newer, and is left out`,
    };
  }
  return { cuda, archs, note: `the GPU here is ${names}; JSG_CUDA_ARCHS=all builds for every one` };
}

/** How many compilers of CUDA may run at once: one on a board with 8 GB. */
export function cudaJobs(cores, memoryBytes = Math.min(totalmem(), process.constrainedMemory?.() || Infinity)) {
  return Math.max(1, Math.min(cores, Math.floor(memoryBytes / BYTES_PER_NVCC)));
}
