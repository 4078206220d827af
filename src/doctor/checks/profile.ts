/** Do profiles fit this machine: the one asked for, and those with a documented speed? */
import { isJetson } from '../../device/machine.js';
import { type Check, gib, outcome } from '../check.js';
import type { ProfileFacts } from '../facts.js';

/** Null: not known. */
function fits({ neededBytes, availableBytes }: ProfileFacts): boolean | null {
  return neededBytes === null || availableBytes === null ? null : neededBytes <= availableBytes;
}

export const profile: Check = {
  id: 'profile',
  group: 'runtime',
  expected: 'a machine that the profile fits',
  why: 'what does not fit ends in the kernel killing the server while it loads',
  look: ({ profiles, device }) => {
    const asked = profiles.find(({ isAsked }) => isAsked);
    if (asked === undefined) return null;
    const { name, neededBytes, availableBytes, needsCuda, refusal } = asked;
    const instead = 'jsg launch --profile smollm2   # runs on any machine; jsg profiles lists the others';
    if (needsCuda && device.gpu === null) {
      return outcome('fail', `${name} needs CUDA: this machine has no NVIDIA GPU`, instead);
    }
    if (fits(asked) === false) {
      const found = `${name} needs ${gib(neededBytes ?? 0)} of the ${gib(availableBytes ?? 0)} available`;
      return outcome('fail', found, `jsg plan --profile ${name}   # says what would fit`);
    }
    if (refusal !== null) return outcome('fail', refusal, instead);
    if (neededBytes === null)
      return outcome('skip', `${name}: what it needs of memory, or what there is, is not known`);
    return outcome('pass', `${name} needs ${gib(neededBytes)} of the ${gib(availableBytes ?? 0)} available`);
  },
};

export const profiles: Check = {
  id: 'profiles-fit',
  group: 'memory',
  expected: 'memory for the documented profiles',
  why: 'a profile that does not fit ends in the kernel killing the server while it loads',
  look: (facts) => {
    const known = facts.profiles.filter((each) => !each.isAsked && fits(each) !== null);
    if (!isJetson(facts) || known.length === 0) return null;
    const [fitting, others] = [known.filter(fits), known.filter((each) => fits(each) === false)];
    const parts = [
      fitting.length > 0 && `fit: ${fitting.map(({ name }) => name).join(', ')}`,
      others.length > 0 && `too large: ${others.map(withBytes).join(', ')}`,
    ].filter(Boolean);
    const found = `of ${gib(known[0]?.availableBytes ?? 0)} available: ${parts.join('; ')}`;
    if (fitting.length > 0) return outcome('pass', found);
    return outcome('warn', found, 'jsg plan --this   # says what model and context do fit');
  },
};

const withBytes = ({ name, neededBytes }: ProfileFacts) => `${name} (${gib(neededBytes ?? 0)})`;
