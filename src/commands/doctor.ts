/** `jsg doctor`: is this machine ready? Looks, changes nothing. */
import { existsSync, readdirSync, statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { loadBinding } from '../addon/binding.js';
import { probeDevice, probeToolchain } from '../device/probe.js';
import { examine, exitCodeOf } from '../doctor/examine.js';
import type { AddonFacts, Facts, StoreFacts } from '../doctor/facts.js';
import type { Finding } from '../doctor/finding.js';
import { formatFindings } from '../doctor/report.js';
import { JsgError, toJsgError } from '../errors.js';
import { modelCacheDirectory } from '../model/store.js';
import { styleFor } from '../style.js';
import type { Options } from './settings.js';

export async function doctor(options: Options): Promise<number> {
  const root = options.root as string | undefined;
  if (root !== undefined && !existsSync(root)) throw new JsgError('E_USAGE', `--root: there is no folder ${root}`);
  const facts: Facts =
    root === undefined
      ? { device: probeDevice(), toolchain: probeToolchain(), addon: await probeAddon(), store: probeStore() }
      : { device: probeDevice(root), toolchain: null, addon: null, store: null };
  const findings = examine(facts);
  if (options.json) process.stdout.write(`${JSON.stringify(toJson(facts, findings), null, 2)}\n`);
  else process.stdout.write(formatFindings(findings, styleFor(process.stdout)));
  return exitCodeOf(findings);
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

function toJson({ device }: Facts, checks: Finding[]) {
  const { jetson, os, kernel } = device;
  return {
    os: os?.name ?? device.platform,
    kernel,
    board: jetson && { name: jetson.model, part_number: jetson.partNumber, soc: jetson.soc },
    l4t: jetson?.l4t ?? null,
    cpu: { model: device.cpu.model, cores: device.cpu.numCores, usable_cores: device.cpu.usableCores },
    memory: { total_bytes: device.memory.totalBytes, available_bytes: device.memory.availableBytes },
    gpu: device.gpu && { name: device.gpu.name, driver: device.gpu.driver, memory_bytes: device.gpu.memoryBytes },
    checks,
  };
}
