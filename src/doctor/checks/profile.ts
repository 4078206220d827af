/** Can the asked profile run here? */
import { type Check, gib, outcome } from '../check.js';

export const profile: Check = {
  id: 'profile',
  group: 'runtime',
  expected: 'a machine that the profile fits',
  why: 'what does not fit ends in the kernel killing the server while it loads',
  look: ({ profile: asked, device }) => {
    if (asked === null) return null;
    const { name, neededBytes, needsCuda, refusal } = asked;
    const instead = 'jsg plan   # what does fit here; jsg launch --profile smollm2 runs anywhere';
    if (needsCuda && device.gpu === null)
      return outcome('fail', `${name} needs CUDA: this machine has no NVIDIA GPU`, instead);
    if (refusal !== null) return outcome('fail', `${name}: ${refusal}`, instead);
    const available = device.memory.availableBytes ?? device.memory.totalBytes;
    if (neededBytes === null || available === 0)
      return outcome('skip', `${name}: what it needs of memory is not known`);
    const found = `${name} needs ${gib(neededBytes)} of the ${gib(available)} available`;
    return neededBytes <= available ? outcome('pass', found) : outcome('fail', found, `jsg plan --profile ${name}`);
  },
};
