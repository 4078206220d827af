/** What the byte model tells the doctor: what a power mode costs, and whether profiles fit. */
import type { Machine } from '../device/machine.js';
import { sameName } from '../device/power.js';
import type { ProfileFacts, SpeedFacts } from '../doctor/facts.js';
import { toJsgError } from '../errors.js';
import { boardOf, ratesOf } from '../plan/board.js';
import type { BoardSpec } from '../plan/boards.js';
import { findModel, tensorsOf } from '../plan/find-model.js';
import { machineOfBoard, machineOfThis, type PlanMachine } from '../plan/machine.js';
import { makePlan } from '../plan/plan.js';
import { knownModel } from '../plan/shapes.js';
import type { Settings } from '../profile/flags.js';
import { listProfiles, loadProfile, type Profile } from '../profile/profile.js';
import { resolveSettings } from '../profile/resolve.js';
import { requireSuitable } from '../profile/suitability.js';

/** The documented model and format whose speed says most about a board. */
const MODEL = 'meta-llama/Llama-3.1-8B-Instruct';
const WORKLOAD = { name: 'an 8B model in int4', quant: 'int4wo-128' } as const;

/** Null where the board's bandwidth is not known. */
export function speedOf({ device, power, clocks }: Machine): SpeedFacts | null {
  if (device.jetson === null) return null;
  const { partNumber, isSuper } = device.jetson;
  const known = (asSuper: boolean) => boardOf({ partNumber, isSuper: asSuper, memoryBytes: device.memory.totalBytes });
  const board = known(isSuper);
  if (board === null) return null;
  const asSuper = isSuper ? null : known(true);
  return {
    workload: WORKLOAD.name,
    now: decodeIn(board, power?.current?.name ?? null, clocks?.emcMaxHz ?? null),
    atMax: decodeIn(board, power?.max?.name ?? null),
    afterSuper: asSuper?.isSuper ? decodeIn(asSuper, asSuper.modes[0]?.name ?? null) : null,
  };
}

/**
 * Tokens a second of one stream; null: the mode, or its memory clock, is not known. `emcHz`: the ceiling of the memory's
 * clock that was read, where it is lower than the mode's.
 */
function decodeIn(board: BoardSpec, modeName: string | null, emcHz: number | null = null): number | null {
  const mode = board.modes.find(({ name }) => modeName !== null && sameName(name, modeName));
  const shape = knownModel(MODEL);
  if (mode === undefined || shape === null) return null;
  const model = { name: MODEL, source: 'known shape' as const, path: null, ...tensorsOf(shape) };
  const { settings } = resolveSettings(null, GPU, { device: 'cuda', 'torchao-config': WORKLOAD.quant });
  const nominal = machineOfBoard(board, { mode: mode.name, headless: true });
  const emcMhz = emcHz === null || mode.emcMhz === null ? mode.emcMhz : Math.min(mode.emcMhz, emcHz / 1e6);
  const machine = { ...nominal, rates: ratesOf(board, { ...mode, emcMhz }, mode.watts) };
  return makePlan({ model, settings, streams: 1, machine }).decode[0]?.tokensPerSecond ?? null;
}

/** All that resolving asks of a device. */
const GPU = { gpu: { name: '', driver: null, cudaVersion: null, memoryBytes: null } } as Machine['device'];

/** `asked`: the profile of --profile, by name or path; it throws where that is not one. */
export async function profilesOf(machine: Machine, asked: string | undefined): Promise<ProfileFacts[]> {
  const chosen = asked === undefined ? [] : [await readinessOfProfile(loadProfile(asked), machine, true)];
  const all = await Promise.all(listProfiles().map((path) => documented(path, machine)));
  const others = all.filter((facts) => facts !== null).filter(({ name }) => name !== chosen[0]?.name);
  return [...chosen, ...others];
}

/** Only a profile with a documented figure is one to judge a board by; null for others, and for broken files. */
async function documented(path: string, machine: Machine): Promise<ProfileFacts | null> {
  try {
    const profile = loadProfile(path);
    return profile.reference === null ? null : await readinessOfProfile(profile, machine, false);
  } catch {
    return null;
  }
}

async function readinessOfProfile(profile: Profile, machine: Machine, isAsked: boolean): Promise<ProfileFacts> {
  const { settings } = resolveSettings(profile, machine.device, {});
  const refusal = refusalOf(profile, settings, machine);
  return { ...(await readinessOf(profile.name, settings, machine)), isAsked, refusal };
}

/** Whether settings fit this machine; asked for under the name that a finding is to call them. */
export async function readinessOf(name: string, settings: Settings, machine: Machine): Promise<ProfileFacts> {
  const facts = { name, isAsked: true, needsCuda: settings.device === 'cuda', refusal: null };
  try {
    const target = planMachine(machine);
    const model = await findModel(settings);
    const { loadPeak } = makePlan({ model, settings, streams: 1, machine: target });
    return {
      ...facts,
      neededBytes: loadPeak,
      availableBytes: target.availableBytes,
    };
  } catch {
    return { ...facts, neededBytes: null, availableBytes: null };
  }
}

function planMachine(machine: Machine): PlanMachine {
  const bytes = machine.device.gpu?.memoryBytes ?? null;
  const gpuMemory = bytes === null ? null : { totalBytes: bytes, freeBytes: bytes };
  return machineOfThis(machine, { bandwidthGBs: null, gpuMemory, notes: [] });
}

function refusalOf({ name }: Profile, settings: Settings, { device }: Machine): string | null {
  try {
    requireSuitable(`profile ${name}`, settings, device);
    return null;
  } catch (error) {
    return toJsgError(error).message;
  }
}
