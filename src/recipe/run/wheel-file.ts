/** What a wheel holds: the names and sizes in its zip directory. Nothing is unpacked. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

export interface WheelEntry {
  name: string;
  /** Unpacked. */
  sizeBytes: number;
}

const END_SIGNATURE = 0x06054b50;
const ENTRY_SIGNATURE = 0x02014b50;
const END_BYTES = 22;
const ENTRY_BYTES = 46;
const MAX_COMMENT_BYTES = 65_535;
const MAX_DIRECTORY_BYTES = 64 * 2 ** 20;

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

function parseDirectory(bytes: Buffer, numEntries: number): WheelEntry[] | null {
  const entries: WheelEntry[] = [];
  let at = 0;
  while (at + ENTRY_BYTES <= bytes.length && bytes.readUInt32LE(at) === ENTRY_SIGNATURE) {
    const nameBytes = bytes.readUInt16LE(at + 28);
    const end = at + ENTRY_BYTES + nameBytes;
    entries.push({ name: bytes.toString('utf8', at + ENTRY_BYTES, end), sizeBytes: bytes.readUInt32LE(at + 24) });
    at = end + bytes.readUInt16LE(at + 30) + bytes.readUInt16LE(at + 32);
  }
  return entries.length === numEntries ? entries : null;
}

function read(file: number, offset: number, length: number): Buffer {
  const buffer = Buffer.alloc(length);
  return buffer.subarray(0, readSync(file, buffer, 0, length, offset));
}
