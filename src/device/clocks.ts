/** Clocks: what they may rise to now, and whether jetson_clocks has locked them there. */
import { parseClocksShow, type ShownClocks } from './jetson-clocks.js';
import { parseLiveCeilings } from './nvpmodel.js';
import type { Source } from './source.js';
import type { Stats } from './tegrastats.js';

export interface Clocks {
  /** Null: not known. */
  isLocked: boolean | null;
  /** Whether `jetson_clocks --show` refused because it needs root. */
  needsRoot: boolean;
  /** Live ceilings, Hz; null: not told. */
  gpuMaxHz: number | null;
  emcMaxHz: number | null;
  cpuMaxHz: number | null;
  /** The mode that jetson_clocks names in its last line. */
  modeName: string | null;
}

export interface ClocksTexts {
  show: string | null;
  /** `nvpmodel -q`, whose verbose form tells live ceilings. */
  query: string | null;
  stats: Stats | null;
}

/** Null: nothing tells. The answer of jetson_clocks goes before sysfs, which cannot see the memory's clock. */
export function identifyClocks({ show, query, stats }: ClocksTexts, sysfs: SysfsClocks): Clocks | null {
  const shown = parseClocksShow(show ?? '');
  const live = parseLiveCeilings(query ?? '');
  const busy = ceilingsUnderLoad(stats);
  const needsRoot = shown === null && /\broot\b|\bsudo\b|permission denied/i.test(show ?? '');
  const gpuMaxHz = highest(shown, 'gpu') ?? live.gpuHz ?? sysfs.gpuMaxHz ?? busy.gpuHz;
  const emcMaxHz = shown?.emc?.maxHz ?? live.emcHz ?? sysfs.emcMaxHz ?? busy.emcHz;
  const cpuMaxHz = highest(shown, 'cpus') ?? sysfs.cpuMaxHz;
  const isLocked = shown === null ? sysfs.isLocked : isLockedShown(shown);
  if (shown === null && !needsRoot && [isLocked, gpuMaxHz, emcMaxHz, cpuMaxHz].every((value) => value === null))
    return null;
  return { isLocked, needsRoot, gpuMaxHz, emcMaxHz, cpuMaxHz, modeName: shown?.modeName ?? null };
}

const BUSY_PERCENT = 90;

/** A GPU at work runs as fast as it may. */
function ceilingsUnderLoad(stats: Stats | null): { gpuHz: number | null; emcHz: number | null } {
  const hertz = (mhz: number | null) => (mhz === null || mhz === 0 ? null : mhz * 1e6);
  const isBusy = (stats?.gpuLoad ?? 0) >= BUSY_PERCENT;
  return isBusy && stats !== null
    ? { gpuHz: hertz(stats.gpuMhz), emcHz: hertz(stats.emcMhz) }
    : { gpuHz: null, emcHz: null };
}

function highest(shown: ShownClocks | null, kind: 'gpu' | 'cpus'): number | null {
  const clocks = shown?.[kind] ?? [];
  return clocks.length === 0 ? null : Math.max(...clocks.map(({ maxHz }) => maxHz));
}

/**
 * Locked: every core that is on and every GPU clock has min = max = current; the memory's clock has its override set, or,
 * where the release prints no override (R39), min = max. Null: the text breaks off before it can tell.
 */
export function isLockedShown({ cpus, gpu, emc }: ShownClocks): boolean | null {
  const fixed = [...cpus, ...gpu].every(
    ({ minHz, maxHz, currentHz }) => minHz === maxHz && maxHz === (currentHz ?? maxHz),
  );
  const emcFixed = emc === null || (emc.isOverridden ?? emc.minHz === emc.maxHz);
  if (!fixed || !emcFixed) return false;
  return cpus.length > 0 && gpu.length > 0 && emc !== null ? true : null;
}

export interface SysfsClocks {
  isLocked: boolean | null;
  gpuMaxHz: number | null;
  emcMaxHz: number | null;
  cpuMaxHz: number | null;
}

