/** The read bandwidth of the memory that a server computes from, measured in this process. */
import { loadBinding } from '../addon/binding.js';
import { gpuOf, type Target } from '../bench/target.js';
import { toJsgError } from '../errors.js';

/** Far beyond every cache, so that memory is what is measured; of a GPU's no more than a quarter of what is free. */
const BANDWIDTH_BYTES = 2 ** 30;
const GPU_BANDWIDTH_BYTES = 2 ** 32;

export interface ReadBandwidth {
  /** GB/s; null: not measured. */
  gigabytes: number | null;
  /** Why it was not measured. */
  note: string | null;
}

/** Never throws: figures without it are figures. `numThreads` 0: one a core. */
export async function readBandwidthOf(
  target: Pick<Target, 'runtime'>,
  numThreads: number,
  tell: (line: string) => void,
): Promise<ReadBandwidth> {
  try {
    const binding = await loadBinding();
    const sm = gpuOf(target);
    if (sm === null) {
      tell('measuring read bandwidth');
      return { gigabytes: await binding.measureReadBandwidth('cpu', BANDWIDTH_BYTES, numThreads), note: null };
    }
    const gpu = binding.cudaDevice();
    // A server on a GPU that this process does not see reads another memory.
    if (gpu === null || gpu.sm !== sm) return failed("the server's GPU is not one that this process can use");
    tell(`measuring read bandwidth of ${gpu.name}`);
    const bytes = Math.min(GPU_BANDWIDTH_BYTES, Math.max(BANDWIDTH_BYTES / 4, Math.floor(gpu.freeBytes / 4)));
    return { gigabytes: await binding.measureReadBandwidth('cuda', bytes, 0), note: null };
  } catch (error) {
    return failed(toJsgError(error).message);
  }
}

const failed = (why: string): ReadBandwidth => ({
  gigabytes: null,
  note: `the read bandwidth was not measured: ${why}`,
});
