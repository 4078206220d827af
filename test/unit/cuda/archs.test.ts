import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { chooseCuda, cudaJobs, presentArchs } from '../../../scripts/cuda/archs.mjs';

let root = '';
afterEach(() => rmSync(root, { recursive: true, force: true }));

/** A machine's files; `compatible`: the names in its device tree. */
function machine(...compatible: string[]): string {
  root = mkdtempSync(join(tmpdir(), 'jsg-machine-'));
  if (compatible.length > 0) {
    mkdirSync(join(root, 'proc/device-tree'), { recursive: true });
    writeFileSync(join(root, 'proc/device-tree/compatible'), compatible.map((name) => `${name}\0`).join(''));
  }
  return root;
}

const noSmi = () => null;

describe('presentArchs', () => {
  it.each([
    ['AGX Orin', ['nvidia,p3737-0000+p3701-0005', 'nvidia,p3701-0005', 'nvidia,tegra234'], ['87']],
    ['Orin Nano', ['nvidia,p3768-0000+p3767-0005-super', 'nvidia,p3767-0005', 'nvidia,tegra234'], ['87']],
    ['AGX Thor', ['nvidia,p4071-0000+p3834-0008', 'nvidia,p3834-0008', 'nvidia,tegra264'], ['110']],
  ])('knows %s by its device tree', (_, compatible, archs) => {
    expect(presentArchs(machine(...compatible), noSmi)).toEqual(archs);
  });

  it('believes the device tree over nvidia-smi, which tells nothing on an Orin', () => {
    expect(presentArchs(machine('nvidia,tegra234'), () => '[N/A]\n')).toEqual(['87']);
  });

  it.each([
    ['one GPU', '9.0\n', ['90']],
    ['two alike', '9.0\n9.0\n', ['90']],
    ['two kinds', '12.0\n8.9\n', ['120', '89']],
    ['Windows line ends', '8.6\r\n', ['86']],
  ])('asks nvidia-smi: %s', (_, text, archs) => {
    expect(presentArchs(machine(), () => text)).toEqual(archs);
  });

  it.each([
    ['no nvidia-smi', null],
    ['a driver that fails', 'NVIDIA-SMI has failed because it could not communicate with the driver.\n'],
    ['not available', '[N/A]\n'],
    ['no line', ''],
  ])('finds none: %s', (_, text) => {
    expect(presentArchs(machine(), () => text)).toBeNull();
  });

  it('finds none on a board of others', () => {
    expect(presentArchs(machine('raspberrypi,5-model-b', 'brcm,bcm2712'), noSmi)).toBeNull();
  });
});

describe('chooseCuda', () => {
  const never = () => {
    throw new Error('asked the machine');
  };

  it('builds for the board that it is on', () => {
    const choice = chooseCuda({}, () => ['87']);
    expect(choice).toMatchObject({ cuda: 'AUTO', archs: ['87'] });
    expect(choice.note).toMatch(/sm_87.*JSG_CUDA_ARCHS=all/);
  });

  it('builds for all where there is no GPU', () => {
    expect(chooseCuda({}, () => null)).toEqual({ cuda: 'AUTO', archs: [], note: null });
  });

  it('does as it is told, and asks nothing then', () => {
    expect(chooseCuda({ JSG_CUDA_ARCHS: 'all' }, never)).toMatchObject({ archs: [] });
    expect(chooseCuda({ JSG_CUDA_ARCHS: '87' }, never)).toMatchObject({ archs: ['87'] });
    expect(chooseCuda({ JSG_CUDA_ARCHS: '87;90' }, never)).toMatchObject({ archs: ['87', '90'] });
    expect(chooseCuda({ JSG_CUDA: 'on', JSG_CUDA_ARCHS: '87,90' }, never)).toMatchObject({ cuda: 'ON' });
    expect(chooseCuda({ JSG_CUDA: 'OFF' }, never)).toEqual({ cuda: 'OFF', archs: [], note: null });
  });

  it('takes an empty variable for none', () => {
    expect(chooseCuda({ JSG_CUDA: '', JSG_CUDA_ARCHS: '' }, () => null)).toMatchObject({ cuda: 'AUTO', archs: [] });
  });

  it('leaves CUDA out for a GPU that is too old, unless told to build it', () => {
    const choice = chooseCuda({}, () => ['72']);
    expect(choice.cuda).toBe('OFF');
    expect(choice.note).toMatch(/sm_72.*sm_80/);
    expect(chooseCuda({ JSG_CUDA: 'ON' }, () => ['72'])).toMatchObject({ cuda: 'ON', archs: [] });
    expect(chooseCuda({}, () => ['72', '90'])).toMatchObject({ cuda: 'AUTO', archs: ['90'] });
  });

  it.each([{ JSG_CUDA: 'yes' }, { JSG_CUDA_ARCHS: 'sm_87' }, { JSG_CUDA_ARCHS: 'Orin' }, { JSG_CUDA_ARCHS: '87,' }])(
    'refuses %o',
    (env) => {
      expect(() => chooseCuda(env, never)).toThrow(/it is/);
    },
  );
});

describe('cudaJobs', () => {
  const GIB = 1024 ** 3;
  it.each([
    ['an Orin Nano', 6, 7.4, 1],
    ['an Orin NX', 8, 15.3, 3],
    ['an AGX Orin', 12, 61.3, 12],
    ['a small machine', 2, 1.9, 1],
    ['one core', 1, 64, 1],
  ])('%s', (_, cores, gib, jobs) => {
    expect(cudaJobs(cores, gib * GIB)).toBe(jobs);
  });
});
