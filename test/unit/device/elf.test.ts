import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Bytes, neededLibraries, readElf, withBytes } from '../../../src/device/elf.js';
import { readGpuCode } from '../../../src/device/elf-fatbin.js';
import { elf, fatbin } from './elf-file.js';

const bytesOf = (buffer: Buffer): Bytes => ({
  sizeBytes: buffer.length,
  read: (offset, length) => buffer.subarray(offset, offset + Math.max(0, length)),
});
const codeOf = (buffer: Buffer) => readGpuCode(bytesOf(buffer));
const library = (...fatbins: Buffer[]) => elf({ sections: { '.nv_fatbin': Buffer.concat(fatbins) } });

describe('readElf', () => {
  it('tells the CPU and the libraries that must be there', () => {
    const file = bytesOf(elf({ machine: 'arm64', needed: ['libcudart.so.12', 'libc.so.6'] }));
    const found = readElf(file);
    expect(found?.arch).toBe('arm64');
    expect(found && neededLibraries(file, found)).toEqual(['libcudart.so.12', 'libc.so.6']);
    expect(readElf(bytesOf(elf({ machine: 'x64' })))?.arch).toBe('x64');
  });

  it.each([
    ['nothing', Buffer.alloc(0)],
    ['a text', Buffer.from('import torch\n'.repeat(20))],
    ['a header cut short', elf({}).subarray(0, 40)],
    [
      'a file cut before its table of sections',
      elf({ sections: { '.nv_fatbin': Buffer.alloc(999) } }).subarray(0, 800),
    ],
  ])('takes %s for no library', (_, buffer) => {
    expect(readElf(bytesOf(buffer))).toBeNull();
    expect(codeOf(buffer)).toBeNull();
  });

  it('reads this very program', () => {
    const found = withBytes(process.execPath, readElf);
    expect(found?.arch).toBe(process.arch);
    expect(found?.sections.map(({ name }) => name)).toContain('.text');
  });
});

describe('readGpuCode', () => {
  it('finds machine code and PTX, with the suffix of those for one GPU or one family', () => {
    const one = fatbin([
      { kind: 'sass', arch: 87 },
      { kind: 'sass', arch: 90, suffix: 'a' },
      { kind: 'sass', arch: 110, suffix: 'f' },
      { kind: 'ptx', arch: 90 },
      { kind: 'lto', arch: 75 },
    ]);
    expect(codeOf(library(one))).toEqual({ sass: ['87', '90a', '110f'], ptx: ['90'], rare: [], isComplete: true });
  });

  it('sorts by number, and reads relocatable code too', () => {
    const section = fatbin([120, 53, 100, 87].map((arch) => ({ kind: 'sass', arch })));
    expect(codeOf(elf({ sections: { __nv_relfatbin: section } }))?.sass).toEqual(['53', '87', '100', '120']);
  });

  it('walks over padding between fat binaries', () => {
    const first = fatbin([{ kind: 'sass', arch: 80, payloadBytes: 17 }]);
    const padded = Buffer.concat([first, Buffer.alloc((8 - (first.length % 8)) % 8), Buffer.alloc(64)]);
    expect(codeOf(library(padded, fatbin([{ kind: 'sass', arch: 87 }])))?.sass).toEqual(['80', '87']);
  });

  it('sets apart what only a few kernel files hold', () => {
    const usual = Array.from({ length: 30 }, () => fatbin([{ kind: 'sass', arch: 80 }]));
    const found = codeOf(library(...usual, fatbin([{ kind: 'sass', arch: 87 }])));
    expect(found).toMatchObject({ sass: ['80'], rare: ['87'] });
  });

  it('is null where there is no code for a GPU', () => {
    expect(codeOf(elf({}))).toBeNull();
    expect(codeOf(elf({ sections: { '.nv_fatbin': Buffer.alloc(0) } }))).toBeNull();
  });

  it('says when it stopped early', () => {
    const many = Array.from({ length: 20 }, () => fatbin([{ kind: 'sass', arch: 87 }]));
    let left = 5;
    const found = readGpuCode(bytesOf(library(...many)), () => left-- > 0);
    expect(found).toMatchObject({ sass: ['87'], isComplete: false });
  });

  it.each([
    ['a payload longer than the file', (file: Buffer, at: number) => file.writeBigUInt64LE(2n ** 63n, at + 16 + 8)],
    ['a fat binary longer than its section', (file: Buffer, at: number) => file.writeBigUInt64LE(2n ** 40n, at + 8)],
    ['an entry without a header', (file: Buffer, at: number) => file.writeUInt32LE(0, at + 16 + 4)],
    ['another magic number', (file: Buffer, at: number) => file.writeUInt32LE(1, at)],
  ])('does not go on after %s', (_, damage) => {
    const file = library(fatbin([{ kind: 'sass', arch: 87 }]), Buffer.alloc(8192));
    damage(file, file.indexOf(Buffer.from([0x50, 0xed, 0x55, 0xba])));
    expect(codeOf(file)?.isComplete).toBe(false);
  });

  it('ends, and throws nothing, whatever the bytes', () => {
    const sound = library(
      ...Array.from({ length: 8 }, () =>
        fatbin([
          { kind: 'sass', arch: 87 },
          { kind: 'ptx', arch: 90 },
        ]),
      ),
    );
    let seed = 1;
    const random = (below: number) => {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
      return (seed >>> 8) % below;
    };
    for (let round = 0; round < 3000; round += 1) {
      const file = Buffer.from(sound.subarray(0, round % 3 === 0 ? random(sound.length) : sound.length));
      for (let i = 0; i < 8 && file.length > 0; i += 1) {
        // Headers and tables are hit more often than payloads.
        const at = i % 2 === 0 ? random(Math.min(64, file.length)) : random(file.length);
        file[at] = round % 2 === 0 ? 0xff : random(256);
      }
      const elfFile = readElf(bytesOf(file));
      if (elfFile !== null) neededLibraries(bytesOf(file), elfFile);
      codeOf(file);
    }
  });
});

describe('withBytes', () => {
  it('reads regular files only, and never waits', () => {
    const folder = mkdtempSync(join(tmpdir(), 'jsg-elf-'));
    try {
      writeFileSync(join(folder, 'lib.so'), library(fatbin([{ kind: 'sass', arch: 87 }])));
      execFileSync('mkfifo', [join(folder, 'fifo.so')]);
      expect(withBytes(join(folder, 'lib.so'), readGpuCode)?.sass).toEqual(['87']);
      expect(withBytes(join(folder, 'lib.so'), (bytes) => bytes.read(bytes.sizeBytes + 5, 16).length)).toBe(0);
      for (const name of ['fifo.so', 'absent.so', '.']) expect(withBytes(join(folder, name), readElf)).toBeNull();
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
