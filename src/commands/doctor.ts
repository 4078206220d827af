/** `jsg doctor`: is this machine ready? Looks, and changes nothing unless --fix is given. */
import { existsSync, readdirSync, statfsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { loadBinding } from '../addon/binding.js';
import { probeMachine } from '../device/machine.js';
import { smOf } from '../device/modules.js';
import { probeBoard, probeMemory, probeToolchain } from '../device/probe.js';
import { type Python, probePython } from '../device/python.js';
import { parseTegraRelease } from '../device/release.js';
import { type Source, sourceUnder } from '../device/source.js';
import { jetsonIndexUrl } from '../doctor/checks/wheels-table.js';
import { examine, exitCodeOf } from '../doctor/examine.js';
import type { AddonFacts, Facts, StoreFacts } from '../doctor/facts.js';
import type { Finding } from '../doctor/finding.js';
import { toJson } from '../doctor/json.js';
import { formatFindings } from '../doctor/report.js';
import { ERRORS, JsgError, toJsgError } from '../errors.js';
import { modelCacheDirectory } from '../model/store.js';
import type { Settings } from '../profile/flags.js';
import { styleFor } from '../style.js';
import { checkFixOptions, type Examined, fix } from './doctor-fix.js';
import { explainLog } from './doctor-log.js';
import { profilesOf, readinessOf, speedOf } from './doctor-plan.js';
import type { Options } from './settings.js';

const COULD_NOT_LOOK = 2;
const NEXT = 'jsg launch --profile smollm2';

/** Exit code 0: nothing fails; 1: something does; 2: it could not look. */
export async function doctor(options: Options): Promise<number> {
  if (options.log !== undefined) return explainLog(String(options.log), Boolean(options.json));
  checkFixOptions(options);
  if (options.fix) return fix(options, () => examineMachine(options));
  const { facts, findings } = await examineMachine(options);
  if (options.json) process.stdout.write(`${JSON.stringify(toJson(facts, findings), null, 2)}\n`);
  else process.stdout.write(formatFindings(headline(facts), findings, NEXT, styleFor(process.stdout)));
  return exitCodeOf(findings);
}

async function examineMachine(options: Options): Promise<Examined> {
  try {
    const facts = await gatherFacts(options);
    return { facts, findings: examine(facts) };
  } catch (thrown) {
    const { code, message, hint } = toJsgError(thrown);
    if (ERRORS[code].exit === COULD_NOT_LOOK) throw thrown;
    // An exit code of 1 would say that something fails.
    const why = { ...(hint === undefined ? {} : { hint }), cause: thrown };
    throw new JsgError('E_USAGE', `could not look at this machine: ${message}`, why);
  }
}

function headline({ board, release, device }: Facts): string {
  const system = `${device.os?.name ?? device.platform}, kernel ${device.kernel}`;
  if (board === null && release.l4t === null) return `This is no Jetson: ${device.cpu.model}, ${system}`;
  const jetpack = release.jetpack === null ? 'JetPack not told' : `JetPack ${release.jetpack}`;
  return `${board?.name ?? 'Jetson'}, ${jetpack}, L4T ${release.l4t ?? 'not told'}, ${system}`;
}

/** The findings that a launch of these settings, called `subject`, has to know of. Never asks the network. */
export async function examineFor(subject: string, settings: Settings): Promise<Finding[]> {
  const facts = await gatherFacts({ torch: false, offline: true });
  return examine({ ...facts, profiles: [await readinessOf(subject, settings, facts), ...facts.profiles] });
}

async function gatherFacts(options: Options): Promise<Facts> {
  const source = sourceOf(options.root as string | undefined);
  const here = source.isHere;
  const [machine, toolchain, python, addon] = await Promise.all([
    probeMachine(source),
    here ? probeToolchain(source) : null,
    gatherPython(source, options),
    here ? probeAddon() : null,
  ]);
  const facts = { ...machine, toolchain, python, addon, store: here ? probeStore() : null };
  return {
    ...facts,
    speed: speedOf(machine),
    profiles: await profilesOf(machine, options.profile as string | undefined),
  };
}

/** A CUDA context with the libraries of torch; where less is free, a kernel could cost a running server its life. */
const LAUNCH_BYTES = 1.5 * 2 ** 30;

function gatherPython(source: Source, { torch, offline }: Options): Promise<Python> {
  const memory = probeMemory(source);
  const mayLaunch = source.isHere && (memory.availableBytes ?? 0) >= LAUNCH_BYTES;
  const soc = probeBoard(source, memory.totalBytes)?.soc ?? null;
  const l4t = parseTegraRelease(source.read('/etc/nv_tegra_release') ?? '');
  return probePython(source, {
    torch: torch === false ? 'files' : mayLaunch ? 'launch' : 'ask',
    indexUrl: source.isHere && !offline ? jetsonIndexUrl(l4t) : null,
    arch: soc === null ? null : smOf(soc),
  });
}

/** Throws E_USAGE where there is nothing to look at. */
function sourceOf(root: string | undefined): Source {
  if (root === undefined) return sourceUnder();
  if (!statSync(root, { throwIfNoEntry: false })?.isDirectory()) {
    throw new JsgError('E_USAGE', `--root: there is no folder ${root}`);
  }
  const source = sourceUnder(root);
  const isMachine = ['/etc', '/proc', '/sys', '/usr', '/var'].some((folder) => source.find(folder) !== null);
  if (isMachine) return source;
  throw new JsgError('E_USAGE', `--root: no files of a machine lie below ${root} (no etc, proc, sys, usr or var)`);
}

async function probeAddon(): Promise<AddonFacts> {
  try {
    const binding = await loadBinding();
    const gpu = binding.cudaDevice();
    const cudaDevice = gpu && `${gpu.name} (sm_${gpu.sm})`;
    return { fault: null, isas: binding.isas(), hasCuda: binding.hasCuda, cudaDevice };
  } catch (error) {
    const { message, hint } = toJsgError(error);
    return { fault: { message, hint: hint ?? null }, isas: [], hasCuda: false, cudaDevice: null };
  }
}

function probeStore(): StoreFacts {
  const path = modelCacheDirectory();
  return { path, hasDefaultModel: holdsModel(path), freeBytes: freeBytesAt(path) };
}

/** Whether the embedded default lies there, unpacked: a GGUF in a folder named after its checksum. */
function holdsModel(path: string): boolean {
  if (!existsSync(path)) return false;
  return readdirSync(path, { recursive: true }).some((name) => /^[0-9a-f]{16}\/SmolLM2[^/]*\.gguf$/.test(String(name)));
}

/** Free space where a folder is or would be made. */
function freeBytesAt(path: string): number | null {
  try {
    const { bavail, bsize } = statfsSync(path);
    return bavail * bsize;
  } catch {
    const parent = dirname(path);
    return parent === path ? null : freeBytesAt(parent);
  }
}
