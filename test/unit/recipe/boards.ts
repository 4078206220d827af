/** Boards that plans are made for, read by the device's readers from texts as boards have them. */
import { probeMachine } from '../../../src/device/machine.js';
import { planDevice } from '../../../src/recipe/machine-facts.js';
import type { PlanDevice } from '../../../src/recipe/plan.js';
import { fakeSource } from '../device/fake-source.js';

interface Texts {
  l4t: [major: number, revision: string];
  part: string;
  soc: string;
  kib: number;
  cores: number;
  nvcc?: string;
}

const cpuinfo = (cores: number, features: string) =>
  Array.from({ length: cores }, (_, i) => `processor\t: ${i}\n${features}\n`).join('\n');

async function jetson({ l4t: [major, revision], part, soc, kib, cores, nvcc }: Texts): Promise<PlanDevice> {
  const source = fakeSource({
    files: {
      '/etc/nv_tegra_release': `# R${major} (release), REVISION: ${revision}, GCID: 1, BOARD: generic, EABI: aarch64, DATE: Thu\n`,
      '/proc/device-tree/compatible': `nvidia,p0000-0000+${part}\0nvidia,${part.replace('-super', '')}\0nvidia,${soc}\0`,
      '/proc/meminfo': `MemTotal: ${kib} kB\n`,
      '/proc/cpuinfo': cpuinfo(cores, 'Features\t: fp asimd'),
    },
    commands: nvcc === undefined ? {} : { nvcc: `Cuda compilation tools, release 12.6, V${nvcc}\n` },
  });
  return planDevice({ machine: await probeMachine(source), python: null, sm: null });
}

const agx = { part: 'p3701-0005', soc: 'tegra234', kib: 64_349_184, cores: 12 };

export const boards: Record<string, () => Promise<PlanDevice>> = {
  'agx-orin-jp6.1': () => jetson({ ...agx, l4t: [36, '4.0'], nvcc: '12.6.68' }),
  'agx-orin-jp6.2': () => jetson({ ...agx, l4t: [36, '4.3'], nvcc: '12.6.68' }),
  'orin-nano-super': () =>
    jetson({ l4t: [36, '4.7'], part: 'p3767-0005-super', soc: 'tegra234', kib: 7_802_880, cores: 6 }),
  thor: () => jetson({ l4t: [38, '2.0'], part: 'p3834-0008', soc: 'tegra264', kib: 128_000_000, cores: 14 }),
  'x86-cuda': async () => {
    const source = fakeSource({
      files: { '/proc/meminfo': 'MemTotal: 131072000 kB\n', '/proc/cpuinfo': cpuinfo(16, 'flags\t\t: avx2 fma') },
      commands: { nvcc: 'Cuda compilation tools, release 12.8, V12.8.61\n' },
    });
    return planDevice({ machine: await probeMachine(source), python: '3.11.2', sm: 90 });
  },
  'agx-orin-jp5': () => jetson({ ...agx, l4t: [35, '4.1'] }),
  'agx-orin-jp7.2': () => jetson({ ...agx, l4t: [39, '2.0'] }),
};

export async function board(name: string): Promise<PlanDevice> {
  const made = await boards[name]?.();
  if (made === undefined) throw new Error(`no board ${name}`);
  return made;
}
