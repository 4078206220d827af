/** Super: is the board flashed for it where it could be, and are its clocks really there? */
import type { Board } from '../../device/board.js';
import { sameName } from '../../device/power.js';
import { compareVersions } from '../../device/versions.js';
import { boardOf } from '../../plan/board.js';
import { type Check, outcome } from '../check.js';
import type { Facts } from '../facts.js';
import { lossBetween } from '../loss.js';

/** Orin NX and Orin Nano, from JetPack 6.2 on. */
const FIRST_SUPER_L4T = '36.4.3';
const canBeSuper = (board: Board) => /^p3767/.test(board.partNumber ?? '') || /Orin (?:NX|Nano)/.test(board.name);

export const superFlash: Check = {
  id: 'super',
  group: 'performance',
  expected: 'flashed with the Super configuration of JetPack 6.2 or newer',
  why: 'Super raises the ceilings of GPU and (on Orin Nano) memory by half, at no cost but heat',
  look: (facts) => {
    const { board, release, speed } = facts;
    if (board === null || !canBeSuper(board)) return null;
    const why = `${superFlash.why}${lossBetween(speed, speed?.atMax ?? null, speed?.afterSuper ?? null)}`;
    if (board.isSuper && board.isSuperInBootControl === false) {
      const found =
        'the device tree says Super, TNSPEC in /etc/nv_boot_control.conf does not: updates would bring the old firmware back';
      return { ...outcome('warn', found, FLASH), why };
    }
    if (board.isSuper) return outcome('pass', 'device tree says Super');
    if (board.isSuperInBootControl === true || facts.power?.hasSuperMode) {
      const found = 'MAXN_SUPER or TNSPEC says Super, the device tree does not: the firmware was not flashed for it';
      return { ...outcome('warn', found, FLASH), why };
    }
    const found = 'not flashed for Super: the highest mode is the one without it';
    if (release.l4t === null) return outcome('skip', found);
    if (compareVersions(release.l4t, FIRST_SUPER_L4T) < 0) {
      return outcome('skip', `${found}; L4T ${release.l4t} has none (JetPack 6.2 does)`);
    }
    return { ...outcome('warn', found, FLASH), why };
  },
};

const FLASH =
  'sudo ./tools/kernel_flash/l4t_initrd_flash.sh --external-device nvme0n1p1 ' +
  '-c tools/kernel_flash/flash_l4t_t234_nvme.xml -p "-c bootloader/generic/cfg/flash_t234_qspi.xml" ' +
  '--showlogs --network usb0 jetson-orin-nano-devkit-super internal' +
  '   # in Linux_for_Tegra on a PC, the board in recovery mode; this wipes it';

/** Clocks step; a ceiling within this share of the wanted one is that one. */
const TOLERANCE = 0.96;
const MHZ = 1e6;

interface Ceilings {
  gpuMhz: number | null;
  emcMhz: number | null;
}

/** What the clocks may rise to in the current mode: by the board's own file, else by the table of boards. */
function wantedCeilings({ power, board, device }: Facts): Ceilings | null {
  const name = power?.current?.name;
  if (power === null || name == null) return null;
  const own = power.modes.find((mode) => sameName(mode.name, name));
  const known = board && boardOf({ ...board, memoryBytes: device.memory.totalBytes });
  // MAXN_SUPER of a board that is not flashed for it: still what it ought to give.
  const asSuper = board && boardOf({ ...board, isSuper: true, memoryBytes: device.memory.totalBytes });
  const table = [known, asSuper].flatMap((spec) => spec?.modes ?? []).find((mode) => sameName(mode.name, name));
  const told = (hz: number | null | undefined) => (hz == null || !Number.isFinite(hz) ? null : hz / MHZ);
  const least = sameName(name, 'MAXN_SUPER') ? LEAST_SUPER : null;
  return {
    gpuMhz: told(own?.gpuMaxHz) ?? table?.gpuMhz ?? least?.gpuMhz ?? null,
    emcMhz: told(own?.emcMaxHz) ?? table?.emcMhz ?? least?.emcMhz ?? null,
  };
}

/** What MAXN_SUPER gives the slowest module that has it: an Orin Nano. */
const LEAST_SUPER = { gpuMhz: 1020, emcMhz: 3199 };

export const ceilings: Check = {
  id: 'clock-ceilings',
  group: 'performance',
  expected: 'live ceilings of GPU and memory as the power mode allows',
  why: 'a mode that is set but not in force looks fast and serves slowly',
  look: (facts) => {
    const { clocks } = facts;
    const wanted = wantedCeilings(facts);
    if (clocks === null || wanted === null) return null;
    const parts = [
      { name: 'GPU', live: clocks.gpuMaxHz, wanted: wanted.gpuMhz },
      { name: 'memory', live: clocks.emcMaxHz, wanted: wanted.emcMhz },
    ].filter(({ live, wanted: most }) => live !== null && most !== null);
    if (parts.length === 0) return null;
    const found = parts.map(({ name, live }) => `${name} ${mhz((live ?? 0) / MHZ)}`).join(', ');
    const expected = parts.map(({ name, wanted: most }) => `${name} ${mhz(most ?? 0)}`).join(', ');
    const capped = parts.filter(({ live, wanted: most }) => (live ?? 0) / MHZ < (most ?? 0) * TOLERANCE);
    if (capped.length === 0) return { ...outcome('pass', found), expected };
    const named = facts.power?.current?.name ?? 'this mode';
    const isSuperMode = /MAXN_SUPER/.test(named);
    const reason = isSuperMode ? '; MAXN_SUPER without the Super firmware keeps the old ceilings' : '';
    const { speed } = facts;
    const loss = facts.power?.isMax === true ? lossBetween(speed, speed?.now ?? null, speed?.atMax ?? null) : '';
    const why = `${ceilings.why}${reason}${loss}`;
    const fix = isSuperMode ? FLASH : `sudo nvpmodel -m ${facts.power?.current?.id ?? 0} && sudo reboot`;
    return { ...outcome('warn', `${found} in ${named}`, fix), expected, why };
  },
};

const mhz = (value: number) => `${Number(value.toFixed(2))} MHz`;

/** Whether Super can be had as the board stands: flashed or listed, and not contradicted by the live ceilings. */
export function isSuperAvailable(facts: Facts): boolean {
  const { board, power } = facts;
  if (board === null || !canBeSuper(board)) return false;
  const isListed = board.isSuper || power?.hasSuperMode === true;
  const isCapped = /MAXN_SUPER/.test(power?.current?.name ?? '') && ceilings.look(facts)?.status === 'warn';
  return isListed && !isCapped;
}
