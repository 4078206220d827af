/** The bytes that each token of a vocabulary stands for. */

/** UTF-8 of a UTF-16 code unit. */
const MAX_BYTES_OF_UNIT = 3;

/** One behind the other in one block of memory: an array each would take some 400 bytes a token, as long as it lives. */
export class TokenBytes {
  readonly bytes: Buffer;
  /** Where those of each token end, by id. */
  readonly ends: Int32Array;

  /** @param bytesOf of a token, by its id; nothing of a hole */
  constructor(tokens: readonly (string | undefined)[], bytesOf: (id: number, token: string) => Uint8Array) {
    const longest = tokens.reduce((sum, token) => sum + MAX_BYTES_OF_UNIT * (token?.length ?? 0), 0);
    const bytes = Buffer.allocUnsafeSlow(longest);
    this.ends = new Int32Array(tokens.length);
    let end = 0;
    for (let id = 0; id < tokens.length; id++) {
      const token = tokens[id];
      if (token !== undefined) {
        const own = bytesOf(id, token);
        bytes.set(own, end);
        end += own.length;
      }
      this.ends[id] = end;
    }
    this.bytes = Buffer.allocUnsafeSlow(end);
    bytes.copy(this.bytes, 0, 0, end);
  }

  /** A view: not to be written. Empty where there is no such token. */
  of(id: number): Buffer {
    return this.bytes.subarray(this.ends[id - 1] ?? 0, this.ends[id] ?? 0);
  }
}
