/** What a plan is made for: a board as it is sold, or a machine that was looked at. Pure. */
import type { Machine } from '../device/machine.js';
import { JsgError } from '../errors.js';
import { boardOf, type ClockBounds, findMode, type Rates, ratesOf } from './board.js';
import type { BoardSpec } from './boards.js';

export interface PlanMachine {
  name: string;
  board: BoardSpec | null;
  /** Name of the power mode; null: there are none, or it is not known. */
  mode: string | null;
  clocks: ClockBounds | null;
  rates: Rates;
  /** The GPU shares the system's memory, or there is only that. */
  integrated: boolean;
  /** Where weights and KV cache go, all of it and what of it may be taken. */
  totalBytes: number;
  availableBytes: number;
  /** Of what is not available: the system's own, and the desktop's. Null: not told apart. */
  systemBytes: number | null;
  desktopBytes: number;
  /** What was taken for granted about it. */
  notes: string[];
}

const MIB = 2 ** 20;
/** Idle without a desktop: 620 to 645 MiB on an Orin Nano, 796 on an Orin NX, by tegrastats. */
const SYSTEM_BYTES = 700 * MIB;
/** What the idle desktop adds: 1585 MiB in use on an Orin Nano with it. */
const DESKTOP_BYTES = 900 * MIB;
/** Of the memory as sold, where no board of the kind was seen: as on an Orin Nano 8GB (7620 of 8192 MiB). */
const VISIBLE_SHARE = 0.93;

export interface BoardOptions {
  /** Null: the fastest. */
  mode: string | null;
  headless: boolean;
}

/** Throws E_USAGE for a mode that the board lacks. */
export function machineOfBoard(board: BoardSpec, { mode: name, headless }: BoardOptions): PlanMachine {
  const mode = findMode(board, name);
  return {
    name: board.name,
    board,
    mode: mode.name,
    clocks: mode,
    rates: ratesOf(board, mode, mode.watts),
    integrated: true,
    ...memoryOfBoard(board, headless),
    notes: [...memoryNotes(board, headless), ...clockNotes(board, mode)],
  };
}

/** Of an idle board. */
function memoryOfBoard({ memTotalMib, ramGib }: BoardSpec, headless: boolean): MemoryOf {
  const totalBytes = Math.floor(memTotalMib ?? ramGib * 1024 * VISIBLE_SHARE) * MIB;
  const desktopBytes = headless ? 0 : DESKTOP_BYTES;
  const availableBytes = totalBytes - SYSTEM_BYTES - desktopBytes;
  return { totalBytes, availableBytes, systemBytes: SYSTEM_BYTES, desktopBytes };
}

function memoryNotes({ memTotalMib }: BoardSpec, headless: boolean): string[] {
  const visible =
    memTotalMib === null
      ? `Linux sees ${Math.round(100 * VISIBLE_SHARE)} % of the memory as sold: no such board was looked at`
      : `Linux sees ${memTotalMib} MiB, as tegrastats of such a board says`;
  const desktop = headless ? '' : `, the desktop ${DESKTOP_BYTES / MIB}`;
  return [visible, `the system takes ${SYSTEM_BYTES / MIB} MiB${desktop} (idle boards)`];
}

/** What only running code can tell of a machine. Null: not known. */
export interface Measured {
  /** Read bandwidth, where the model is to run; GB/s. */
  bandwidthGBs: number | null;
  /** Of a GPU with memory of its own; null: there is none, or it shares the system's. */
  gpuMemory: { totalBytes: number; freeBytes: number } | null;
  /** Why something is not known. */
  notes?: string[];
}

export type Looked = Pick<Machine, 'device' | 'power' | 'clocks' | 'desktop'>;

/** Throws E_DEVICE_UNSUITABLE where nothing tells how much memory there is, nor which board it is. */
export function machineOfThis({ device, power, clocks, desktop }: Looked, measured: Measured): PlanMachine {
  const { memory, jetson, gpu, cpu } = device;
  const board = jetson && boardOf({ ...jetson, memoryBytes: memory.totalBytes });
  const current = power?.current ?? null;
  const mode = board?.modes.find(({ id, name }) => sameMode(name, current?.name ?? null) || id === current?.id) ?? null;
  const clockBounds: ClockBounds = {
    gpuMhz: toMhz(clocks?.gpuMaxHz) ?? mode?.gpuMhz ?? null,
    emcMhz: toMhz(clocks?.emcMaxHz) ?? mode?.emcMhz ?? null,
    numSms: mode?.numSms ?? null,
  };
  const { gpuMemory } = measured;
  const gpuName = gpu?.name ?? 'GPU';
  const memoryOf = memoryOfThis({ device, desktop }, gpuMemory, board);
  return {
    name: board?.name ?? jetson?.name ?? `this machine (${gpuMemory === null ? cpu.model : gpuName})`,
    board,
    mode: current?.name ?? mode?.name ?? null,
    clocks: board === null ? null : clockBounds,
    rates: board === null ? measuredRates(measured) : ratesOf(board, clockBounds, mode?.watts ?? null),
    integrated: gpuMemory === null,
    ...memoryOf,
    notes: [
      ...(measured.notes ?? []),
      ...(memoryOf.systemBytes === null ? [] : ['what is free is not told: as on an idle board of the kind']),
      ...(board === null ? [] : clockNotes(board, clockBounds)),
    ],
  };
}

const measuredRates = ({ bandwidthGBs }: Measured): Rates => ({
  bandwidthGBs,
  bandwidthIs: 'measured',
  fp16Tflops: null,
  int8Tops: null,
  watts: null,
});

type MemoryOf = Pick<PlanMachine, 'totalBytes' | 'availableBytes' | 'systemBytes' | 'desktopBytes'>;

/** As it is now; where that is not told, as on an idle board of the kind. */
function memoryOfThis(
  { device: { memory }, desktop }: Pick<Looked, 'device' | 'desktop'>,
  gpuMemory: Measured['gpuMemory'],
  board: BoardSpec | null,
): MemoryOf {
  if (gpuMemory !== null) {
    const { totalBytes, freeBytes: availableBytes } = gpuMemory;
    return { totalBytes, availableBytes, systemBytes: null, desktopBytes: 0 };
  }
  const { totalBytes, availableBytes } = memory;
  if (totalBytes > 0 && availableBytes !== null) {
    return { totalBytes, availableBytes, systemBytes: null, desktopBytes: desktop.bytes };
  }
  if (board !== null) return memoryOfBoard(board, false);
  throw new JsgError('E_DEVICE_UNSUITABLE', 'nothing tells how much memory this machine has', {
    hint: 'Name the board: --board orin-nano-8gb, for one.',
  });
}

const toMhz = (hz: number | null | undefined) => (hz === null || hz === undefined ? null : hz / 1e6);
const sameMode = (a: string, b: string | null) =>
  b !== null && a.replace(/^MODE_/i, '').toUpperCase() === b.replace(/^MODE_/i, '').toUpperCase();

/** What is to be said of clocks that are not known, or of a GPU that the CUDA backend has no kernels for. */
export function clockNotes(board: BoardSpec, { gpuMhz, emcMhz }: ClockBounds): string[] {
  return [
    ...(emcMhz === null ? ["the memory's clock in this mode is not known, so decoding is not predicted"] : []),
    ...(gpuMhz === null ? ["the GPU's clock in this mode is not known, so prefill is not predicted"] : []),
    ...(board.sm < 87
      ? [`jsg's CUDA backend has no kernels for sm_${board.sm}: bytes and rates are those of others`]
      : []),
  ];
}
