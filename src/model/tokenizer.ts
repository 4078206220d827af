/** Text to ids and back, for every byte-pair vocabulary, wherever its parts came from. */
import type { TokenVocabulary } from '../addon/binding.js';
import { type AddedToken, AddedTokenSplitter } from './added-tokens.js';
import { Bpe } from './bpe.js';
import { byteToChar, spellBytes, unspellBytes } from './byte-alphabet.js';
import type { MergeTable } from './merge-table.js';
import type { DecodeOptions, StreamDecoder, Tokenizer } from './model.js';
import { PieceCache } from './piece-cache.js';
import type { PreTokenizer } from './pre-tokenizer.js';
import { Utf8StreamDecoder } from './stream-decoder.js';
import { TokenBytes } from './token-bytes.js';

/** The parts of a tokenizer, read from a tokenizer.json or from the metadata of a GGUF file. */
export interface TokenizerParts {
  /** Token strings by id, added tokens included; holes where an id has none. */
  tokens: (string | undefined)[];
  /** How a token spells what it stands for: GPT-2's alphabet of bytes, or characters with U+2581 for a space. */
  alphabet: 'bytes' | 'chars';
  merges: MergeTable;
  /** A piece that is a token as it stands is not merged up to. */
  ignoreMerges: boolean;
  /** Characters without a token become `<0x0A>`-style tokens of their bytes. */
  byteFallback: boolean;
  /** For characters (or bytes) that have no token at all; null: they are dropped. */
  unknownId: number | null;
  /** A run of unknown characters is one unknown token. */
  fusesUnknown: boolean;
  addedTokens: AddedToken[];
  /** Applied to each stretch of text between added tokens. */
  normalize: (text: string) => string;
  preTokenize: PreTokenizer;
  /** What `addSpecialTokens` puts around a text. */
  prefixIds: number[];
  suffixIds: number[];
  /** The first piece of a text is encoded with a space before it, which decoding takes off again. */
  stripsLeadingSpace: boolean;
}

const NONE = new Uint8Array(0);

/** Builds in a few milliseconds beside its parts; encoding is O(n log n) in the text. */
export class BpeTokenizer implements Tokenizer {
  readonly vocabSize: number;
  private readonly parts: TokenizerParts;
  private readonly ids: ReadonlyMap<string, number>;
  private readonly splitter: AddedTokenSplitter;
  private readonly added = new Map<number, AddedToken>();
  private readonly bpe: Bpe;
  /** Id of the token for one byte; -1 where there is none. */
  private readonly byteIds: Int32Array;
  private readonly cache = new PieceCache();
  private allBytes: TokenBytes | null = null;

  /** @param ids the inverse of `parts.tokens`, which whoever made the merges has at hand */
  constructor(parts: TokenizerParts, ids: ReadonlyMap<string, number>) {
    this.parts = parts;
    this.ids = ids;
    this.vocabSize = parts.tokens.length;
    this.splitter = new AddedTokenSplitter(parts.addedTokens);
    for (const token of parts.addedTokens) this.added.set(token.id, token);
    this.bpe = new Bpe(parts.merges);
    this.byteIds = Int32Array.from({ length: 256 }, (_, byte) => {
      const hex = byte.toString(16).toUpperCase().padStart(2, '0');
      return ids.get(parts.alphabet === 'bytes' ? byteToChar(byte) : `<0x${hex}>`) ?? -1;
    });
  }

  encode(text: string, options: { addSpecialTokens?: boolean; parseSpecial?: boolean } = {}): number[] {
    const { addSpecialTokens = true, parseSpecial = true } = options;
    const out: number[] = addSpecialTokens ? [...this.parts.prefixIds] : [];
    for (const section of this.splitter.split(text, parseSpecial)) {
      if ('id' in section) out.push(section.id);
      else this.encodeText(section.text, section.start === 0, out);
    }
    if (addSpecialTokens) out.push(...this.parts.suffixIds);
    return out;
  }

  private encodeText(text: string, isFirst: boolean, out: number[]): void {
    const normalized = this.parts.normalize(text);
    if (normalized.length === 0) return;
    for (const piece of this.parts.preTokenize(normalized, isFirst)) {
      for (const id of this.encodePiece(piece)) out.push(id);
    }
  }

