/**
 * Wheels with all that they require, in one folder: from the index first, then by the user's pip for what it lacks. A package
 * compiled against CUDA never comes by pip, nor anything because the index is down: that would be a torch without CUDA.
 */
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { parseVersion } from '../device/python-version.js';
import { readWheelMetadata } from '../device/wheel-file.js';
import { indexTable } from '../device/wheel-index.js';
import { parseWheelName } from '../device/wheel-name.js';
import { normaliseName, parseRequirement, type Requirement } from '../device/wheels-versions.js';
import { JsgError } from '../errors.js';
import { hasSha256 } from '../files.js';
import type { DownloadProgress } from './download.js';
import type { JetsonIndex } from './jetson-index.js';
import type { LockedPackage, LockFile } from './lock.js';
import { pipDownload } from './pip-download.js';
import { parseSpecifiers, satisfies } from './specifier.js';
import type { Target } from './tags.js';

export interface WheelhouseOptions {
  /** Null: pip's configuration alone. */
  index: JetsonIndex | null;
  target: Target;
  /** Where the wheels go. */
  directory: string;
  /** What was taken before: taken again, or refused where it is another file now. */
  lock: LockFile | null;
  /** Where the lock is, for messages. */
  lockPath: string;
  /** The interpreter whose pip is asked; null: none is. */
  python: string | null;
  signal?: AbortSignal;
  onProgress?: (progress: DownloadProgress) => void;
}

interface Wanted extends Requirement {
  /** Normalised: `torch` of `accelerate[torch]`. */
  extras: string[];
}

interface Taken extends LockedPackage {
  metadata: string;
  requires: Wanted[];
}

/** A package whose choice was changed so often has requirements that contradict each other. */
const MAX_CHOICES = 20;

/**
 * The wheels, verified, in `directory`: those of `requirements` (`torch==2.8.0`) and all that they require. Throws E_NOT_FOUND,
 * E_DOWNLOAD_FAILED, E_CHECKSUM_MISMATCH, E_USAGE (the lock holds another version than is wanted).
 */
export async function gatherWheels(requirements: string[], options: WheelhouseOptions): Promise<LockedPackage[]> {
  await mkdir(options.directory, { recursive: true });
  const roots = requirements.map((text) => readRequirement(text, options.target));
  const taken = await close(roots, options);
  const names = reachable(roots, taken);
  return [...taken.values()]
    .filter(({ name }) => names.has(name))
    .map(({ requires: _, metadata: __, ...entry }) => entry);
}

/** Leaves nothing else in the folder for pip to find, nor what a kill has left half-fetched. */
export async function removeOthers(directory: string, kept: string[]): Promise<void> {
  for (const name of await readdir(directory)) {
    if (!kept.includes(name)) await rm(join(directory, name), { recursive: true, force: true });
  }
}

function readRequirement(text: string, target: Target): Wanted {
  const found = parseWanted(text, target, []);
  if (found !== null && parseSpecifiers(found.specifier) !== null) return found;
  throw new JsgError('E_USAGE', `'${text}' is no requirement`, { hint: "Like torch, 'torch>=2.4' or torch==2.8.0." });
}

/** Takes what is required until nothing is missing; a choice that a later requirement does not allow is made again. */
async function close(roots: Wanted[], options: WheelhouseOptions): Promise<Map<string, Taken>> {
  const taken = new Map<string, Taken>();
  const wanted = new Map<string, Set<string>>();
  const extras = new Map<string, Set<string>>();
  const choices = new Map<string, number>();
  const queue = [...roots];
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const { name, specifier } = next;
    const specifiers = wanted.get(name) ?? new Set();
    wanted.set(name, specifiers);
    if (specifier !== '') specifiers.add(specifier);
    const all = [...specifiers].join(',');
    const wantedExtras = extras.get(name) ?? new Set();
    extras.set(name, wantedExtras);
    const isNew = next.extras.some((extra) => !wantedExtras.has(extra));
    for (const extra of next.extras) wantedExtras.add(extra);
    const before = taken.get(name);
    if (before !== undefined && isMet(before.version, all)) {
      if (isNew) before.requires = requiresOf(before.metadata, options.target, [...wantedExtras]);
      if (isNew) queue.push(...before.requires);
      continue;
    }
    const count = (choices.get(name) ?? 0) + 1;
    choices.set(name, count);
    if (count > MAX_CHOICES) throw new JsgError('E_NOT_FOUND', `${name}: nothing meets ${all}`);
    const entry = await take(name, all, options);
    const metadata = metadataOf(entry, options);
    const found = { ...entry, metadata, requires: requiresOf(metadata, options.target, [...wantedExtras]) };
    taken.set(name, found);
    queue.push(...found.requires);
  }
  return taken;
}

function isMet(version: string, specifier: string): boolean {
  const parsed = parseVersion(version);
  return parsed !== null && satisfies(parsed, parseSpecifiers(specifier) ?? [], version);
}

