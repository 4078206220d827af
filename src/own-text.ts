/**
 * The same text in memory of its own, for what outlives the text that it was cut from: V8 cuts without copying, and keeps
 * the whole for the sake of the piece.
 */
export function ownText(text: string): string {
  return Buffer.from(text, 'utf16le').toString('utf16le');
}
