/** What a result says about where and with what it was measured. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readlinkSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { probePackages } from '../device/packages.js';
import { probeDevice } from '../device/probe.js';
import { identifyRelease } from '../device/release.js';
import type { Source } from '../device/source.js';
import { sha256OfFile } from '../files.js';
import { packageRoot, version } from '../version.js';
import type { BoardFacts, Common } from './result.js';

/** `root`: of a copied machine; `/` is this one. */
export function boardFacts(source: Source, root: string): BoardFacts {
  const { cpu, gpu, jetson, kernel, memory, os } = probeDevice(root);
  const release = identifyRelease(source.read('/etc/nv_tegra_release'), probePackages(source));
  const cores = cpu.numCores === 0 ? '' : `, ${cpu.numCores} cores`;
  return {
    name: jetson?.name ?? (gpu === null ? `${cpu.model}${cores}` : gpu.name),
    partNumber: jetson?.partNumber ?? null,
    l4t: release.l4t,
    jetpack: release.jetpack,
    os: os?.name ?? null,
    kernel,
    cpu: cpu.model,
    numCores: cpu.numCores,
    memoryBytes: memory.totalBytes,
    gpu: gpu?.name ?? null,
    driver: gpu?.driver ?? null,
    cuda: gpu?.cudaVersion ?? null,
  };
}

export async function softwareFacts({ run }: Pick<Source, 'run'>): Promise<Common['jsg']> {
  const isCheckout = existsSync(join(packageRoot, '.git'));
  const said = isCheckout
    ? await run('git', ['-C', packageRoot, 'describe', '--always', '--dirty', '--abbrev=12'])
    : null;
  const commit = said?.code === 0 ? said.stdout.trim() : null;
  return { version: version(), commit: commit || null, node: process.version };
}

/** Files of the weights: a .gguf file, or the safetensors in a folder. */
export function weightFiles(path: string): string[] {
  if (statSync(path).isFile()) return [path];
  return readdirSync(path)
    .filter((name) => /\.(safetensors|gguf)$/.test(name))
    .sort()
    .map((name) => join(path, name));
}

/**
 * Of one file its sha256, as `sha256sum` prints it; of several that of the text that `sha256sum` prints for them, names without
 * folders. Null: there are none. Throws what reading throws.
 */
export async function hashModel(path: string, signal: AbortSignal): Promise<Common['modelHash']> {
  const files = weightFiles(path);
  const hashes = [];
  for (const file of files) hashes.push({ name: basename(file), sha256: await hashFile(file, signal) });
  const [first, ...others] = hashes;
  if (first === undefined) return null;
  if (others.length === 0) return { sha256: first.sha256, of: first.name };
  const list = hashes.map(({ name, sha256 }) => `${sha256}  ${name}\n`).join('');
  return { sha256: createHash('sha256').update(list).digest('hex'), of: `sha256sum of ${hashes.length} files` };
}

/** Files of the hub's cache are links to blobs that are named by their hash. */
async function hashFile(file: string, signal: AbortSignal): Promise<string> {
  try {
    const blob = basename(readlinkSync(file));
    if (/^[0-9a-f]{64}$/.test(blob)) return blob;
  } catch {
    // no link
  }
  return sha256OfFile(file, signal);
}
