/** Can CUDA use the GPU, and may this user? */
import { isJetson } from '../../device/machine.js';
import { type Check, gib, outcome } from '../check.js';

export const gpu: Check = {
  id: 'gpu',
  group: 'machine',
  expected: 'a GPU that CUDA can use, or none',
  why: 'profiles for CUDA need it; without one smollm2 and other small models run on the CPU',
  look: ({ device, addon, gpuFault }) => {
    if (device.gpu === null) {
      if (gpuFault === null) return outcome('skip', 'no NVIDIA GPU: profiles for CUDA are refused');
      return outcome(
        'warn',
        `nvidia-smi: ${gpuFault}`,
        'sudo dmesg | grep -i nvrm   # then install the driver that fits this kernel',
      );
    }
    const { name, driver, cudaVersion, memoryBytes } = device.gpu;
    const details = [
      driver && `driver ${driver}`,
      cudaVersion && `for CUDA up to ${cudaVersion}`,
      memoryBytes !== null && gib(memoryBytes),
    ].filter(Boolean);
    const found = [name, ...details].join(', ');
    if (addon === null || addon.fault !== null) return outcome('skip', found);
    if (!addon.hasCuda) {
      const fix = 'export PATH=/usr/local/cuda/bin:$PATH && npm run build   # nvcc must be found';
      return outcome('warn', `${found}; the native runtime was built without CUDA`, fix);
    }
    if (addon.cudaDevice !== null) return outcome('pass', `${found}; CUDA uses ${addon.cudaDevice}`);
    const fix = 'nvidia-smi; ls -l /dev/nv*   # works, and you may open them? (on Jetson: groups video and render)';
    return outcome('warn', `${found}; CUDA finds no GPU that it can use`, fix);
  },
};

export const gpuAccess: Check = {
  id: 'gpu-access',
  group: 'machine',
  expected: "the GPU's device nodes open for this user",
  why: 'CUDA finds no device otherwise, and says only that',
  look: (facts) => {
    const { nodes, closed, missingGroups, user } = facts.gpuAccess;
    if (closed === null || (facts.device.gpu === null && nodes.length === 0)) return null;
    if (nodes.length === 0) {
      if (!isJetson(facts)) return null;
      const text =
        facts.container === null ? 'no GPU device nodes' : `no GPU device nodes in this ${facts.container} container`;
      const fix =
        facts.container === null
          ? 'sudo modprobe nvgpu'
          : 'docker run --runtime nvidia --network host IMAGE   # start it anew';
      return outcome('fail', text, fix);
    }
    if (closed.length === 0) return outcome('pass', `${nodes.length} device nodes, all open for ${user}`);
    const groups = missingGroups?.length ? missingGroups.join(',') : 'video,render';
    const fix = `sudo usermod -aG ${groups} ${user}   # then log in anew`;
    return outcome('fail', `${user} may not open ${closed.join(', ')}`, fix);
  },
};
