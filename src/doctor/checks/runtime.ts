/** The native runtime and the place where models are kept. */
import { type Check, GIB, gib, notLooked, outcome } from '../check.js';

export const addon: Check = {
  id: 'addon',
  group: 'runtime',
  expected: 'the native runtime loads',
  why: 'it runs the model',
  look: ({ addon: found }) => {
    if (found === null) return notLooked;
    if (found.fault === null) return outcome('pass', `loads; kernels: ${found.isas.join(', ')}`);
    const { message, hint } = found.fault;
    // A hint that says more than the command stays as it is.
    const fix = hint === null || /npm run build/.test(hint) ? 'npm run build' : hint;
    return outcome('fail', message, fix);
  },
};

/** smollm2's package and its unpacked file, for a moment both. */
const MIN_DISK_BYTES = 0.5 * GIB;

export const store: Check = {
  id: 'model-store',
  group: 'runtime',
  expected: `smollm2, or ${gib(MIN_DISK_BYTES)} free to fetch it`,
  why: 'models are kept there after the first launch',
  look: ({ store: found }) => {
    if (found === null) return notLooked;
    const free = found.freeBytes === null ? 'free space unknown' : `${gib(found.freeBytes)} free`;
    const text = `${found.path}: ${found.hasDefaultModel ? 'smollm2 is there' : 'no smollm2 yet'}, ${free}`;
    const hasRoom = found.freeBytes === null || found.freeBytes >= MIN_DISK_BYTES;
    if (found.hasDefaultModel || hasRoom) return outcome('pass', text);
    return outcome('fail', text, 'free some space, or set XDG_CACHE_HOME to another disk');
  },
};
