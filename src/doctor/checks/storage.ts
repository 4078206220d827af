/** Disk, container and docker. */
import { isJetson } from '../../device/machine.js';
import { type Check, GIB, gib, outcome } from '../check.js';

/** An 8B model in fp16 and its download, or a source build with its objects. */
const MIN_FREE_BYTES = 20 * GIB;

export const disk: Check = {
  id: 'disk',
  group: 'machine',
  expected: `an NVMe disk with ${gib(MIN_FREE_BYTES)} free`,
  why: 'models load at the speed of the disk, and an SD card wears out under swap and builds',
  look: (facts) => {
    const { device, kind, freeBytes } = facts.storage;
    if (!isJetson(facts) || (kind === null && freeBytes === null)) return null;
    const found = [device ?? '/', kind, freeBytes !== null && `${gib(freeBytes)} free`].filter(Boolean).join(', ');
    if (freeBytes !== null && freeBytes < MIN_FREE_BYTES) {
      return outcome('warn', found, 'sudo apt-get clean && du -xh / --max-depth=2 2>/dev/null | sort -h | tail');
    }
    if (kind === 'sd' || kind === 'network') {
      return outcome('warn', found, 'lsblk   # put models on an NVMe disk: export HF_HOME=/mnt/nvme/huggingface');
    }
    return outcome('pass', found);
  },
};

export const container: Check = {
  id: 'container',
  group: 'machine',
  expected: 'the machine itself, or a container with the NVIDIA runtime',
  why: 'a container hides files of the board, and has the GPU only when it was started with it',
  look: ({ container: kind }) =>
    kind === null ? null : outcome('pass', `in a ${kind} container: power mode and clocks are the host's`),
};

export const docker: Check = {
  id: 'docker',
  group: 'software',
  expected: 'the runtime nvidia in /etc/docker/daemon.json, where docker is used',
  why: 'without it containers do not see the GPU',
  look: (facts) => {
    const { isInstalled, hasToolkit, hasRuntime, isDefaultRuntime } = facts.docker;
    if (!isInstalled || facts.device.gpu === null) return null;
    const fix = 'sudo nvidia-ctk runtime configure --runtime=docker && sudo systemctl restart docker';
    if (!hasToolkit)
      return outcome(
        'warn',
        'docker without the NVIDIA container toolkit',
        `sudo apt-get install nvidia-container-toolkit && ${fix}`,
      );
    if (!hasRuntime) return outcome('warn', 'docker does not know the runtime nvidia', fix);
    return outcome('pass', isDefaultRuntime ? 'runtime nvidia, by default' : 'runtime nvidia, with --runtime nvidia');
  },
};
