/** Which board this is, and whether its release is one to serve from. */
import { isJetson } from '../../device/machine.js';
import { smOf } from '../../device/modules.js';
import { compareVersions } from '../../device/versions.js';
import { type Check, outcome } from '../check.js';
import type { Facts } from '../facts.js';

export const board: Check = {
  id: 'board',
  group: 'machine',
  expected: 'a Jetson that is known by its part number',
  why: 'power modes, memory and kernels are chosen by the module',
  look: (facts) => {
    if (!isJetson(facts)) return outcome('skip', 'no Jetson: power modes, clocks and JetPack are not looked at');
    if (facts.board === null)
      return outcome('skip', 'a Jetson whose device tree is not told (a container, or no files)');
    const { name, partNumber, soc, model, isSuper } = facts.board;
    const sm = soc === null ? null : smOf(soc);
    const details = [partNumber, soc, sm !== null && `sm_${sm}`, isSuper && 'flashed for Super'].filter(Boolean);
    const text = `${name} (${details.join(', ')})`;
    return outcome('pass', model === null || model.includes(name) ? text : `${text}; its device tree says "${model}"`);
  },
};

/** The first release with CUDA 12.6, which the builds and the wheels of the index are for. */
const MIN_L4T = '36.4.0';

export const jetpack: Check = {
  id: 'jetpack',
  group: 'software',
  expected: 'JetPack 6.1 or newer (L4T 36.4.0)',
  why: 'CUDA 12.6 and the wheels for LLM serving begin there; older releases have none that load',
  look: (facts) => {
    const { l4t, jetpack: version, nearest, jetpackPackage } = facts.release;
    if (!isJetson(facts)) return null;
    if (l4t === null && version === null) {
      const where = facts.container === null ? 'on the board' : 'outside the container';
      return outcome('skip', `no L4T told by /etc/nv_tegra_release or packages; look ${where}`);
    }
    if (l4t === null) return judge(version ?? '', `JetPack ${version} by its package; no L4T told`, facts);
    if (nearest !== null) {
      const packaged = jetpackPackage === null ? '' : `, package nvidia-jetpack ${jetpackPackage}`;
      const found = `L4T ${l4t}${packaged}: unknown; the nearest known release is L4T ${nearest.l4t} (JetPack ${nearest.jetpack})`;
      if (compareVersions(l4t, MIN_L4T) < 0) return outcome('fail', found, upgrade(facts));
      return outcome('warn', found, 'apt-cache policy nvidia-jetpack nvidia-l4t-core');
    }
    return judge(version ?? '', `JetPack ${version} (L4T ${l4t})`, facts);
  },
};

function judge(version: string, found: string, facts: Facts) {
  return compareVersions(version, '6.1') >= 0 ? outcome('pass', found) : outcome('fail', found, upgrade(facts));
}

/** What brings a board to JetPack 6.1 or newer: by apt within a line, by flashing from the line before, for some not at all. */
function upgrade({ board: found, release }: Facts): string {
  const soc = found?.soc ?? null;
  if (soc !== null && !/^tegra2[36]/.test(soc)) {
    return 'jsg launch --profile smollm2   # on the CPU: there is no JetPack 6 for this module';
  }
  const isOfSix = release.l4t?.startsWith('36.') ?? release.jetpack?.startsWith('6.') ?? false;
  return isOfSix ? APT_UPGRADE : 'sdkmanager   # on a PC: flash JetPack 6.2 or newer (this wipes the board)';
}

const APT_UPGRADE =
  "sudo sed -i 's/ r36\\.[0-9]* / r36.5 /' /etc/apt/sources.list.d/nvidia-l4t-apt-source.list && " +
  'sudo apt-get update && sudo apt-get dist-upgrade && sudo apt-get install nvidia-jetpack';

/** Releases that people were bitten by. */
const KNOWN_BAD: Record<string, string> = {
  '36.4.7': 'large allocations fail (NvMapMemAllocInternalTagged error 12) though memory is free',
};

export const knownBad: Check = {
  id: 'release-known-bad',
  group: 'software',
  expected: 'a release without known faults in memory allocation',
  why: 'models fail to load, or the server ends in the middle of a request',
  look: (facts) => {
    const { l4t } = facts.release;
    const fault = l4t === null ? undefined : KNOWN_BAD[l4t];
    return fault === undefined ? null : outcome('warn', `L4T ${l4t}: ${fault}`, APT_UPGRADE);
  },
};
