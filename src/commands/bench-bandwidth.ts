/** The read bandwidth of the memory that a server computes from, measured in this process. */
import { loadBinding, type NativeBinding } from '../addon/binding.js';
import { gpuOf, type Target } from '../bench/target.js';

/** Far beyond every cache, so that memory is what is measured; of a GPU's no more than a quarter of what is free. */
const BANDWIDTH_BYTES = 2 ** 30;
const GPU_BANDWIDTH_BYTES = 2 ** 32;

/** GB/s; null where this process cannot measure it. `numThreads` 0: one a core. */
export async function readBandwidthOf(
  target: Pick<Target, 'runtime'>,
  numThreads: number,
  tell: (line: string) => void,
): Promise<number | null> {
  const binding = await loadBinding().catch((): NativeBinding | null => null);
  if (binding === null) return null;
  const sm = gpuOf(target);
  if (sm === null) {
    tell('measuring read bandwidth');
    return binding.measureReadBandwidth('cpu', BANDWIDTH_BYTES, numThreads).catch(() => null);
  }
  const gpu = binding.cudaDevice();
  // A server on a GPU that this process does not see reads another memory.
  if (gpu === null || gpu.sm !== sm) return null;
  tell(`measuring read bandwidth of ${gpu.name}`);
  const bytes = Math.min(GPU_BANDWIDTH_BYTES, Math.max(BANDWIDTH_BYTES / 4, Math.floor(gpu.freeBytes / 4)));
  return binding.measureReadBandwidth('cuda', bytes, 0).catch(() => null);
}
