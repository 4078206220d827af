/** Ids of pieces of text that come again and again, as words do. */
import { ownText } from '../own-text.js';

/** Of each generation. */
const MAX_PIECES = 2048;
/** Of a piece, characters. */
const MAX_LENGTH = 64;

/** Two generations, of which the older one goes when the younger is full: what was asked for since is in that. */
export class PieceCache {
  private young = new Map<string, readonly number[]>();
  private old = new Map<string, readonly number[]>();

  get(piece: string): readonly number[] | undefined {
    const ids = this.young.get(piece);
    if (ids !== undefined) return ids;
    const aged = this.old.get(piece);
    if (aged !== undefined) this.set(piece, aged);
    return aged;
  }

  set(piece: string, ids: readonly number[]): void {
    if (piece.length > MAX_LENGTH) return;
    if (this.young.size >= MAX_PIECES) {
      this.old = this.young;
      this.young = new Map();
    }
    // Copies: the piece is cut from a prompt, and an array that was pushed to has room for more.
    this.young.set(ownText(piece), ids.slice());
  }
}