  private encodePiece(piece: string): readonly number[] {
    const cached = this.cache.get(piece);
    if (cached !== undefined) return cached;
    const ids = this.mergePiece(piece);
    this.cache.set(piece, ids);
    return ids;
  }

  private mergePiece(piece: string): number[] {
    const { alphabet, ignoreMerges } = this.parts;
    if (ignoreMerges) {
      const whole = this.ids.get(alphabet === 'bytes' ? spellBytes(piece) : piece);
      if (whole !== undefined) return [whole];
    }
    const ids = alphabet === 'bytes' ? this.byteSymbols(piece) : this.charSymbols(piece);
    this.bpe.merge(ids);
    return ids;
  }

  private byteSymbols(piece: string): number[] {
    const ids: number[] = [];
    for (const byte of Buffer.from(piece, 'utf8')) {
      const id = this.byteIds[byte] as number;
      if (id >= 0) ids.push(id);
      else this.pushUnknown(ids);
    }
    return ids;
  }

  private charSymbols(piece: string): number[] {
    const ids: number[] = [];
    for (const char of piece) {
      const id = this.ids.get(char);
      if (id !== undefined) ids.push(id);
      else if (!this.parts.byteFallback || !this.pushBytes(char, ids)) this.pushUnknown(ids);
    }
    return ids;
  }

  /** False, and nothing pushed, where a byte has no token. */
  private pushBytes(char: string, ids: number[]): boolean {
    const bytes = Buffer.from(char, 'utf8');
    if (bytes.some((byte) => this.byteIds[byte] === -1)) return false;
    for (const byte of bytes) ids.push(this.byteIds[byte] as number);
    return true;
  }

  private pushUnknown(ids: number[]): void {
    const { unknownId, fusesUnknown } = this.parts;
    if (unknownId === null || (fusesUnknown && ids.at(-1) === unknownId)) return;
    ids.push(unknownId);
  }

  decode(ids: readonly number[], options: DecodeOptions = {}): string {
    const decoder = this.stream(options);
    const deltas = ids.map((id) => decoder.push(id));
    return deltas.join('') + decoder.end();
  }

  stream(options: DecodeOptions = {}): StreamDecoder {
    const { skipSpecialTokens = true, continues = false } = options;
    return new Utf8StreamDecoder(
      (id) => (skipSpecialTokens && this.isSpecial(id) ? null : this.tokenBytes(id)),
      this.parts.stripsLeadingSpace && !continues,
    );
  }

  tokenBytes(id: number): Buffer {
    this.allBytes ??= new TokenBytes(this.parts.tokens, (each, token) => this.bytesOf(each, token));
    return this.allBytes.of(id);
  }

  private bytesOf(id: number, token: string): Uint8Array {
    if (this.parts.alphabet === 'bytes') {
      return (this.added.has(id) ? null : unspellBytes(token)) ?? Buffer.from(token, 'utf8');
    }
    if (this.parts.byteFallback && token.length === 6) {
      const hex = /^<0x([0-9A-F]{2})>$/.exec(token)?.[1];
      if (hex !== undefined) return Uint8Array.of(Number.parseInt(hex, 16));
    }
    return Buffer.from(token.replaceAll('▁', ' '), 'utf8');
  }

  vocabulary(options: {
    vocabSize: number;
    stopTokenIds: readonly number[];
    spelled?: ReadonlySet<number>;
  }): TokenVocabulary {
    const { tokens } = this.parts;
    const isLeftOut = (id: number) => this.isSpecial(id) && !options.spelled?.has(id);
    const spelled = new TokenBytes(tokens, (id) => (isLeftOut(id) ? NONE : this.tokenBytes(id)));
    return {
      bytes: spelled.bytes,
      ends: spelled.ends,
      vocabSize: options.vocabSize,
      stopTokenIds: Int32Array.from(options.stopTokenIds),
      merges: this.parts.merges.inOrder(),
      byteIds: this.byteIds,
      startsWithCharacters: this.parts.alphabet === 'chars',
    };
  }

  isSpecial(id: number): boolean {
    return this.added.get(id)?.special ?? false;
  }

  tokenId(token: string): number | undefined {
    return this.ids.get(token);
  }
}
