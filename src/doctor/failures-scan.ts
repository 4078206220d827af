/**
 * Finds the lines of a log that hold any of many literals, in one pass over its bytes (Aho and Corasick, "Efficient
 * string matching", 1975), so that a log of hundreds of megabytes is read as fast as it comes from the disk.
 */

/** A line of more bytes is taken in pieces of this size: binary data has no line ends. */
const MAX_LINE_BYTES = 16 * 1024;
const NEWLINE = 10;
const RETURN = 13;
const ESCAPE = 27;
const BELL = 7;

/** Colours and titles are no text. Where in an escape sequence the scan is: */
const PLAIN = 0;
/** After ESC. */
const BEGUN = 1;
/** In `ESC [ … letter`. */
const CONTROL = 2;
/** In `ESC ] … BEL`. */
const TITLE = 3;

/** States of the automaton: `next[state * numClasses + classOf[byte]]`; `found[state]`: literals that end there. */
export interface Automaton {
  numClasses: number;
  classOf: Uint8Array;
  next: Int32Array;
  found: (number[] | null)[];
}

/** `literals`: lower case, not empty. Letters of a log match in either case. */
export function buildAutomaton(literals: string[]): Automaton {
  const bytes = literals.map((literal) => Buffer.from(literal));
  const classOf = new Uint8Array(256);
  let numClasses = 1;
  for (const byte of bytes.flatMap((literal) => [...literal])) {
    if (classOf[byte] === 0) classOf[byte] = numClasses++;
  }
  for (let upper = 65; upper <= 90; upper++) classOf[upper] = classOf[upper + 32] ?? 0;
  const numStates = bytes.reduce((sum, literal) => sum + literal.length, 1);
  const next = new Int32Array(numStates * numClasses);
  const found: (number[] | null)[] = [null];
  bytes.forEach((literal, index) => {
    let state = 0;
    for (const byte of literal) {
      const at = state * numClasses + (classOf[byte] ?? 0);
      if (next[at] === 0) {
        next[at] = found.length;
        found.push(null);
      }
      state = next[at] ?? 0;
    }
    found[state] = [...(found[state] ?? []), index];
  });
  // Breadth first: where a literal breaks off, go on with the longest suffix that begins another.
  const fallback = new Int32Array(found.length);
  const queue = [0];
  for (const state of queue) {
    for (let cls = 1; cls < numClasses; cls++) {
      const at = state * numClasses + cls;
      const child = next[at] ?? 0;
      const other = state === 0 ? 0 : (next[(fallback[state] ?? 0) * numClasses + cls] ?? 0);
      if (child === 0) {
        next[at] = other;
        continue;
      }
      fallback[child] = other;
      const inherited = found[other];
      if (inherited) found[child] = [...(found[child] ?? []), ...inherited];
      queue.push(child);
    }
  }
  return { numClasses, classOf, next, found };
}

/** Called with a line (its bytes may hold colours), its number from 1, and the indices of the literals it holds. */
export type OnLine = (line: Buffer, lineNumber: number, literals: Set<number>) => void;

export class LineScanner {
  readonly #automaton: Automaton;
  readonly #onLine: OnLine;
  #state = 0;
  #sequence = PLAIN;
  #hits = new Set<number>();
  /** What chunks before this one held of the line. */
  #begun: Buffer[] = [];
  #begunBytes = 0;
  #lineNumber = 1;
  #isLineEmpty = true;

  constructor(automaton: Automaton, onLine: OnLine) {
    this.#automaton = automaton;
    this.#onLine = onLine;
  }

  /** Lines so far, one that has not ended included. */
  get numLines(): number {
    return this.#lineNumber - (this.#isLineEmpty ? 1 : 0);
  }

  push(chunk: Buffer): void {
    const { numClasses, classOf, next, found } = this.#automaton;
    let state = this.#state;
    let start = 0;
    for (let i = 0; i < chunk.length; i++) {
      const byte = chunk[i] as number;
      if (byte === NEWLINE || byte === RETURN || byte === 0) {
        this.#endLine(chunk.subarray(start, i));
        if (byte === NEWLINE) this.#lineNumber += 1;
        this.#isLineEmpty = byte === NEWLINE;
        state = 0;
        start = i + 1;
        continue;
      }
      if (this.#sequence !== PLAIN || byte === ESCAPE) {
        this.#sequence = afterByte(this.#sequence, byte);
        continue;
      }
      state = next[state * numClasses + (classOf[byte] as number)] as number;
      const literals = found[state];
      if (literals) for (const literal of literals) this.#hits.add(literal);
      if (this.#begunBytes + i - start >= MAX_LINE_BYTES) {
        this.#endLine(chunk.subarray(start, i + 1));
        start = i + 1;
      }
    }
    this.#state = state;
    if (start < chunk.length) {
      this.#isLineEmpty = false;
      this.#begun.push(Buffer.from(chunk.subarray(start)));
      this.#begunBytes += chunk.length - start;
    }
  }

  /** Takes what has been pushed since the last line end for a line. */
  end(): void {
    this.#endLine(Buffer.alloc(0));
    this.#state = 0;
  }

  #endLine(rest: Buffer): void {
    if (this.#hits.size > 0) {
      this.#onLine(this.#begun.length > 0 ? Buffer.concat([...this.#begun, rest]) : rest, this.#lineNumber, this.#hits);
      this.#hits = new Set();
    }
    this.#sequence = PLAIN;
    if (this.#begun.length > 0) this.#begun = [];
    this.#begunBytes = 0;
  }
}

function afterByte(sequence: number, byte: number): number {
  if (byte === ESCAPE) return BEGUN;
  if (sequence === BEGUN) {
    if (byte === 0x5b) return CONTROL;
    return byte === 0x5d ? TITLE : PLAIN;
  }
  if (sequence === CONTROL) return byte >= 0x40 && byte <= 0x7e ? PLAIN : CONTROL;
  return byte === BELL ? PLAIN : TITLE;
}
