/**
 * For which GPUs a library holds code: the fat binaries that nvcc puts into it, read without cuobjdump.
 *
 * A fat binary is a header (magic u32, version u16, header size u16, payload size u64) and entries. An entry is a header
 * (kind u16, version u16, header size u32, payload size u64, ..., architecture u32 at 28, flags u64 at 40) and a payload,
 * which may be compressed and is not looked at. Layout as nvcc 12.6, 13.0 and 13.2 write it, checked against cuobjdump.
 */
import { type Bytes, readElf, type Section } from './elf.js';

export interface GpuCode {
  /** Machine code by architecture, sorted: `87`, `90a`, `110f`. */
  sass: string[];
  /** PTX, which a driver compiles for its GPU: `90`. */
  ptx: string[];
  /** Architectures of a few kernel files only: no proof that the library runs there. Not among the others. */
  rare: string[];
  /** False: time ran out, or the file is damaged, so there may be more. */
  isComplete: boolean;
}

const SECTIONS = ['.nv_fatbin', '__nv_relfatbin'];
const CONTAINER_MAGIC = 0xba55ed50;
const CONTAINER_BYTES = 16;
const ENTRY_BYTES = 64;
const KIND_PTX = 1;
const KIND_SASS = 2;
/** `a`: for this GPU alone. `f`: for its family. */
const SUFFIX_FLAGS = [
  { flag: 1n << 20n, suffix: 'a' },
  { flag: 1n << 21n, suffix: 'f' },
];
/** Fat binaries start at multiples of 8; between two of them there is little padding. */
const ALIGNMENT = 8;
const MAX_PADDING = 4096;
/** PyTorch 2.8 for sm_80 and sm_90 has one kernel file of 393 with code for sm_89. */
const RARE_SHARE = 0.1;

/** The code of one library; null where it holds none. `mayGoOn` is asked before each header. */
export function readGpuCode(bytes: Bytes, mayGoOn: () => boolean = () => true): GpuCode | null {
  const sections = readElf(bytes)?.sections.filter(({ name, sizeBytes }) => SECTIONS.includes(name) && sizeBytes > 0);
  if (!sections || sections.length === 0) return null;
  const found: Found = { numFatbins: 0, sass: new Map(), ptx: new Map() };
  const isComplete = sections.every((section) => readSection(bytes, section, found, mayGoOn));
  const isRare = (count: number) => count < found.numFatbins * RARE_SHARE;
  const archs = (counts: Counts, rare: boolean) =>
    [...counts].filter(([, count]) => isRare(count) === rare).map(([arch]) => arch);
  return {
    sass: archs(found.sass, false).sort(byNumber),
    ptx: archs(found.ptx, false).sort(byNumber),
    rare: [...new Set([...archs(found.sass, true), ...archs(found.ptx, true)])].sort(byNumber),
    isComplete,
  };
}

/** Architecture -> in how many fat binaries it is. There is one for each kernel file. */
type Counts = Map<string, number>;

interface Found {
  numFatbins: number;
  sass: Counts;
  ptx: Counts;
}

/** Whether it was read to its end. Every turn goes forward by at least 8 bytes. */
function readSection(bytes: Bytes, { offset, sizeBytes }: Section, found: Found, mayGoOn: () => boolean): boolean {
  const end = offset + sizeBytes;
  let at = offset;
  let padding = 0;
  while (at + CONTAINER_BYTES <= end) {
    if (!mayGoOn()) return false;
    const header = bytes.read(at, CONTAINER_BYTES);
    if (header.length < CONTAINER_BYTES) return false;
    if (header.readUInt32LE(0) !== CONTAINER_MAGIC) {
      padding += ALIGNMENT;
      if (padding > MAX_PADDING) return false;
      at += ALIGNMENT;
      continue;
    }
    padding = 0;
    found.numFatbins += 1;
    const first = at + Math.max(CONTAINER_BYTES, header.readUInt16LE(6));
    const next = first + Number(header.readBigUInt64LE(8));
    if (next > end || !readEntries(bytes, { first, end: next }, found, mayGoOn)) return false;
    at = Math.ceil(next / ALIGNMENT) * ALIGNMENT;
  }
  return true;
}

interface Range {
  first: number;
  end: number;
}

function readEntries(bytes: Bytes, range: Range, found: Found, mayGoOn: () => boolean): boolean {
  const seen = { sass: new Set<string>(), ptx: new Set<string>() };
  const isWhole = collectEntries(bytes, range, seen, mayGoOn);
  for (const kind of ['sass', 'ptx'] as const) {
    for (const arch of seen[kind]) found[kind].set(arch, (found[kind].get(arch) ?? 0) + 1);
  }
  return isWhole;
}

type Seen = Record<'sass' | 'ptx', Set<string>>;

function collectEntries(bytes: Bytes, { first, end }: Range, seen: Seen, mayGoOn: () => boolean): boolean {
  let at = first;
  while (at + ENTRY_BYTES <= end) {
    if (!mayGoOn()) return false;
    const header = bytes.read(at, ENTRY_BYTES);
    if (header.length < ENTRY_BYTES) return false;
    const headerBytes = header.readUInt32LE(4);
    if (headerBytes < ENTRY_BYTES) return false;
    const kind = header.readUInt16LE(0);
    if (kind === KIND_SASS) seen.sass.add(archOf(header));
    if (kind === KIND_PTX) seen.ptx.add(archOf(header));
    at += headerBytes + Number(header.readBigUInt64LE(8));
  }
  return at <= end;
}

function archOf(header: Buffer): string {
  const flags = header.readBigUInt64LE(40);
  const suffix = SUFFIX_FLAGS.find(({ flag }) => (flags & flag) !== 0n)?.suffix ?? '';
  return `${header.readUInt32LE(28)}${suffix}`;
}

const byNumber = (a: string, b: string) => Number.parseInt(a, 10) - Number.parseInt(b, 10) || (a < b ? -1 : 1);
