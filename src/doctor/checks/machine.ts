/** The machine that jsg runs on: operating system and CPU. */
import { type Check, notTold, outcome } from '../check.js';

export const os: Check = {
  id: 'os',
  group: 'machine',
  expected: 'Linux',
  why: 'the native runtime is built and tested on Linux',
  look: ({ device }) => {
    const name = `${device.os?.name ?? device.platform}, kernel ${device.kernel}`;
    if (device.platform === 'linux') return outcome('pass', name);
    return outcome('warn', name, 'use Linux, or a Linux container');
  },
};

export const cpu: Check = {
  id: 'cpu',
  group: 'machine',
  expected: 'AVX2 with FMA and F16C, or NEON',
  why: 'the fast CPU kernels need it; without it the scalar ones run',
  look: ({ device }) => {
    const { arch, flags, model, usableCores, numCores } = device.cpu;
    if (numCores === 0) return notTold;
    const has = (...names: string[]) => names.every((name) => flags.includes(name));
    const cores = usableCores === numCores ? `${numCores} cores` : `${usableCores} of ${numCores} cores`;
    const named = (isa: string) => `${model}, ${cores}, ${isa}`;
    if (arch === 'arm64' || has('asimd')) return outcome('pass', named(has('asimddp') ? 'NEON dotprod' : 'NEON'));
    if (has('avx512f', 'avx512bw', 'avx512_vnni')) return outcome('pass', named('AVX-512 VNNI'));
    if (has('avx512f', 'avx512bw')) return outcome('pass', named('AVX-512'));
    if (has('avx2', 'fma', 'f16c')) return outcome('pass', named('AVX2'));
    return outcome('warn', named('no AVX2'), 'expect a few tokens a second only; use a newer CPU');
  },
};
