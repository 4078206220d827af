/** A small reader of ELF libraries: sections and needed libraries. Takes any bytes; what makes no sense comes out as null. */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';

/** Random access to a file too large to be held. */
export interface Bytes {
  sizeBytes: number;
  /** What lies there, shorter at the end of the file. */
  read: (offset: number, length: number) => Buffer;
}

export interface Section {
  name: string;
  type: number;
  /** Place in the file, bytes; it lies wholly inside. */
  offset: number;
  sizeBytes: number;
  /** Index of the section that this one refers to: the names of a dynamic table. */
  link: number;
}

export interface Elf {
  /** Node's name of the CPU it is for; null: another one. */
  arch: 'arm64' | 'x64' | null;
  sections: Section[];
}

const HEADER_BYTES = 64;
const SECTION_BYTES = 64;
const MAX_SECTIONS = 4096;
const MAX_NAMES_BYTES = 2 ** 20;
const MACHINES: Record<number, Elf['arch']> = { 62: 'x64', 183: 'arm64' };

/** 64-bit little-endian only: every CPU that JetPack and CUDA run on. */
export function readElf(bytes: Bytes): Elf | null {
  const header = bytes.read(0, HEADER_BYTES);
  if (header.length < HEADER_BYTES || header.readUInt32BE(0) !== 0x7f454c46) return null;
  if (header[4] !== 2 || header[5] !== 1 || header.readUInt16LE(58) !== SECTION_BYTES) return null;
  const tableAt = Number(header.readBigUInt64LE(40));
  const count = Math.min(header.readUInt16LE(60), MAX_SECTIONS);
  const table = inside(bytes, tableAt, count * SECTION_BYTES) ? bytes.read(tableAt, count * SECTION_BYTES) : null;
  if (table === null || table.length < count * SECTION_BYTES) return null;
  const raw = Array.from({ length: count }, (_, i) => sectionOf(table, i * SECTION_BYTES));
  const namesAt = raw[header.readUInt16LE(62)];
  if (namesAt === undefined || !inside(bytes, namesAt.offset, namesAt.sizeBytes)) return null;
  const names = bytes.read(namesAt.offset, Math.min(namesAt.sizeBytes, MAX_NAMES_BYTES));
  const sections = raw.map(({ nameAt, ...section }) => ({
    name: textAt(names, nameAt),
    ...section,
    // An unreadable section stays in the list, since others refer to it by index.
    ...(inside(bytes, section.offset, section.sizeBytes) ? {} : { sizeBytes: 0 }),
  }));
  return { arch: MACHINES[header.readUInt16LE(18)] ?? null, sections };
}

function sectionOf(table: Buffer, at: number): Omit<Section, 'name'> & { nameAt: number } {
  return {
    nameAt: table.readUInt32LE(at),
    type: table.readUInt32LE(at + 4),
    offset: Number(table.readBigUInt64LE(at + 24)),
    sizeBytes: Number(table.readBigUInt64LE(at + 32)),
    link: table.readUInt32LE(at + 40),
  };
}

const SHT_DYNAMIC = 6;
const DT_NEEDED = 1n;
const DT_NULL = 0n;

/** The libraries that must be found for this one to load: `libcudart.so.12`. */
export function neededLibraries(bytes: Bytes, { sections }: Elf): string[] {
  const dynamic = sections.find(({ type }) => type === SHT_DYNAMIC);
  const strings = dynamic && sections[dynamic.link];
  if (!dynamic || !strings) return [];
  const table = bytes.read(dynamic.offset, Math.min(dynamic.sizeBytes, 2 ** 16));
  const names: string[] = [];
  for (let at = 0; at + 16 <= table.length; at += 16) {
    const tag = table.readBigUInt64LE(at);
    if (tag === DT_NULL) break;
    const nameAt = Number(table.readBigUInt64LE(at + 8));
    if (tag === DT_NEEDED && nameAt < strings.sizeBytes) {
      names.push(textAt(bytes.read(strings.offset + nameAt, 256), 0));
    }
  }
  return names.filter(Boolean);
}

const inside = ({ sizeBytes }: Bytes, offset: number, length: number) => offset + length <= sizeBytes;

function textAt(names: Buffer, at: number): string {
  const end = names.indexOf(0, at);
  return at < names.length ? names.toString('latin1', at, end < 0 ? names.length : end) : '';
}

/** Opens a regular file for `use`, and closes it. Null when it cannot be read. */
export function withBytes<T>(path: string, use: (bytes: Bytes) => T): T | null {
  let file: number | null = null;
  try {
    // Opening a FIFO would wait for a writer.
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stat = fstatSync(file);
    return stat.isFile() ? use(bytesOf(file, stat.size)) : null;
  } catch {
    return null;
  } finally {
    if (file !== null) closeSync(file);
  }
}

function bytesOf(file: number, sizeBytes: number): Bytes {
  return {
    sizeBytes,
    read: (offset, length) => {
      const wanted = Math.max(0, Math.min(length, sizeBytes - offset));
      const buffer = Buffer.allocUnsafe(wanted);
      return buffer.subarray(0, wanted === 0 ? 0 : readSync(file, buffer, 0, wanted, offset));
    },
  };
}
