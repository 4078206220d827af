/** `jsg plan`: will it fit, and how fast will it be? Looks, downloads and changes nothing. */
import { existsSync } from 'node:fs';
import { loadBinding } from '../addon/binding.js';
import type { Device } from '../device/device.js';
import { type Machine, probeMachine } from '../device/machine.js';
import { sourceUnder } from '../device/source.js';
import { JsgError, toJsgError } from '../errors.js';
import { nearest } from '../nearest.js';
import { findBoard } from '../plan/board.js';
import type { BoardSpec } from '../plan/boards.js';
import { findModel } from '../plan/find-model.js';
import { type Measured, machineOfBoard, machineOfThis, type PlanMachine } from '../plan/machine.js';
import { makePlan, type Plan } from '../plan/plan.js';
import { formatPlan, planToJson, verdictOf } from '../plan/report.js';
import { FLAGS, type Settings } from '../profile/flags.js';
import { chooseSettings, type Options } from './settings.js';

/** Exit codes of their own: a script asks whether it fits. */
const EXIT = { fits: 0, 'does not fit': 1, unknown: 2 } as const;

const MOST_STREAMS = 4096;

export async function plan(options: Options): Promise<number> {
  try {
    const made = await planFor(options);
    process.stdout.write(options.json ? `${JSON.stringify(planToJson(made), null, 2)}\n` : formatPlan(made));
    return EXIT[verdictOf(made)];
  } catch (thrown) {
    const { code, message, hint } = toJsgError(thrown);
    if (code === 'E_INTERNAL') throw thrown;
    if (options.json) {
      const document = { verdict: 'unknown', fits: null, error: { code, message, hint: hint ?? null } };
      process.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
    }
    process.stderr.write(`jsg: ${message}\n${hint === undefined ? '' : `     ${hint}\n`}`);
    return EXIT.unknown;
  }
}

async function planFor(options: Options): Promise<Plan> {
  const board = boardOption(options);
  const looked = board === null ? await lookAtThis(options) : null;
  const chosen = chooseSettings(options, looked?.device ?? withGpu(board)).settings;
  const settings = { ...chosen, 'torchao-config': quantOption(options, chosen['torchao-config']) };
  const request = { settings, streams: streamsOption(options) };
  const model = await findModel(settings);
  const machine =
    board === null ? await thisMachine(looked, settings, options) : machineOfBoard(board, boardOptions(options));
  return makePlan({ ...request, model, machine });
}

function boardOption({ board, this: isThis, root, powerMode, desktop }: Options): BoardSpec | null {
  if (board === undefined) {
    const stray = powerMode !== undefined ? '--power-mode' : desktop === false ? '--no-desktop' : null;
    if (stray === null) return null;
    throw new JsgError('E_USAGE', `${stray} goes with --board`, { hint: 'This machine is taken as it is.' });
  }
  if (isThis === true || root !== undefined) {
    throw new JsgError('E_USAGE', `--board ${board} and ${isThis ? '--this' : '--root'} exclude each other`);
  }
  return findBoard(String(board));
}

const boardOptions = ({ powerMode, desktop }: Options) => ({
  mode: (powerMode as string | undefined) ?? null,
  headless: desktop === false,
});

/** `--quant` is `--torchao-config` by another name, with `none` to undo a profile's. */
function quantOption({ quant }: Options, ofProfile: Settings['torchao-config']): Settings['torchao-config'] {
  if (quant === undefined) return ofProfile;
  if (quant === 'none') return null;
  const { choices } = FLAGS['torchao-config'];
  const found = choices.find((choice) => choice === quant);
  if (found !== undefined) return found;
  const near = nearest(String(quant), choices);
  throw new JsgError('E_USAGE', `--quant: '${quant}' is not one of none, ${choices.join(', ')}`, {
    ...(near === null ? {} : { hint: `Did you mean --quant ${near}?` }),
  });
}

/** A device that a board's profile is resolved for: all that counts is that there is a GPU. */
function withGpu(board: BoardSpec | null): Device {
  const gpu = { name: board?.name ?? '', driver: null, cudaVersion: null, memoryBytes: null };
  return { gpu } as Device;
}

async function lookAtThis({ root }: Options): Promise<Machine> {
  if (root !== undefined && !existsSync(String(root))) {
    throw new JsgError('E_USAGE', `--root: there is no folder ${root}`);
  }
  return probeMachine(sourceUnder(root as string | undefined));
}

async function thisMachine(looked: Machine | null, settings: Settings, { root }: Options): Promise<PlanMachine> {
  if (looked === null) throw new JsgError('E_INTERNAL', 'no machine was looked at');
  const isBoard = looked.device.jetson !== null || root !== undefined;
  return machineOfThis(looked, isBoard ? NOTHING : await measureHere(settings.device === 'cuda' ? 'cuda' : 'cpu'));
}

const NOTHING: Measured = { bandwidthGBs: null, gpuMemory: null, notes: [] };
/** Larger than any cache, small enough to be read in a moment. */
const BANDWIDTH_BYTES = 256 * 2 ** 20;

async function measureHere(backend: 'cpu' | 'cuda'): Promise<Measured> {
  try {
    const binding = await loadBinding();
    const gpu = backend === 'cuda' ? binding.cudaDevice() : null;
    if (backend === 'cuda' && gpu === null)
      return { ...NOTHING, notes: ['CUDA finds no GPU here: nothing was measured'] };
    const bandwidthGBs = await binding.measureReadBandwidth(backend, BANDWIDTH_BYTES, 0);
    return { bandwidthGBs, gpuMemory: gpu === null || gpu.integrated ? null : gpu, notes: [] };
  } catch (error) {
    return { ...NOTHING, notes: [`nothing was measured: ${toJsgError(error).message}`] };
  }
}

function streamsOption({ streams }: Options): number {
  const count = /^\d+$/.test(String(streams ?? 1)) ? Number(streams ?? 1) : 0;
  if (count >= 1 && count <= MOST_STREAMS) return count;
  throw new JsgError('E_USAGE', `--streams: '${streams}' is not a whole number from 1 to ${MOST_STREAMS}`);
}
