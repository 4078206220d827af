import { describe, expect, it } from 'vitest';
import { cudaLibraries, listedArchs, missingArchs } from '../../../scripts/cuda/addon.mjs';

const LIST = `ELF file    1: jsg.1.sm_87.cubin
ELF file    2: jsg.2.sm_90.cubin
ELF file    3: jsg.3.sm_87.cubin
ELF file    4: jsg.4.sm_90.cubin
ELF file    5: jsg.5.sm_90a.cubin
`;

describe('cubins of an addon', () => {
  it('are counted by architecture', () => {
    expect([...listedArchs(LIST)]).toEqual([
      ['87', 2],
      ['90', 2],
      ['90a', 1],
    ]);
    expect([...listedArchs('PTX file    1: jsg.1.sm_90.ptx\n')]).toEqual([['90', 1]]);
    expect(listedArchs('').size).toBe(0);
  });

  it('are missing where one kernel file lacks them, and where none has them', () => {
    const counts = listedArchs(LIST);
    expect(missingArchs(counts, ['87', '90', '110'])).toEqual([
      'sm_87 is in 2 of 3 kernel files',
      'sm_110 is in 0 of 3 kernel files',
    ]);
    counts.set('87', 3);
    expect(missingArchs(counts, ['87', '90'])).toEqual([]);
    counts.set('110', 4);
    expect(missingArchs(counts, ['87'])).toEqual(['sm_87 is in 3 of 4 kernel files']);
    expect(missingArchs(new Map(), ['87'])).toEqual(['sm_87 is in 0 of 1 kernel files']);
  });
});

it('libraries of CUDA are named among the needed ones', () => {
  const needed = (...names: string[]) =>
    names.map((name) => ` 0x0000000000000001 (NEEDED)             Shared library: [${name}]`).join('\n');
  expect(cudaLibraries(needed('libstdc++.so.6', 'libm.so.6', 'libc.so.6'))).toEqual([]);
  const guilty = ['libcuda.so.1', 'libcudart.so.13', 'libcublasLt.so.12', 'libnvrtc.so.13'];
  expect(cudaLibraries(needed('libc.so.6', ...guilty))).toEqual(guilty);
});
