/** What Python says on a board that is as it should be, to change in tests. */
import type { Python } from '../../../src/device/python.js';
import type { Torch } from '../../../src/device/python-torch.js';
import type { Distribution } from '../../../src/device/wheels.js';
import type { WheelLibrary } from '../../../src/device/wheels-code.js';
import { examine } from '../../../src/doctor/examine.js';
import type { Facts } from '../../../src/doctor/facts.js';
import { laptopMachine, orinMachine } from '../device/machines.js';

export const goodTorch: Torch = {
  version: '2.8.0',
  cuda: '12.6',
  hasCuda: true,
  site: '/usr/local/lib/python3.10/dist-packages',
  cudaAvailable: true,
  archList: ['sm_87'],
  gpu: { name: 'Orin', arch: 87 },
  launch: 'ok',
  sglKernelLaunch: null,
  hasNumpyFault: false,
  fault: null,
};

export function installed(name: string, version: string, change: Partial<Distribution> = {}): Distribution {
  return { name, version, site: '/site', isShadowed: false, requires: [], tags: [], files: null, ...change };
}

export function library(name: string, file: string, sass: string[], ptx: string[] = []): WheelLibrary {
  return { package: name, file, cpu: 'arm64', gpu: { sass, ptx, rare: [], isComplete: true }, missing: [] };
}

export const goodPython: Python = {
  interpreter: { version: '3.10.12', path: '/usr/bin/python3', kind: 'system', isExternallyManaged: false },
  pip: '22.0.2',
  sites: ['/usr/local/lib/python3.10/dist-packages'],
  distributions: [installed('torch', '2.8.0'), installed('torchvision', '0.23.0'), installed('numpy', '1.26.4')],
  torch: goodTorch,
  libraries: [library('torch', 'torch/lib/libtorch_cuda.so', ['87'])],
  contents: { ptxas: [], torchNumpy: 2, torchaoMissing: [] },
  indexes: [],
  index: null,
};

const rest = { toolchain: null, addon: null, store: null, speed: null, profiles: [] };

/** An AGX Orin on JetPack 6.2.1. */
export const onOrin = (change: Partial<Python>, facts: Partial<Facts> = {}): Facts => ({
  ...orinMachine,
  ...rest,
  python: { ...goodPython, ...change },
  ...facts,
});

export const onL4t = (l4t: string, change: Partial<Python>, soc = 'tegra234'): Facts => {
  const board = orinMachine.board && { ...orinMachine.board, soc };
  return onOrin(change, { board, release: { ...orinMachine.release, l4t } });
};

/** A laptop without a GPU. */
export const onLaptop = (change: Partial<Python>): Facts => ({
  ...laptopMachine,
  ...rest,
  python: { ...goodPython, ...change },
});

export const find = (facts: Facts, id: string) => examine(facts).find((finding) => finding.id === id);
