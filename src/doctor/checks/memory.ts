/** Is there memory for a model, and swap for a build? */
import { isJetson } from '../../device/machine.js';
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
    return outcome('fail', found, 'ps aux --sort=-rss | head   # end what is not needed, or raise the container limit');
  },
};

/** One nvcc of the attention kernels takes 3 to 4 GiB; a build with two of them beside the system needs this much. */
const BUILD_BYTES = 16 * GIB;

const SWAP_COMMANDS = (sizeGib: number) =>
  `sudo fallocate -l ${sizeGib}G /swapfile && sudo chmod 600 /swapfile && sudo mkswap /swapfile && sudo swapon /swapfile`;

export const swap: Check = {
  id: 'swap',
  group: 'memory',
  expected: `${gib(BUILD_BYTES)} of memory and swap on disk together`,
  why: 'source builds (flashinfer, sgl-kernel) are killed by the kernel without it; serving needs none',
  look: (facts) => {
    const { totalBytes } = facts.device.memory;
    if (!isJetson(facts) || totalBytes === 0 || facts.swap === null) return null;
    const { diskBytes, zramBytes } = facts.swap;
    const zram = zramBytes > 0 ? ` and ${gib(zramBytes)} of zram, which is memory itself` : '';
    const found = `${gib(totalBytes)} of memory, ${gib(diskBytes)} of swap on disk${zram}`;
    const missing = BUILD_BYTES - totalBytes - diskBytes;
    // A module sold as 16 GiB shows 15.
    if (missing <= 1.5 * GIB) return outcome('pass', found);
    return outcome('warn', found, SWAP_COMMANDS(Math.ceil(missing / GIB / 4) * 4));
  },
};

export const zram: Check = {
  id: 'zram',
  group: 'memory',
  expected: 'no zram beside a model that fills the memory',
  why: 'weights do not compress, so zram only costs CPU time and memory when it is most needed',
  look: (facts) => {
    if (!isJetson(facts) || facts.swap === null) return null;
    const { zramBytes } = facts.swap;
    if (zramBytes === 0) return null;
    const isSmall = facts.device.memory.totalBytes <= 16 * GIB;
    const found = `${gib(zramBytes)} of zram`;
    if (!isSmall) return outcome('pass', `${found}, harmless with this much memory`);
    return outcome('warn', found, 'sudo systemctl disable --now nvzramconfig');
  },
};

export const desktop: Check = {
  id: 'desktop',
  group: 'memory',
  expected: 'no desktop on a board that serves',
  why: 'the desktop holds memory that the KV cache could have, and the GPU draws it between two tokens',
  look: (facts) => {
    if (!isJetson(facts)) return null;
    const { isRunning, startsAtBoot, bytes } = facts.desktop;
    if (!isRunning && !startsAtBoot) return startsAtBoot === null ? null : outcome('pass', 'none');
    const costs = bytes > 0 ? `, holds ${gib(bytes)}` : '';
    const found = isRunning ? `running${costs}` : 'starts at boot';
    // With 32 GiB and more it costs little of what there is.
    if (facts.device.memory.totalBytes > 24 * GIB) return outcome('pass', found);
    return outcome(
      'warn',
      found,
      'sudo systemctl isolate multi-user.target && sudo systemctl set-default multi-user.target',
    );
  },
};