/** What files tell without root. */
export function probeSysfsClocks({ read, list }: Pick<Source, 'read' | 'list'>): SysfsClocks {
  const number = (path: string) => {
    const value = Number.parseInt(read(path) ?? '', 10);
    return value > 0 ? value : null;
  };
  const cpuFolder = '/sys/devices/system/cpu';
  const cpus = list(cpuFolder)
    .filter((name) => /^cpu\d+$/.test(name) && read(`${cpuFolder}/${name}/online`)?.trim() !== '0')
    .map((name) => ({
      min: number(`${cpuFolder}/${name}/cpufreq/scaling_min_freq`),
      max: number(`${cpuFolder}/${name}/cpufreq/scaling_max_freq`),
    }))
    .filter(({ max }) => max !== null);
  const gpus = gpuFolders(list)
    .map((folder) => ({ min: number(`${folder}/min_freq`), max: number(`${folder}/max_freq`) }))
    .filter(({ max }) => max !== null);
  const all = [...cpus, ...gpus];
  const most = (clocks: typeof all) => (clocks.length === 0 ? null : Math.max(...clocks.map(({ max }) => max ?? 0)));
  const cpuMaxKhz = most(cpus);
  return {
    isLocked: cpus.length === 0 || gpus.length === 0 ? null : all.every(({ min, max }) => min === max),
    gpuMaxHz: most(gpus),
    emcMaxHz: number('/sys/kernel/nvpmodel_clk_cap/emc') ?? number('/sys/kernel/nvpmodel_emc_cap/emc_iso_cap'),
    cpuMaxHz: cpuMaxKhz === null ? null : cpuMaxKhz * 1000,
  };
}

/** Folders of an integrated GPU's clocks. */
function gpuFolders(list: Source['list']): string[] {
  return list('/sys/class/devfreq')
    .filter((name) => /(?:^|\.)(?:gpu|ga10b|gv11b|gp10b|gm20b)$|^gpu-(?:gpc|nvd)/.test(name))
    .map((name) => `/sys/class/devfreq/${name}`);
}

/** Clocks as they run at this moment, MHz: the fastest core that is on, the GPU, the memory. Null: not told. */
export interface LiveClocks {
  cpuMhz: number | null;
  gpuMhz: number | null;
  emcMhz: number | null;
}

/** Where the memory's clock is told, to root alone: R35 and later, R32. */
const EMC_RATES = ['/sys/kernel/debug/bpmp/debug/clk/emc/rate', '/sys/kernel/debug/clk/emc/clk_rate'];

/** Files that tell them, so that a sampler looks for them once. */
export interface ClockFiles {
  /** In kHz. */
  cpu: string[];
  /** In Hz. */
  gpu: string[];
  emc: string[];
}

export function findClockFiles({ read, list }: Pick<Source, 'read' | 'list'>): ClockFiles {
  const readable = (paths: readonly string[]) => paths.filter((path) => Number.parseInt(read(path) ?? '', 10) > 0);
  const cpus = list('/sys/devices/system/cpu').filter((name) => /^cpu\d+$/.test(name));
  return {
    cpu: readable(cpus.map((name) => `/sys/devices/system/cpu/${name}/cpufreq/scaling_cur_freq`)),
    gpu: readable(gpuFolders(list).map((folder) => `${folder}/cur_freq`)),
    emc: readable(EMC_RATES),
  };
}

/** `textOf`: what a file holds now. */
export function liveClocks({ cpu, gpu, emc }: ClockFiles, textOf: (path: string) => string): LiveClocks {
  const mhz = (paths: string[], hertz: number) => {
    const rates = paths.map((path) => Number.parseInt(textOf(path), 10)).filter((rate) => rate > 0);
    return rates.length === 0 ? null : (Math.max(...rates) * hertz) / 1e6;
  };
  return { cpuMhz: mhz(cpu, 1000), gpuMhz: mhz(gpu, 1), emcMhz: mhz(emc, 1) };
}

export function probeLiveClocks(source: Pick<Source, 'read' | 'list'>): LiveClocks {
  return liveClocks(findClockFiles(source), (path) => source.read(path) ?? '');
}
