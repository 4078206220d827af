/** The power mode: which one is on, which ones there are, and which is the highest. */
import type { Board } from './board.js';
import { type PowerMode, parseModesConf, parsePowerStatus } from './nvpmodel.js';
import { POWER_TABLES, type PowerTable } from './power-modes.js';
import { compareVersions } from './versions.js';

export interface CurrentMode {
  /** Null where only a name is told and the configuration lists it not. */
  id: number | null;
  name: string | null;
}

export interface Power {
  current: CurrentMode | null;
  /** Who told the current mode. */
  source: 'nvpmodel' | 'status file' | 'jetson_clocks' | null;
  /** Every mode of the active configuration, or NVIDIA's own list for this module where it is not readable. */
  modes: PowerMode[];
  /** Whether `modes` are from the board's own file. */
  isFromConf: boolean;
  max: PowerMode | null;
  /** Null: the current mode or the highest one is not known. */
  isMax: boolean | null;
  /** Whether the configuration has a Super mode. */
  hasSuperMode: boolean;
  /** The mode that PM_CONFIG names; a board without a saved mode starts in it. */
  defaultId: number | null;
  /** The mode saved in /var/lib/nvpmodel/status. */
  savedId: number | null;
}

export interface PowerTexts {
  /** /etc/nvpmodel.conf */
  conf: string | null;
  /** /var/lib/nvpmodel/status */
  status: string | null;
  /** What `nvpmodel -q` said. */
  query: CurrentMode | null;
  /** The mode in the last line of `jetson_clocks --show`. */
  clocksMode: string | null;
}

export function identifyPower(texts: PowerTexts, board: Board | null, l4t: string | null): Power | null {
  const conf = parseModesConf(texts.conf ?? '');
  const savedId = parsePowerStatus(texts.status ?? '');
  const [told, source] = toldMode(texts, savedId);
  const { modes, isFromConf } = chooseModes(conf.modes, told, board, l4t);
  if (told === null && modes.length === 0) return null;
  const current = told === null ? null : complete(told, modes);
  const max = highestMode(modes);
  return {
    current,
    source,
    modes,
    isFromConf,
    max,
    isMax: current === null || max === null ? null : isSameMode(current, max),
    hasSuperMode: modes.some(({ name }) => isSuperName(name)),
    defaultId: conf.defaultId,
    savedId,
  };
}

function toldMode({ query, clocksMode }: PowerTexts, savedId: number | null): [CurrentMode | null, Power['source']] {
  if (query !== null) return [query, 'nvpmodel'];
  if (savedId !== null) return [{ id: savedId, name: null }, 'status file'];
  return clocksMode === null ? [null, null] : [{ id: null, name: clocksMode }, 'jetson_clocks'];
}

/** Names come with and without `MODE_`. */
export const sameName = (a: string, b: string) => plainName(a) === plainName(b);
const plainName = (name: string) => name.toUpperCase().replace(/^MODE_/, '');
const isSuperName = (name: string) => /^MAXN_SUPER$/.test(plainName(name));

/**
 * The board's own file, unless it has no mode of the current name: then it is not the active one, and NVIDIA's list for
 * the module stands in, the one that has the name.
 */
function chooseModes(
  conf: PowerMode[],
  told: CurrentMode | null,
  board: Board | null,
  l4t: string | null,
): { modes: PowerMode[]; isFromConf: boolean } {
  const has = (modes: readonly { name: string }[]) => {
    const name = told?.name;
    return !name || modes.some((mode) => sameName(mode.name, name));
  };
  const tables = tablesOf(board, l4t);
  const named = (table: PowerTable) => table.modes.map((name, id) => ({ ...unlimited, id, name }));
  if (conf.length > 0 && has(conf)) return { modes: conf, isFromConf: true };
  const fitting = tables.map(named).find(has) ?? null;
  if (fitting === null) return { modes: conf.length > 0 ? conf : modesOfName(told), isFromConf: conf.length > 0 };
  return { modes: fitting, isFromConf: false };
}

