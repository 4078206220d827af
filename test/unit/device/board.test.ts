import { describe, expect, it } from 'vitest';
import { type BoardTexts, identifyBoard, parseBootControl } from '../../../src/device/board.js';

const GIB = 1024 ** 3;
const nothing: BoardTexts = { model: null, compatible: null, bootControl: null, memoryBytes: 0 };
const board = (texts: Partial<BoardTexts>) => identifyBoard({ ...nothing, ...texts });
const tree = (...items: string[]) => items.map((item) => `${item}\0`).join('');

describe('part numbers', () => {
  it.each([
    ['p3834-0008', 'p4071-0000', 'tegra264', 'Jetson AGX Thor', 128],
    ['p3834-0000', 'p4071-0000', 'tegra264', 'Jetson T4000', 64],
    ['p3767-0005', 'p3768-0000', 'tegra234', 'Jetson Orin Nano 8GB', 8],
    ['p3767-0004', 'p3768-0000', 'tegra234', 'Jetson Orin Nano 4GB', 4],
    ['p3767-0003', 'p3509-0000', 'tegra234', 'Jetson Orin Nano 8GB', 8],
    ['p3767-0001', 'p3768-0000', 'tegra234', 'Jetson Orin NX 8GB', 8],
    ['p3767-0000', 'p3509-0000', 'tegra234', 'Jetson Orin NX 16GB', 16],
    ['p3701-0005', 'p3737-0000', 'tegra234', 'Jetson AGX Orin 64GB', 64],
    ['p3701-0004', 'p3737-0000', 'tegra234', 'Jetson AGX Orin 32GB', 32],
    ['p3701-0002', 'p3740-0002', 'tegra234', 'IGX Orin', 64],
    ['p3668-0001', 'p3509-0000', 'tegra194', 'Jetson Xavier NX 8GB', 8],
    ['p2888-0001', 'p2822-0000', 'tegra194', 'Jetson AGX Xavier 16GB', 16],
    ['p2888-0008', 'p2822-0000', 'tegra194', 'Jetson AGX Xavier Industrial', 32],
    ['p3448-0000', 'p3449-0000', 'tegra210', 'Jetson Nano 4GB', 4],
    ['p3448-0003', 'p3542-0000', 'tegra210', 'Jetson Nano 2GB', 2],
    ['p3636-0001', 'p3509-0000', 'tegra186', 'Jetson TX2 NX', 4],
    ['p3310-1000', 'p2597-0000', 'tegra186', 'Jetson TX2', 8],
  ])('%s on %s', (part, carrier, soc, name, ramGib) => {
    const compatible = tree(`nvidia,${carrier}+${part}`, `nvidia,${part}`, `nvidia,${soc}`);
    expect(board({ compatible })).toMatchObject({ name, partNumber: part, soc, ramGib, isSuper: false });
  });

  it('the first AGX Orin was sold with 32 and 64 GB: memory decides, where it is told', () => {
    const compatible = tree('nvidia,p3737-0000+p3701-0000', 'nvidia,p3701-0000', 'nvidia,tegra234');
    expect(board({ compatible })?.name).toBe('Jetson AGX Orin');
    expect(board({ compatible, memoryBytes: 61.4 * GIB })).toMatchObject({ name: 'Jetson AGX Orin 64GB', ramGib: 64 });
    expect(board({ compatible, memoryBytes: 29.9 * GIB })).toMatchObject({ name: 'Jetson AGX Orin 32GB', ramGib: 32 });
  });

  it('an unknown part of a known family goes on under its name', () => {
    const compatible = tree('nvidia,p3737-0000+p3701-0042', 'nvidia,tegra234');
    expect(board({ compatible })).toMatchObject({ name: 'Jetson AGX Orin', partNumber: 'p3701-0042', ramGib: null });
  });

  it('revisions, capitals, newlines and a missing SoC do not matter', () => {
    expect(board({ compatible: tree('nvidia,p3449-0000-b00+p3448-0000-b00', 'nvidia,jetson-nano') })).toMatchObject({
      partNumber: 'p3448-0000',
      soc: 'tegra210',
    });
    expect(board({ compatible: 'nvidia,P3768-0000+P3767-0000\nnvidia,P3767-0000\n' })?.name).toBe(
      'Jetson Orin NX 16GB',
    );
  });
});

