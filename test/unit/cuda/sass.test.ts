import { describe, expect, it } from 'vitest';
import {
  isLocal,
  loadBytes,
  parseResources,
  parseSass,
  streamingLoops,
  wideShare,
} from '../../../scripts/cuda/sass.mjs';

/** Lines as cuobjdump -sass prints them, 16 bytes an instruction from address 0 on. */
function sass(name: string, ...instructions: string[]): string {
  const address = (i: number) => (i * 16).toString(16).padStart(4, '0');
  const lines = instructions.map(
    (text, i) => `        /*${address(i)}*/   ${text} ;   /* 0x0000000000007918 */\n   /* 0x000f */`,
  );
  return `\t\tFunction : ${name}\n\t.headerflags\t@"EF_CUDA_SM87"\n${lines.join('\n')}\n`;
}

const bodyOf = (...instructions: string[]) => parseSass(sass('kernel', ...instructions)).get('kernel') ?? [];

describe('parseSass', () => {
  it('reads kernels, predicates, opcodes and the targets of branches', () => {
    const kernels = parseSass(
      sass('_Z1av', 'S2R R0, SR_TID.X', '@!P0 LDG.E.128 R4, [R2.64]', '@P1 BRA 0x10', 'EXIT') + sass('_Z1bv', 'EXIT'),
    );
    expect([...kernels.keys()]).toEqual(['_Z1av', '_Z1bv']);
    expect(kernels.get('_Z1av')).toEqual([
      { address: 0, opcode: 'S2R', target: null, goesOn: true },
      { address: 16, opcode: 'LDG.E.128', target: null, goesOn: true },
      { address: 32, opcode: 'BRA', target: 16, goesOn: true },
      { address: 48, opcode: 'EXIT', target: null, goesOn: false },
    ]);
  });
});

it('parseResources reads what a kernel takes', () => {
  const text = ' Function _Z1av:\n  REG:64 STACK:16 SHARED:16416 LOCAL:0 CONSTANT[0]:456 TEXTURE:0\n';
  expect(parseResources(text)).toEqual(new Map([['_Z1av', { registers: 64, stack: 16, shared: 16416 }]]));
});

it.each([
  ['LDG.E.128', 16],
  ['LDG.E.NA.LTC128B.128.CONSTANT', 16],
  ['LDG.E.LTC128B.CONSTANT', 4],
  ['LDG.E.64', 8],
  ['LDG.E', 4],
  ['LDG.E.U16.CONSTANT', 2],
  ['LDG.E.S8', 1],
  ['LDGSTS.E.BYPASS.LTC128B.128', 16],
  ['LDS.128', null],
  ['LDL', null],
  ['STG.E.128', null],
])('%s loads %s bytes of global memory', (opcode, bytes) => {
  expect(loadBytes(opcode)).toBe(bytes);
});

it('local memory is LDL and STL of any width', () => {
  expect(bodyOf('LDL.64 R2, [R1]', 'STL [R1+0x8], R2', 'LDG.E R0, [R2.64]').map(isLocal)).toEqual([true, true, false]);
});

describe('streamingLoops', () => {
  it('is the loop that loads and multiplies, without what is around it', () => {
    const body = bodyOf(
      'LDG.E R0, [R2.64]', // before the loops
      'LDG.E.U16 R0, [R2.64]', // outer loop: 0x10 to 0x60
      'LDG.E.128 R4, [R2.64]', // inner loop: 0x20 to 0x40
      'HMMA.16816.F32 R8, R4, R6, R8',
      '@P0 BRA 0x20',
      'STG.E [R2.64], R8',
      '@P1 BRA 0x10',
      'EXIT',
    );
    const loops = streamingLoops(body);
    expect(loops.map((loop) => loop.map(({ address }) => address))).toEqual([[0x20, 0x30, 0x40]]);
    expect(wideShare(loops)).toBe(1);
  });

  it('passes a loop over what was loaded before: the one around it streams', () => {
    const body = bodyOf(
      'LDGSTS.E.128 [R1], [R2.64]',
      'LDSM.16.M88.4 R4, [R1]',
      'HMMA.16816.F32 R8, R4, R6, R8',
      '@P0 BRA 0x10',
      '@P1 BRA 0x0',
    );
    expect(streamingLoops(body)).toEqual([body]);
  });

  it('leaves out what a loop does now and then', () => {
    const body = bodyOf(
      '@P3 BRA 0x20', // taken when there is no more to load
      'LDGSTS.E.128 [R1], [R2.64]',
      'HMMA.16816.F32 R8, R4, R6, R8',
      '@P0 BRA 0x60', // not taken at the end of a tile
      'LDG.E.U16 R0, [R2.64]',
      'STG.E.U16 [R2.64], R0',
      '@P1 BRA 0x80',
      'BRA 0x0',
      'EXIT',
    );
    const loops = streamingLoops(body);
    expect(loops.map((loop) => loop.map(({ address }) => address))).toEqual([[0x00, 0x10, 0x20, 0x30, 0x60, 0x70]]);
    expect(wideShare(loops)).toBe(1);
  });

  it('does not take code that cannot be reached for a way around', () => {
    const body = bodyOf('LDG.E.128 R4, [R2.64]', 'EXIT', 'HMMA.16816.F32 R8, R4, R6, R8', 'BRA 0x0');
    expect(streamingLoops(body)).toEqual([body]);
  });

  it('leaves a loop of plain arithmetic out where there are tensor cores', () => {
    const body = bodyOf(
      'LDG.E R0, [R2.64]',
      'FFMA R0, R0, R0, R1',
      '@P0 BRA 0x0',
      'LDG.E.128 R4, [R2.64]',
      'HMMA.16816.F32 R8, R4, R6, R8',
      '@P0 BRA 0x30',
    );
    expect(streamingLoops(body).map((loop) => loop[0]?.address)).toEqual([0x30]);
  });

  it('is the whole kernel where nothing repeats', () => {
    const body = bodyOf('LDG.E.128 R4, [R2.64]', 'HMMA.16816.F32 R8, R4, R6, R8', 'EXIT');
    expect(streamingLoops(body)).toEqual([body]);
  });
});

describe('wideShare', () => {
  it('weighs by bytes, and tells of the worst loop', () => {
    const int4 = bodyOf('LDG.E.128 R4, [R2.64]', 'LDG.E.128 R4, [R2.64]', 'LDG.E.U16 R0, [R2.64]');
    expect(wideShare([int4])).toBeCloseTo(32 / 34);
    expect(wideShare([int4, bodyOf('LDG.E.64 R0, [R2.64]')])).toBe(0);
  });

  it('is null where nothing is loaded', () => {
    expect(wideShare([bodyOf('EXIT')])).toBeNull();
  });
});