/** Of a board that nothing else is known of: MAXN is the highest wherever there is one. */
function modesOfName(told: CurrentMode | null): PowerMode[] {
  const isMaxn = told?.name != null && /^MAXN(?:_SUPER)?$/.test(plainName(told.name));
  return isMaxn ? [{ ...unlimited, id: told.id ?? 0, name: told.name ?? '' }] : [];
}

const unlimited = { gpuMaxHz: null, emcMaxHz: null, gating: '', numCpus: null };

/** NVIDIA's lists for this module, the one of its flash first. */
function tablesOf(board: Board | null, l4t: string | null): PowerTable[] {
  const part = board?.partNumber ?? partOfName(board?.name ?? '');
  if (part === null) return [];
  const all = POWER_TABLES.filter(({ parts }) => parts.includes(part) || parts.includes(part.split('-')[0] ?? ''));
  const ofPart = all.some(({ parts }) => parts.includes(part)) ? all.filter(({ parts }) => parts.includes(part)) : all;
  const ofTime = ofPart.filter(({ from }) => from === undefined || l4t === null || compareVersions(l4t, from) >= 0);
  return ofTime.sort((a, b) => Number(b.isSuper === board?.isSuper) - Number(a.isSuper === board?.isSuper));
}

/** For boards known by their name alone (no device tree's compatible list, as in a container). */
function partOfName(name: string): string | null {
  const parts: [RegExp, string][] = [
    [/Thor|T4000/, 'p3834'],
    [/AGX Orin 32GB/, 'p3701-0004'],
    [/AGX Orin|IGX Orin/, 'p3701'],
    [/Orin NX 16GB/, 'p3767-0000'],
    [/Orin NX 8GB/, 'p3767-0001'],
    [/Orin NX/, 'p3767-0000'],
    [/Orin Nano 4GB/, 'p3767-0004'],
    [/Orin Nano/, 'p3767-0005'],
    [/Xavier NX/, 'p3668'],
    [/Xavier/, 'p2888'],
    [/Jetson Nano/, 'p3448'],
    [/TX2/, 'p3310'],
  ];
  return parts.find(([pattern]) => pattern.test(name))?.[1] ?? null;
}

function complete(told: CurrentMode, modes: PowerMode[]): CurrentMode {
  const byName = modes.find((mode) => told.name !== null && sameName(mode.name, told.name));
  const byId = modes.find((mode) => mode.id === told.id);
  return { id: told.id ?? byName?.id ?? null, name: told.name ?? byId?.name ?? null };
}

const isSameMode = (current: CurrentMode, mode: PowerMode) =>
  current.name === null ? current.id === mode.id : sameName(current.name, mode.name);

/**
 * By name: MAXN_SUPER, else MAXN, else the most watts among the modes with the highest GPU ceiling (25W of an Orin NX has
 * more watts than MAXN's budget, but a GPU of 408 MHz), then the most cores.
 */
export function highestMode(modes: readonly PowerMode[]): PowerMode | null {
  const named = (name: string) => modes.find((mode) => plainName(mode.name) === name);
  const maxn = named('MAXN_SUPER') ?? named('MAXN') ?? modes.find(({ name }) => /^MAXN/.test(plainName(name)));
  if (maxn !== undefined) return maxn;
  const rank = (mode: PowerMode) => [mode.gpuMaxHz ?? 0, watts(mode.name), cores(mode)];
  return modes.reduce<PowerMode | null>(
    (best, mode) => (best === null || isAbove(rank(mode), rank(best)) ? mode : best),
    null,
  );
}

const watts = (name: string) => Number(/(\d+)\s*W(?![a-z])/i.exec(name)?.[1] ?? 0);
const cores = ({ name, numCpus }: PowerMode) =>
  numCpus ?? Number(/(\d+)CORE/i.exec(name)?.[1] ?? (/_ALL$/i.test(name) ? 99 : 0));

function isAbove(a: number[], b: number[]): boolean {
  const i = a.findIndex((value, at) => value !== b[at]);
  return i >= 0 && (a[i] ?? 0) > (b[i] ?? 0);
}
