/**
 * The index of wheels for Jetson as a table: its addresses, whose path is which, what goes together. wheels/index.yaml, read
 * once; asking the index itself is src/registry.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { packageRoot } from '../version.js';
import { isJetson, type Machine } from './machine.js';
import { compareVersions } from './versions.js';

const cuda = z.array(z.string().regex(/^\d+\.\d+$/));
const lineSchema = z.strictObject({
  name: z.string(),
  /** First and last release of Jetson Linux. */
  l4t: z.tuple([z.string(), z.string()]),
  /** Before the CUDA: `jp6`; null: the index holds nothing for the line. */
  path: z.string().nullable(),
  /** What the index holds; the first is what the JetPack brings. */
  cuda,
  /** `3.10` */
  python: z.string(),
  glibc: z.string(),
  /** Known to work; null: none is. */
  torch: z.string().nullable().default(null),
  /** Whether there are recipes for it. */
  builds: z.boolean().default(false),
  warnings: z.array(z.string()).default([]),
});
const tableSchema = z.strictObject({
  mirrors: z.tuple([z.url()], z.url()),
  gone: z.array(z.string()),
  jetson: z.array(lineSchema),
  other: z.strictObject({
    torch: z.string().nullable(),
    paths: z.record(z.string(), z.strictObject({ path: z.string(), cuda })),
  }),
  cuda_packages: z.array(z.string()),
});

export type IndexTable = z.infer<typeof tableSchema>;
export type JetsonLine = z.infer<typeof lineSchema>;

let table: IndexTable | null = null;

export function indexTable(): IndexTable {
  table ??= tableSchema.parse(parse(readFileSync(join(packageRoot, 'wheels/index.yaml'), 'utf8')));
  return table;
}

/** The line of a release of Jetson Linux (`36.4.4`); null: a release that the table does not know. */
export function lineOf(l4t: string | null, { jetson }: IndexTable = indexTable()): JetsonLine | null {
  if (l4t === null) return null;
  const holds = ({ l4t: [first, last] }: JetsonLine) =>
    compareVersions(first, l4t) <= 0 && compareVersions(l4t, `${last}.99`) <= 0;
  return jetson.find(holds) ?? null;
}

/** What decides on the path. */
export interface PathFacts {
  /** Jetson Linux: `36.4.4`; null: no Jetson, or it is not told. */
  l4t: string | null;
  isJetson: boolean;
  hasGpu: boolean;
  /** The kernel's name of the processor: `aarch64`. */
  machine: string;
  /** CUDA toolkit, or what the driver takes: `12.6`; null: not known. */
  cuda: string | null;
}

/** `jp6/cu126`; null: the index holds nothing for this machine. */
export function platformPath(facts: PathFacts, known: IndexTable = indexTable()): string | null {
  if (facts.isJetson) {
    const line = lineOf(facts.l4t, known);
    return line?.path == null ? null : compose(line.path, pickCuda(line.cuda, facts.cuda) ?? line.cuda[0]);
  }
  const entry = facts.hasGpu ? known.other.paths[facts.machine] : undefined;
  return entry === undefined ? null : compose(entry.path, pickCuda(entry.cuda, facts.cuda));
}

/** What platformPath decides on, of a machine. */
export function pathFacts(machine: Machine): PathFacts {
  const { device, libraries, release } = machine;
  return {
    l4t: release.l4t,
    isJetson: isJetson(machine),
    hasGpu: device.gpu !== null,
    machine: kernelName(device.cpu.arch),
    cuda: libraries.cuda ?? device.gpu?.cudaVersion ?? null,
  };
}

export const pathOfMachine = (machine: Machine) => platformPath(pathFacts(machine));

/** `jp6/cu126` -> `12.6`. */
export function cudaOfPath(path: string): string | null {
  const [, major, minor] = /\/cu(\d+)(\d)$/.exec(path) ?? [];
  return major === undefined ? null : `${major}.${minor}`;
}

/** What pip is given for a path: without `/+simple/` the address is a web page. */
export const indexUrl = (path: string, { mirrors }: IndexTable = indexTable()) => `${mirrors[0]}/${path}/+simple/`;

const KERNEL_NAMES: Record<string, string> = { arm64: 'aarch64', x64: 'x86_64', amd64: 'x86_64' };

/** The kernel's name of a processor that Node or another names. */
export const kernelName = (name: string) => KERNEL_NAMES[name.toLowerCase()] ?? name;

const compose = (path: string, version: string | undefined) =>
  version === undefined ? null : `${path}/cu${version.replace('.', '')}`;

/** The newest of the installed major version that is not newer than what is installed. */
function pickCuda(offered: string[], installed: string | null): string | undefined {
  if (installed === null) return undefined;
  const [major, minor] = installed.split('.');
  const fits = offered.filter(
    (version) => version.split('.')[0] === major && compareVersions(version, `${major}.${minor ?? 0}`) <= 0,
  );
  return fits.sort(compareVersions).at(-1);
}
