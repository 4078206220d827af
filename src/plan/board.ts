/** Finding a board and a mode by what a person typed or a machine tells, and what a mode makes of the board. Pure. */
import { JsgError } from '../errors.js';
import { nearest } from '../nearest.js';
import { BOARDS, type BoardSpec, type PowerMode } from './boards.js';

/** `Jetson AGX Orin (64 GB)` -> `agx-orin-64gb` */
function toId(text: string): string {
  return text
    .toLowerCase()
    .replace(/nvidia|jetson|developer kit|devkit/g, ' ')
    .replace(/\b(\d+) ?gi?b?\b/g, '$1gb')
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .replace(/-(\d+)$/, '-$1gb');
}

/** Throws E_USAGE with the nearest name. */
export function findBoard(name: string): BoardSpec {
  const id = toId(name);
  const found = BOARDS.find(({ id: known, aliases }) => known === id || aliases.includes(id));
  if (found !== undefined) return found;
  const ids = BOARDS.map((board) => board.id);
  const near = nearest(id, ids);
  throw new JsgError('E_USAGE', `--board: '${name}' is not known; known are ${ids.join(', ')}`, {
    hint: near === null ? 'Leave --board out for this machine.' : `Did you mean --board ${near}?`,
  });
}

const isNamed = ({ id, aliases }: BoardSpec, name: string) =>
  [id, ...aliases].some((known) => known === name || known === `${name}-super`);

export interface BoardIdentity {
  /** `p3767-0005` */
  partNumber: string | null;
  isSuper: boolean;
  /** MemTotal; tells the sizes of one part number apart. 0: not known. */
  memoryBytes: number;
  /** `Jetson Orin Nano 8GB`: where no part number is told, as in a container. */
  name?: string;
}

/** The board that a machine is; null: none of those known. */
export function boardOf({ partNumber, isSuper, memoryBytes, name }: BoardIdentity): BoardSpec | null {
  const id = toId(name ?? '');
  const ofPart = BOARDS.filter((board) =>
    partNumber === null ? isNamed(board, id) : board.partNumbers.includes(partNumber),
  );
  const candidates = ofPart.some((board) => board.isSuper === isSuper)
    ? ofPart.filter((board) => board.isSuper === isSuper)
    : ofPart;
  const large = candidates.filter((board) => board.ramGib * 2 ** 30 >= memoryBytes);
  return large.sort((a, b) => a.ramGib - b.ramGib)[0] ?? null;
}

/** By name, with and without `MODE_`, or by id; throws E_USAGE naming the modes there are. */
export function findMode(board: BoardSpec, name: string | null): PowerMode {
  const plain = (text: string) => text.toUpperCase().replace(/^MODE_/, '');
  const found =
    name === null
      ? board.modes[0]
      : board.modes.find((mode) => plain(mode.name) === plain(name) || String(mode.id) === name);
  if (found !== undefined) return found;
  const names = board.modes.map((mode) => mode.name).join(', ');
  throw new JsgError('E_USAGE', `--power-mode: ${board.name} has no mode '${name}'; it has ${names}`);
}

/** Clocks that bound a machine: of a mode, or read from one that runs. Null: not known. */
export type ClockBounds = Pick<PowerMode, 'gpuMhz' | 'numSms' | 'emcMhz'>;

/** What a machine can do at most. Null: not known. */
export interface Rates {
  /** Reading memory. */
  bandwidthGBs: number | null;
  /** Whether that was read on this machine or is what the memory could do on paper. */
  bandwidthIs: 'nominal' | 'measured';
  /** Dense. */
  fp16Tflops: number | null;
  int8Tops: number | null;
  watts: number | null;
}

export const UNKNOWN_RATES: Rates = {
  bandwidthGBs: null,
  bandwidthIs: 'nominal',
  fp16Tflops: null,
  int8Tops: null,
  watts: null,
};

/** Memory is read at the share of its nominal rate that the memory clock leaves. */
export function ratesOf(board: BoardSpec, clocks: ClockBounds, watts: number | null): Rates {
  const { gpuMhz, numSms, emcMhz } = clocks;
  const clocksPerSecond = gpuMhz === null || numSms === null ? null : gpuMhz * 1e6 * numSms;
  return {
    bandwidthGBs: emcMhz === null ? null : board.nominalGBs * Math.min(1, emcMhz / board.emcMhz),
    bandwidthIs: 'nominal',
    fp16Tflops: clocksPerSecond === null ? null : (clocksPerSecond * board.fp16PerSmClock) / 1e12,
    int8Tops: clocksPerSecond === null ? null : (clocksPerSecond * board.int8PerSmClock) / 1e12,
    watts,
  };
}
