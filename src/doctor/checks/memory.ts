/** Is there memory for a model? */
import { type Check, GIB, gib, notTold, outcome } from '../check.js';

/** smollm2 with its KV cache needs well under 1 GiB. */
const MIN_MEMORY_BYTES = GIB;

export const memory: Check = {
  id: 'memory',
  group: 'memory',
  expected: `${gib(MIN_MEMORY_BYTES)} available`,
  why: 'weights and KV cache must fit; too little ends in the kernel killing the server',
  look: ({ device }) => {
    const { totalBytes, availableBytes, cgroupLimitBytes } = device.memory;
    if (totalBytes === 0) return notTold;
    const limit = cgroupLimitBytes === null ? '' : `, limited to ${gib(cgroupLimitBytes)}`;
    const available = availableBytes ?? totalBytes;
    const found = `${gib(available)} of ${gib(totalBytes)} available${limit}`;
    if (available >= MIN_MEMORY_BYTES) return outcome('pass', found);
    return outcome('fail', found, 'end other programs, or raise the memory limit of this container');
  },
};
