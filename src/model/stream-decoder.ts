/** Bytes of tokens as text, as soon as characters are whole. */
import type { StreamDecoder } from './model.js';

const NOTHING = Buffer.alloc(0);

/**
 * Holds back the bytes of an unfinished character, at most three. Cutting only before a byte that begins a character
 * gives the same text as decoding everything at once, also where the bytes are no valid UTF-8 (U+FFFD).
 */
export class Utf8StreamDecoder implements StreamDecoder {
  private held: Buffer = NOTHING;
  private atStart = true;

  /**
   * @param bytesOf the bytes of a token; null: it is left out
   * @param stripsLeadingSpace one space at the very start of the text is taken off
   */
  constructor(
    private readonly bytesOf: (id: number) => Buffer | null,
    private readonly stripsLeadingSpace: boolean,
  ) {}

  push(id: number): string {
    const bytes = this.bytesOf(id);
    if (bytes === null || bytes.length === 0) return '';
    const all = this.held.length === 0 ? bytes : Buffer.concat([this.held, bytes]);
    const whole = all.length - unfinished(all);
    this.held = whole === all.length ? NOTHING : Buffer.from(all.subarray(whole));
    return this.emit(all.toString('utf8', 0, whole));
  }

  end(): string {
    const rest = this.held.toString('utf8');
    this.held = NOTHING;
    return this.emit(rest);
  }

  private emit(text: string): string {
    if (!this.atStart || text === '') return text;
    this.atStart = false;
    return this.stripsLeadingSpace && text.startsWith(' ') ? text.slice(1) : text;
  }
}

/** How many of the last bytes begin a character that needs more. */
function unfinished(bytes: Buffer): number {
  const first = Math.max(0, bytes.length - 3);
  for (let i = bytes.length - 1; i >= first; i--) {
    const byte = bytes[i] as number;
    if (byte < 0x80) return 0;
    if (byte >= 0xc0) {
      const needed = byte > 0xf4 ? 1 : byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
      const have = bytes.length - i;
      return have < needed ? have : 0;
    }
  }
  return 0;
}
