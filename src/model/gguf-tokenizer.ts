/** A tokenizer from the metadata of a GGUF file: byte-level BPE (`gpt2`) or SentencePiece's BPE (`llama`). */
import type { AddedToken } from './added-tokens.js';
import type { GgufMetadata } from './gguf-metadata.js';
import { GGUF_PATTERNS } from './gguf-patterns.js';
import { MergeTable } from './merge-table.js';
import { modelInvalid, modelUnsupported, quote } from './model-error.js';
import { compilePattern, cutBeforeSpaces, inSequence, type PreTokenizer, splitBy } from './pre-tokenizer.js';
import { BpeTokenizer, type TokenizerParts } from './tokenizer.js';

/** Values of `tokenizer.ggml.token_type`; bytes are known by their spelling, unused ones are as good as normal. */
const NORMAL = 1;
const UNKNOWN = 2;
const CONTROL = 3;
const USER_DEFINED = 4;

const KEY = 'tokenizer.ggml';

interface Vocabulary {
  tokens: string[];
  ids: Map<string, number>;
  types: ArrayLike<number> | null;
}

type AlphabetParts = Pick<
  TokenizerParts,
  'alphabet' | 'merges' | 'ignoreMerges' | 'byteFallback' | 'normalize' | 'preTokenize' | 'stripsLeadingSpace'
> & { addsBos: boolean };

/** Throws E_MODEL_INVALID or E_MODEL_UNSUPPORTED. */
export function tokenizerFromGguf(metadata: GgufMetadata): BpeTokenizer {
  const vocabulary = readVocabulary(metadata);
  const { addsBos, ...alphabetParts } = readAlphabet(metadata, vocabulary);
  const affix = (flag: string, byDefault: boolean, idKey: string): number[] => {
    const id = readTokenId(metadata, idKey, vocabulary.tokens.length);
    return (metadata.bool(`${KEY}.${flag}`) ?? byDefault) && id !== null ? [id] : [];
  };
  const parts: TokenizerParts = {
    ...alphabetParts,
    tokens: vocabulary.tokens,
    // Bytes that a byte-level vocabulary lacks are dropped, as its tokenizer.json has it.
    unknownId: alphabetParts.byteFallback ? readTokenId(metadata, 'unknown_token_id', vocabulary.tokens.length) : null,
    fusesUnknown: true,
    addedTokens: readAddedTokens(metadata, vocabulary),
    prefixIds: affix('add_bos_token', addsBos, 'bos_token_id'),
    suffixIds: affix('add_eos_token', false, 'eos_token_id'),
  };
  return new BpeTokenizer(parts, vocabulary.ids);
}

/** The id under `tokenizer.ggml.<name>`, or null; one outside the vocabulary is refused. */
export function readTokenId(metadata: GgufMetadata, name: string, vocabSize: number): number | null {
  const id = metadata.number(`${KEY}.${name}`);
  // -1 and its unsigned spelling stand for "none".
  if (id === undefined || id === -1 || id === 0xffffffff) return null;
  if (Number.isInteger(id) && id >= 0 && id < vocabSize) return id;
  throw modelInvalid(metadata.path, `${KEY}.${name} is ${id}, outside the vocabulary of ${vocabSize}`);
}

function readVocabulary(metadata: GgufMetadata): Vocabulary {
  const key = `${KEY}.tokens`;
  const tokens = metadata.required(key, metadata.strings(key));
  const ids = new Map<string, number>();
  for (let id = 0; id < tokens.length; id++) {
    const token = tokens[id] as string;
    if (token !== '') ids.set(token, id);
  }
  const types = metadata.numbers(`${KEY}.token_type`) ?? null;
  if (types !== null && types.length !== tokens.length) {
    throw modelInvalid(metadata.path, `${types.length} token types for ${tokens.length} tokens`);
  }
  return { tokens, ids, types };
}

function readAlphabet(metadata: GgufMetadata, vocabulary: Vocabulary): AlphabetParts {
  const modelKey = `${KEY}.model`;
  const model = metadata.required(modelKey, metadata.string(modelKey));
  if (model === 'llama') return readSentencePiece(metadata, vocabulary);
  if (model === 'gpt2') return readByteLevel(metadata, vocabulary);
  throw modelUnsupported(metadata.path, `tokenizer model ${quote(model)} is not supported; supported: gpt2, llama`);
}