async function take(name: string, specifier: string, options: WheelhouseOptions): Promise<LockedPackage> {
  const pin = options.lock?.packages.find((entry) => entry.name === name);
  if (pin !== undefined && !isMet(pin.version, specifier)) {
    throw new JsgError(
      'E_USAGE',
      `${options.lockPath} holds ${name} ${pin.version}, and ${name}${specifier} is wanted`,
      {
        hint: `Remove ${name} from it to choose anew.`,
      },
    );
  }
  return pin === undefined ? choose(name, specifier, options) : takeAgain(pin, options);
}

/** What stands above the description. */
function metadataOf({ filename }: LockedPackage, { directory }: WheelhouseOptions): string {
  const metadata = readWheelMetadata(join(directory, filename));
  if (metadata !== null) return metadata.split(/\r?\n\r?\n/)[0] ?? '';
  throw new JsgError('E_DOWNLOAD_FAILED', `${filename} is no whole wheel`, {
    hint: 'Its hash is right, so whoever offers it has a broken file: name another version or mirror.',
  });
}

async function choose(name: string, specifier: string, options: WheelhouseOptions): Promise<LockedPackage> {
  const { index, directory, signal, onProgress } = options;
  const requirement = `${name}${specifier}`;
  if (index !== null) {
    try {
      const [best] = await index.find(requirement, { ...(signal && { signal }) });
      if (best === undefined || best.sha256 === null) throw new JsgError('E_NOT_FOUND', `${requirement}: not there`);
      await index.download(best, directory, { ...(signal && { signal }), ...(onProgress && { onProgress }) });
      return { name, version: best.version, filename: best.filename, url: best.url, sha256: best.sha256 };
    } catch (error) {
      const isAbsent = error instanceof JsgError && error.code === 'E_NOT_FOUND';
      if (!isAbsent || !mayComeByPip(name)) throw error;
    }
  }
  return byPip(requirement, name, null, options);
}

/** What the lock names: the file that is here, or the same one again. */
async function takeAgain(pin: LockedPackage, options: WheelhouseOptions): Promise<LockedPackage> {
  const { index, lock, directory, signal, onProgress } = options;
  if (await hasSha256(join(directory, pin.filename), pin.sha256, signal)) return pin;
  const requirement = `${pin.name}==${pin.version}`;
  if (index === null || pin.url === null) return byPip(requirement, pin.name, pin.sha256, options);
  const [found] = await index.find(requirement, { lock, ...(signal && { signal }) });
  if (found === undefined) throw new JsgError('E_NOT_FOUND', `${requirement}: not there`);
  await index.download(found, directory, { ...(signal && { signal }), ...(onProgress && { onProgress }) });
  return pin;
}

async function byPip(requirement: string, name: string, sha256: string | null, options: WheelhouseOptions) {
  const { target, directory, python, signal } = options;
  if (python === null) throw new JsgError('E_NOT_FOUND', requirement);
  options.onProgress?.({ file: `${requirement} by pip`, doneBytes: 0, totalBytes: null });
  const found = await pipDownload({ requirement, sha256, target, directory, python, ...(signal && { signal }) });
  const version = parseWheelName(found.filename)?.version ?? '';
  return { name, version, filename: found.filename, url: null, sha256: found.sha256 };
}

/** NVIDIA's libraries for torch of the public index are of a CUDA that no Jetson has. */
const mayComeByPip = (name: string) => !indexTable().cuda_packages.includes(name) && !name.startsWith('nvidia-');

function parseWanted(text: string, { python, machine }: Target, extras: string[]): Wanted | null {
  const found = parseRequirement(text, { pythonVersion: python, machine, extras });
  const named = /^\s*[\w.-]+\s*\[([^\]]*)\]/.exec(text)?.[1] ?? '';
  const asked = named.split(',').map((extra) => normaliseName(extra.trim()));
  return found === null ? null : { ...found, extras: asked.filter(Boolean) };
}

/** `extras`: of the package itself, that are asked for. */
function requiresOf(metadata: string, target: Target, extras: string[]): Wanted[] {
  return metadata.split(/\r?\n/).flatMap((line) => {
    const text = /^Requires-Dist:(.*)$/i.exec(line)?.[1];
    const found = text === undefined ? null : parseWanted(text, target, extras);
    if (found === null) return [];
    // What an old package wrote loosely is left for pip to judge.
    return parseSpecifiers(found.specifier) === null ? { ...found, specifier: '' } : found;
  });
}

/** Names that are still required once all choices are made. */
function reachable(roots: Wanted[], taken: Map<string, Taken>): Set<string> {
  const names = new Set<string>();
  const visit = ({ name }: Wanted) => {
    if (names.has(name)) return;
    names.add(name);
    for (const next of taken.get(name)?.requires ?? []) visit(next);
  };
  for (const root of roots) visit(root);
  return names;
}
