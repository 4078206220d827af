/**
 * GPT-2's printable alphabet: every byte is spelt as one character, printable ones as themselves, the others from
 * U+0100 on, so that a vocabulary of bytes can be written as text (a space is U+0120, 'Ġ').
 */

const charOfByte: string[] = [];
const byteOfChar = new Map<number, number>();
let nextUnprintable = 0x100;
for (let byte = 0; byte < 256; byte++) {
  const isPrintable = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
  const code = isPrintable ? byte : nextUnprintable++;
  charOfByte.push(String.fromCharCode(code));
  byteOfChar.set(code, byte);
}

export function byteToChar(byte: number): string {
  return charOfByte[byte] as string;
}

/** UTF-8 bytes of `text`, spelt in the alphabet. */
export function spellBytes(text: string): string {
  let spelt = '';
  for (const byte of Buffer.from(text, 'utf8')) spelt += charOfByte[byte];
  return spelt;
}

/** The bytes that a token spells, or null where a character is none of the alphabet's. */
export function unspellBytes(token: string): Uint8Array | null {
  const bytes = new Uint8Array(token.length);
  for (let i = 0; i < token.length; i++) {
    const byte = byteOfChar.get(token.charCodeAt(i));
    if (byte === undefined) return null;
    bytes[i] = byte;
  }
  return bytes;
}