function readByteLevel(metadata: GgufMetadata, { ids }: Vocabulary): AlphabetParts {
  const name = metadata.string(`${KEY}.pre`) ?? 'default';
  const pattern = GGUF_PATTERNS.get(name);
  if (pattern === undefined) {
    throw modelUnsupported(metadata.path, `pre-tokenizer ${quote(name)} (${KEY}.pre) is not supported`);
  }
  const mergesKey = `${KEY}.merges`;
  const merges = metadata.required(mergesKey, metadata.strings(mergesKey));
  const cut = inSequence(pattern.patterns.map((source) => splitBy(compilePattern(source))));
  const addsSpace = metadata.bool(`${KEY}.add_space_prefix`) ?? false;
  return {
    alphabet: 'bytes',
    merges: parseMerges(merges, ids, metadata.path),
    ignoreMerges: pattern.ignoreMerges ?? false,
    byteFallback: false,
    normalize: (text) => text,
    preTokenize: addsSpace ? withSpace(cut) : cut,
    stripsLeadingSpace: false,
    addsBos: pattern.addBos ?? false,
  };
}

function withSpace(cut: PreTokenizer): PreTokenizer {
  return (text, isFirst) => cut(text.startsWith(' ') ? text : ` ${text}`, isFirst);
}

function parseMerges(merges: readonly string[], ids: ReadonlyMap<string, number>, path: string): MergeTable {
  const table = new MergeTable(merges.length);
  for (let rank = 0; rank < merges.length; rank++) {
    const merge = merges[rank] as string;
    const space = merge.indexOf(' ', 1);
    const [leftText, rightText] = [merge.slice(0, space), merge.slice(space + 1)];
    const left = ids.get(leftText);
    const right = ids.get(rightText);
    const merged = ids.get(leftText + rightText);
    if (space < 0 || left === undefined || right === undefined || merged === undefined) {
      throw modelInvalid(path, `merge ${rank}, ${quote(merge)}, is of tokens that the vocabulary lacks`);
    }
    table.add({ left, right, merged, rank });
  }
  return table;
}

/**
 * SentencePiece keeps no merges: any two neighbours merge whose concatenation is a token, the best score first, equal
 * scores from the left. So each way to cut a token in two is a merge, ranked by the token's score.
 */
function readSentencePiece(metadata: GgufMetadata, vocabulary: Vocabulary): AlphabetParts {
  const scores = metadata.required(`${KEY}.scores`, metadata.numbers(`${KEY}.scores`));
  const { tokens, ids, types } = vocabulary;
  if (scores.length !== tokens.length) {
    throw modelInvalid(metadata.path, `${scores.length} scores for ${tokens.length} tokens`);
  }
  const addsSpace = metadata.bool(`${KEY}.add_space_prefix`) ?? true;
  const cut = cutBeforeSpaces(tokens);
  return {
    alphabet: 'chars',
    merges: mergesFromScores(tokens, ids, types, scores),
    ignoreMerges: false,
    byteFallback: true,
    normalize: (text) => (addsSpace ? `▁${text}` : text).replaceAll(' ', '▁'),
    preTokenize: cut,
    stripsLeadingSpace: addsSpace,
    addsBos: true,
  };
}

function mergesFromScores(
  tokens: readonly string[],
  ids: ReadonlyMap<string, number>,
  types: ArrayLike<number> | null,
  scores: ArrayLike<number>,
): MergeTable {
  const isMerged = (id: number) => types === null || types[id] === NORMAL;
  const distinct = [...new Set(Array.from(scores))].sort((a, b) => b - a);
  const rankOfScore = new Map(distinct.map((score, rank) => [score, rank]));
  const found: [left: number, right: number, merged: number][] = [];
  tokens.forEach((token, merged) => {
    if (token.length < 2 || !isMerged(merged)) return;
    for (let cut = 1; cut < token.length; cut++) {
      const left = ids.get(token.slice(0, cut));
      if (left === undefined || !isMerged(left)) continue;
      const right = ids.get(token.slice(cut));
      if (right !== undefined && isMerged(right)) found.push([left, right, merged]);
    }
  });
  const table = new MergeTable(found.length);
  for (const [left, right, merged] of found) {
    table.add({ left, right, merged, rank: rankOfScore.get(scores[merged] as number) ?? 0 });
  }
  return table;
}

function readAddedTokens(metadata: GgufMetadata, { tokens, types }: Vocabulary): AddedToken[] {
  const named = ['bos_token_id', 'eos_token_id', 'eot_token_id', 'eom_token_id'];
  const control = new Set(named.map((name) => readTokenId(metadata, name, tokens.length)));
  const added: AddedToken[] = [];
  for (let id = 0; id < tokens.length; id++) {
    const type = types?.[id] ?? NORMAL;
    const special = type === CONTROL || type === UNKNOWN || control.has(id);
    if (!special && type !== USER_DEFINED) continue;
    added.push({ id, content: tokens[id] as string, special, lstrip: false, rstrip: false, singleWord: false });
  }
  return added;
}
