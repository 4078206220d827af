/** Reads the front of a file piece by piece, so that memory follows what the file holds, never what it claims. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { fileError, modelInvalid } from './model-error.js';

const FIRST_READ = 4 << 20;
/** The largest vocabularies make headers of 16 MiB. */
const MAX_HEADER = 256 << 20;

export class HeaderReader {
  readonly fileSize: number;
  /** Offset of the next byte. */
  pos = 0;
  private buffer: Buffer;
  /** Bytes of `buffer` that have been read from the file. */
  private loaded = 0;
  private readonly fd: number;

  constructor(readonly path: string) {
    try {
      this.fd = openSync(path, 'r');
    } catch (error) {
      throw fileError(path, error);
    }
    const stat = fstatSync(this.fd);
    if (!stat.isFile()) {
      closeSync(this.fd);
      throw modelInvalid(path, 'not a regular file');
    }
    this.fileSize = stat.size;
    this.buffer = Buffer.allocUnsafe(Math.min(FIRST_READ, this.fileSize));
  }

  close(): void {
    closeSync(this.fd);
  }

  /** Bytes of the file that have not been consumed. */
  get remaining(): number {
    return this.fileSize - this.pos;
  }

  /** Makes `count` more bytes readable, or refuses the file. `what` names them in the error. */
  private need(count: number, what: string): void {
    const end = this.pos + count;
    if (end <= this.loaded) return;
    if (end > this.fileSize) {
      throw modelInvalid(this.path, `truncated: ends at byte ${this.fileSize} inside ${what}`);
    }
    if (end > MAX_HEADER) throw modelInvalid(this.path, `header longer than ${MAX_HEADER >> 20} MiB in ${what}`);
    if (end > this.buffer.length) {
      const grown = Buffer.allocUnsafe(Math.min(this.fileSize, Math.max(end, this.buffer.length * 2)));
      this.buffer.copy(grown, 0, 0, this.loaded);
      this.buffer = grown;
    }
    while (this.loaded < this.buffer.length) {
      const got = this.read(this.loaded, this.buffer.length - this.loaded);
      if (got === 0) break;
      this.loaded += got;
    }
    if (end > this.loaded) throw modelInvalid(this.path, `truncated: the file shrank while ${what} was read`);
  }

  private read(offset: number, length: number): number {
    try {
      return readSync(this.fd, this.buffer, offset, length, offset);
    } catch (error) {
      throw fileError(this.path, error);
    }
  }

  u32(what: string): number {
    this.need(4, what);
    const value = this.buffer.readUInt32LE(this.pos);
    this.pos += 4;
    return value;
  }

  /** An unsigned 64-bit integer; more than 2^53 - 1 (a count of -1, say) is refused. */
  u64(what: string): number {
    this.need(8, what);
    const low = this.buffer.readUInt32LE(this.pos);
    const high = this.buffer.readUInt32LE(this.pos + 4);
    if (high > 0x1fffff) throw modelInvalid(this.path, `${what} is absurd (above 2^53)`);
    this.pos += 8;
    return high * 2 ** 32 + low;
  }

  utf8(length: number, what: string): string {
    this.need(length, what);
    const text = this.buffer.toString('utf8', this.pos, this.pos + length);
    this.pos += length;
    return text;
  }

  /** The next `length` bytes, good until the next read. */
  view(length: number, what: string): DataView {
    this.need(length, what);
    const view = new DataView(this.buffer.buffer, this.buffer.byteOffset + this.pos, length);
    this.pos += length;
    return view;
  }

  /** A copy of the next `length` bytes, aligned for any typed array. */
  bytes(length: number, what: string): ArrayBuffer {
    this.need(length, what);
    const copy = new Uint8Array(length);
    copy.set(this.buffer.subarray(this.pos, this.pos + length));
    this.pos += length;
    return copy.buffer;
  }
}