describe('Super', () => {
  it('is in the device tree', () => {
    const compatible = tree('nvidia,p3768-0000+p3767-0005-super', 'nvidia,p3767-0005', 'nvidia,tegra234');
    expect(board({ compatible })).toMatchObject({ isSuper: true, partNumber: 'p3767-0005' });
  });

  it('is in TNSPEC as well, which also knows the part where the device tree is hidden', () => {
    const text = (kind: string) =>
      `TNSPEC 3767-300-0005-S.1-1-1-jetson-orin-nano-devkit-${kind}\nTEGRA_BOOT_STORAGE nvme0n1\n`;
    expect(parseBootControl(text('super-'))).toEqual({ partNumber: 'p3767-0005', isSuper: true });
    expect(parseBootControl(text(''))).toEqual({ partNumber: 'p3767-0005', isSuper: false });
    expect(parseBootControl('COMPATIBLE_SPEC 3767--0000--1--jetson-orin-nano-devkit-super-\n')?.isSuper).toBe(true);
    expect(parseBootControl('TNSPEC 3701-500-0000-J.0-1-1-jetson-agx-orin-devkit-\n')?.partNumber).toBe('p3701-0000');
    expect(parseBootControl('# empty\n')).toBeNull();
    expect(board({ bootControl: text('super-') })).toMatchObject({
      name: 'Jetson Orin Nano 8GB',
      isSuper: false,
      isSuperInBootControl: true,
    });
  });
});

describe('model texts', () => {
  it('of a carrier maker do not count beside a part number', () => {
    const compatible = tree('seeed,j401', 'nvidia,p3768-0000+p3767-0000', 'nvidia,tegra234');
    const found = board({ model: 'Some Maker AGX Box 9000\0', compatible });
    expect(found).toMatchObject({ name: 'Jetson Orin NX 16GB', model: 'Some Maker AGX Box 9000' });
  });

  it.each([
    ['NVIDIA Jetson AGX Orin Developer Kit', 'Jetson AGX Orin'],
    ['NVIDIA Orin NX Developer Kit', 'Jetson Orin NX'],
    ['NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super', 'Jetson Orin Nano'],
    ['NVIDIA Jetson AGX Thor Developer Kit', 'Jetson AGX Thor'],
    ['Jetson-AGX', 'Jetson AGX Xavier'],
    ['NVIDIA Jetson Xavier NX Developer Kit', 'Jetson Xavier NX'],
    ['NVIDIA Jetson Nano Developer Kit', 'Jetson Nano'],
    ['quill', 'Jetson TX2'],
  ])('%s alone names the module', (model, name) => {
    expect(board({ model: `${model}\0` })?.name).toBe(name);
  });

  it('the old name of the AGX Xavier is kept', () => {
    const compatible = tree('nvidia,p2822-0000+p2888-0004', 'nvidia,tegra194');
    expect(board({ model: 'NVIDIA Jetson Xavier Developer Kit\0', compatible })?.name).toBe('Jetson Xavier 32GB');
  });

  it('of other boards are no Jetson', () => {
    const compatible = tree('raspberrypi,5-model-b', 'brcm,bcm2712');
    expect(board({ model: 'Raspberry Pi 5 Model B\0', compatible })).toBeNull();
    expect(board({})).toBeNull();
  });

  it('garbage is shown as one printable line at most', () => {
    const found = board({ model: `\u0007Box\0${'x'.repeat(5000)}`, compatible: tree('nvidia,tegra234') });
    expect(found?.model).toBe('Box');
  });
});
