/** Can CUDA use the GPU? */
import { type Check, gib, outcome } from '../check.js';

export const gpu: Check = {
  id: 'gpu',
  group: 'machine',
  expected: 'a GPU that CUDA can use, or none',
  why: 'profiles for CUDA need it; without one smollm2 and other small models run on the CPU',
  look: ({ device, addon }) => {
    if (device.gpu === null) return outcome('skip', 'no NVIDIA GPU: profiles for CUDA are refused');
    const { name, driver, memoryBytes } = device.gpu;
    const details = [driver && `driver ${driver}`, memoryBytes !== null && gib(memoryBytes)].filter(Boolean);
    const found = [name, ...details].join(', ');
    if (addon === null || addon.fault !== null) return outcome('skip', found);
    if (!addon.hasCuda) {
      const fix = 'put nvcc on the PATH (JetPack: export PATH=/usr/local/cuda/bin:$PATH), then npm run build';
      return outcome('warn', `${found}; the native runtime was built without CUDA`, fix);
    }
    if (addon.cudaDevice !== null) return outcome('pass', `${found}; CUDA uses ${addon.cudaDevice}`);
    const fix = 'check nvidia-smi, and that you may use /dev/nvidia* (on Jetson: groups video and render)';
    return outcome('warn', `${found}; CUDA finds no GPU that it can use`, fix);
  },
};
