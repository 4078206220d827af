/** JSON as pieces of a colour each. Pure. */

export interface Piece {
  /** Null: what stands between. */
  kind: 'key' | 'string' | 'number' | 'word' | null;
  text: string;
}

/** The last string may lack its end. Every character is looked at once, whatever the text is. */
const PIECES = /("(?:\\.|[^"\\])*(?:"|\\?$))(\s*:)?|\b(true|false|null)\b|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)/g;

export function jsonPieces(json: string): Piece[] {
  const pieces: Piece[] = [];
  let end = 0;
  for (const match of json.matchAll(PIECES)) {
    const [whole, text, colon, word] = match;
    pieces.push({ kind: null, text: json.slice(end, match.index) });
    end = match.index + whole.length;
    const kind = text === undefined ? (word === undefined ? 'number' : 'word') : colon === undefined ? 'string' : 'key';
    pieces.push({ kind, text: text ?? whole }, { kind: null, text: colon ?? '' });
  }
  pieces.push({ kind: null, text: json.slice(end) });
  return pieces.filter(({ text }) => text !== '');
}
