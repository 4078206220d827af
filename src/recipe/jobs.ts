/** How many compilers may run side by side. */
import type { Jobs, PlanDevice } from './plan.js';

/** Kept for the system; a desktop and the page cache live of it. */
const RESERVE_BYTES = 1.5e9;

/** One where the device does not tell. From cores and from total memory: with 12 cores and 8 GB, one compiler a core ends with the OOM killer. */
export function planJobs({ cores, memoryBytes }: Pick<PlanDevice, 'cores' | 'memoryBytes'>, perJob: number): Jobs {
  const byMemory = memoryBytes === 0 ? 1 : Math.floor((memoryBytes - RESERVE_BYTES) / perJob);
  return { count: Math.max(1, Math.min(cores, byMemory)), memoryBytesPerJob: perJob };
}
