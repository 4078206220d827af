/** manifest.json of a bundle: what it holds, for which platform, and the sha256 of each file. */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { JsgError } from '../errors.js';
import { hasSha256, writeAtomically } from '../files.js';

const fileSchema = z.strictObject({
  /** Relative to the bundle. */
  path: z.string().regex(/^(?!\/)(?!.*(?:^|\/)\.\.(?:\/|$))[^\\]+$/),
  /** `native`: what jsg's own runtime is compiled with. */
  kind: z.enum(['wheel', 'source-package', 'git-source', 'native', 'model', 'npm']),
  name: z.string(),
  /** Of a git source its tag; null: it has none. */
  version: z.string().nullable(),
  /** Full hash, of a git source. */
  commit: z.string().nullable(),
  /** Paths of the submodules that a git source holds. */
  submodules: z.array(z.string()),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  sizeBytes: z.number(),
});
const manifestSchema = z.strictObject({
  version: z.literal(1),
  /** Of jsg. */
  jsg: z.string(),
  /** Path of the index; null: a machine without one. */
  platform: z.string().nullable(),
  /** `3.10` */
  python: z.string(),
  /** The kernel's name: `aarch64`. */
  machine: z.string(),
  profile: z.string(),
  variant: z.string(),
  recipes: z.array(z.string()),
  files: z.array(fileSchema),
  /** What could not be had. */
  missing: z.array(z.strictObject({ what: z.string(), why: z.string() })),
});

export type Manifest = z.infer<typeof manifestSchema>;
export type BundleFile = Manifest['files'][number];

export const MANIFEST = 'manifest.json';

export function writeManifest(directory: string, manifest: Manifest): void {
  const files = [...manifest.files].sort((a, b) => (a.path < b.path ? -1 : 1));
  writeAtomically(join(directory, MANIFEST), `${JSON.stringify({ ...manifest, files }, null, 2)}\n`);
}

/** Null: there is none, or it is not whole. */
export function readManifest(directory: string): Manifest | null {
  try {
    return manifestSchema.parse(JSON.parse(readFileSync(join(directory, MANIFEST), 'utf8')));
  } catch {
    return null;
  }
}

/** Throws E_USAGE where there is no finished bundle. */
export function openBundle(directory: string): Manifest {
  const stat = statSync(directory, { throwIfNoEntry: false });
  if (stat?.isFile()) {
    throw new JsgError('E_USAGE', `--bundle: ${directory} is a file, and a folder is taken`, {
      hint: `tar -xf ${directory}   # then name the folder that it holds`,
    });
  }
  if (stat === undefined) throw new JsgError('E_USAGE', `--bundle: there is no folder ${directory}`);
  const manifest = readManifest(directory);
  if (manifest !== null) return manifest;
  const hint = 'jsg bundle, started again with the same --output, goes on where it was ended.';
  const why = statSync(join(directory, MANIFEST), { throwIfNoEntry: false }) ? 'a damaged' : 'no';
  throw new JsgError('E_USAGE', `--bundle: ${directory} has ${why} ${MANIFEST}: it is no bundle, or not finished`, {
    hint,
  });
}

/** Where it is to be installed. */
export interface Place {
  platform: string | null;
  python: string | null;
  machine: string;
}

/** Throws E_DEVICE_UNSUITABLE where the bundle was gathered for another platform. */
export function requirePlace(directory: string, manifest: Manifest, place: Place): void {
  const differs = (['platform', 'machine', 'python'] as const).filter((key) => manifest[key] !== place[key]);
  if (differs.length === 0) return;
  const names = { platform: 'the index path', machine: 'the processor', python: 'Python' };
  const faults = differs.map(
    (key) => `${names[key]} is ${place[key] ?? 'none'} here, ${manifest[key] ?? 'none'} there`,
  );
  throw new JsgError('E_DEVICE_UNSUITABLE', `the bundle ${directory} is for another machine: ${faults.join('; ')}`, {
    hint: `Gather one for this machine: jsg bundle --profile ${manifest.profile}${place.platform === null ? '' : ` --platform ${place.platform}`} --output DIR`,
  });
}

/** Throws E_CHECKSUM_MISMATCH that names every file that is damaged or gone. */
export async function verifyFiles(directory: string, files: BundleFile[], signal?: AbortSignal): Promise<void> {
  const bad: string[] = [];
  for (const { path, sha256 } of files) {
    const isHere = statSync(join(directory, path), { throwIfNoEntry: false })?.isFile() === true;
    if (!isHere) bad.push(`${path} is not there`);
    else if (!(await hasSha256(join(directory, path), sha256, signal))) bad.push(`${path} is damaged`);
  }
  if (bad.length === 0) return;
  throw new JsgError('E_CHECKSUM_MISMATCH', `the bundle ${directory}: ${bad.join('; ')}`, {
    hint: 'Copy it once more, or start jsg bundle again with the same --output where it was made: it mends what is damaged.',
  });
}
