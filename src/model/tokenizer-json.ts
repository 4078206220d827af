/**
 * A tokenizer from tokenizer.json, the format of Hugging Face's `tokenizers`. Regular expressions and normalizers are
 * @huggingface/tokenizers'; encoding is ours (docs/decisions/0003-tokenizer.md says why).
 */
import type { AddedToken } from './added-tokens.js';
import { SequenceNormalizer } from './hf-tokenizers.js';
import { isObject, JsonFields, type JsonObject } from './json-file.js';
import { MergeTable } from './merge-table.js';
import { modelInvalid, modelUnsupported, quote } from './model-error.js';
import {
  compilePattern,
  cutBeforeSpaces,
  GPT2_PATTERN,
  inSequence,
  metaspace,
  type PreTokenizer,
  type SplitBehavior,
  splitBy,
} from './pre-tokenizer.js';
import { BpeTokenizer, type TokenizerParts } from './tokenizer.js';

const MAX_ID = 1 << 24;

/** `config`: tokenizer_config.json, where there is one. Throws E_MODEL_INVALID or E_MODEL_UNSUPPORTED. */
export function tokenizerFromJson(object: JsonObject, config: JsonObject, path: string): BpeTokenizer {
  const json = new JsonFields(object, path);
  const model = json.required('model', json.fields('model'));
  const modelType = model.string('type') ?? (model.get('merges') ? 'BPE' : 'unknown');
  if (modelType !== 'BPE') {
    throw modelUnsupported(path, `tokenizer model ${quote(modelType)} is not supported; supported: BPE`);
  }
  refuseSuffixes(model);
  const ids = readVocabulary(model);
  const merges = readMerges(model, ids);
  const addedTokens = readAddedTokens(json.get('added_tokens'), path);
  for (const { content, id } of addedTokens) ids.set(content, id);
  const decoding = readDecoder(json.get('decoder'), path);
  const unknown = model.string('unk_token');
  const affixes = readAffixes(json.get('post_processor'), ids, path);
  const parts: TokenizerParts = {
    tokens: tokensById(ids),
    merges,
    ignoreMerges: model.bool('ignore_merges') ?? false,
    byteFallback: model.bool('byte_fallback') ?? false,
    unknownId: unknown === undefined ? null : (ids.get(unknown) ?? null),
    fusesUnknown: model.bool('fuse_unk') ?? false,
    addedTokens,
    normalize: readNormalizer(json.get('normalizer'), path),
    preTokenize: readPreTokenizer(json.get('pre_tokenizer') ?? null, path) ?? cutBeforeSpaces(ids.keys()),
    ...decoding,
    ...withLlamaFlags(affixes, new JsonFields(config, 'tokenizer_config.json'), ids),
  };
  return new BpeTokenizer(parts, ids);
}

function refuseSuffixes(model: JsonFields): void {
  for (const name of ['continuing_subword_prefix', 'end_of_word_suffix']) {
    if (model.string(name)) throw modelUnsupported(model.path, `BPE with ${name} is not supported`);
  }
}

function readVocabulary(model: JsonFields): Map<string, number> {
  const vocabulary = model.get('vocab');
  if (!isObject(vocabulary)) throw modelInvalid(model.path, "'model.vocab' is no object");
  const ids = new Map<string, number>();
  for (const token of Object.keys(vocabulary)) ids.set(token, readId(vocabulary[token], token, model.path));
  return ids;
}

function readId(value: unknown, token: string, path: string): number {
  if (Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) < MAX_ID) return value as number;
  throw modelInvalid(path, `token ${quote(token)} has id ${quote(value)}`);
}

/** Each merge is `[left, right]`, or in older files `"left right"`. */
function readMerges(model: JsonFields, ids: ReadonlyMap<string, number>): MergeTable {
  const list = model.get('merges');
  if (!Array.isArray(list)) throw modelInvalid(model.path, "'model.merges' is no list");
  const table = new MergeTable(list.length);
  list.forEach((merge: unknown, rank) => {
    const [left, right] = typeof merge === 'string' ? merge.split(' ') : Array.isArray(merge) ? merge : [];
    const leftId = ids.get(left);
    const rightId = ids.get(right);
    const merged = ids.get(left + right);
    if (leftId === undefined || rightId === undefined || merged === undefined) {
      throw modelInvalid(model.path, `merge ${rank}, ${quote(merge)}, is of tokens that the vocabulary lacks`);
    }
    table.add({ left: leftId, right: rightId, merged, rank });
  });
  return table;
}

function readAddedTokens(list: unknown, path: string): AddedToken[] {
  if (list === undefined || list === null) return [];
  if (!Array.isArray(list) || !list.every(isObject)) throw modelInvalid(path, "'added_tokens' is no list of objects");
  return list.map((object) => {
    const fields = new JsonFields(object, path, 'added_tokens.');
    const content = fields.required('content', fields.string('content'));
    return {
      id: readId(fields.get('id'), content, path),
      content,
      special: fields.bool('special') ?? false,
      lstrip: fields.bool('lstrip') ?? false,
      rstrip: fields.bool('rstrip') ?? false,
      singleWord: fields.bool('single_word') ?? false,
    };
  });
}

export function tokensById(ids: ReadonlyMap<string, number>): (string | undefined)[] {
  let length = 0;
  for (const id of ids.values()) length = Math.max(length, id + 1);
  const tokens: (string | undefined)[] = new Array(length).fill(undefined);
  for (const [token, id] of ids) tokens[id] = token;
  return tokens;
}

const NORMALIZERS = new Set(['NFC', 'NFD', 'NFKC', 'NFKD', 'Replace', 'Prepend', 'Lowercase', 'Strip']);

function readNormalizer(config: unknown, path: string): (text: string) => string {
  if (config === undefined || config === null) return (text) => text;
  for (const step of flatten(config, 'normalizers', path)) {
    const type = String(step.type);
    if (!NORMALIZERS.has(type)) throw modelUnsupported(path, `normalizer ${quote(type)} is not supported`);
  }
  try {
    const normalizer = new SequenceNormalizer({ type: 'Sequence', normalizers: [config] });
    return (text) => normalizer.normalize(text);
  } catch (error) {
    throw modelInvalid(path, `normalizer: ${(error as Error).message}`);
  }
}

/** The steps of a possibly nested `Sequence`. */
function flatten(config: unknown, listName: string, path: string): JsonObject[] {
  if (!isObject(config)) throw modelInvalid(path, `${listName}: expected an object, got ${quote(config)}`);
  if (config.type !== 'Sequence') return [config];
  const list = config[listName];
  if (!Array.isArray(list)) throw modelInvalid(path, `${listName}: a Sequence without a list`);
  return list.flatMap((step) => flatten(step, listName, path));
}

/** Null where the text is not cut at all, as in Llama 2. */
function readPreTokenizer(config: unknown, path: string): PreTokenizer | null {
  if (config === null) return null;
  const steps = flatten(config, 'pretokenizers', path).map((step) => readPreTokenizerStep(step, path));
  return inSequence(steps);
}

function readPreTokenizerStep(step: JsonObject, path: string): PreTokenizer {
  const fields = new JsonFields(step, path, 'pre_tokenizer.');
  const type = fields.string('type');
  switch (type) {
    case 'ByteLevel': {
      // The spelling of bytes is left to the encoder, which works on the bytes themselves.
      const cut: PreTokenizer =
        fields.bool('use_regex') === false ? (text) => [text] : splitBy(pattern(GPT2_PATTERN, path));
      const addsSpace = fields.bool('add_prefix_space') ?? false;
      return addsSpace ? (text, isFirst) => cut(/^\s/.test(text) ? text : ` ${text}`, isFirst) : cut;
    }
    case 'Split':
      return readSplit(fields);
    case 'Digits':
      return splitBy(fields.bool('individual_digits') ? /\p{N}/gu : /\p{N}+/gu);
    case 'Metaspace': {
      const legacy = fields.bool('add_prefix_space') === false ? 'never' : 'always';
      const prepend = fields.string('prepend_scheme') ?? legacy;
      if (prepend !== 'always' && prepend !== 'first' && prepend !== 'never') {
        throw modelInvalid(path, `prepend_scheme ${quote(prepend)}`);
      }
      return metaspace({ prepend, split: fields.bool('split') ?? true });
    }
    default:
      throw modelUnsupported(path, `pre-tokenizer ${quote(type)} is not supported`);
  }
}

function readSplit(fields: JsonFields): PreTokenizer {
  const { path } = fields;
  const target = fields.fields('pattern');
  const source = target?.string('Regex');
  const literal = target?.string('String')?.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
  const regex = pattern(fields.required('pattern', source ?? literal), path);
  if (fields.bool('invert')) return splitInverted(regex);
  const behavior = (fields.string('behavior') ?? 'isolated').toLowerCase();
  const known: SplitBehavior[] = ['isolated', 'removed', 'mergedwithprevious', 'mergedwithnext'];
  const found = known.find((name) => name === behavior);
  if (found === undefined) throw modelUnsupported(path, `splitting behaviour ${quote(behavior)} is not supported`);
  return splitBy(regex, found);
}

/** `invert` with the behaviour `Removed`, the one in use: only the matches stay. */
function splitInverted(regex: RegExp): PreTokenizer {
  return (text) => (text.match(regex) ?? []).filter((piece) => piece.length > 0);
}

function pattern(source: string, path: string): RegExp {
  try {
    return compilePattern(source);
  } catch (error) {
    throw modelUnsupported(path, `pattern ${quote(source)}: ${(error as Error).message.slice(0, 120)}`);
  }
}

function readDecoder(config: unknown, path: string): Pick<TokenizerParts, 'alphabet' | 'stripsLeadingSpace'> {
  const result: Pick<TokenizerParts, 'alphabet' | 'stripsLeadingSpace'> = {
    alphabet: 'chars',
    stripsLeadingSpace: false,
  };
  if (config === undefined || config === null) throw modelUnsupported(path, 'a tokenizer without a decoder');
  for (const step of flatten(config, 'decoders', path)) {
    switch (step.type) {
      case 'ByteLevel':
        result.alphabet = 'bytes';
        break;
      case 'Metaspace':
        result.stripsLeadingSpace = step.prepend_scheme !== 'never' && step.add_prefix_space !== false;
        break;
      case 'Strip':
        result.stripsLeadingSpace = step.content === ' ' && step.start === 1;
        break;
      case 'Replace': // of U+2581 by a space, which the decoder of `chars` does
      case 'ByteFallback':
      case 'Fuse':
        break;
      default:
        throw modelUnsupported(path, `decoder ${quote(step.type)} is not supported`);
    }
  }
  return result;
}

type Affixes = Pick<TokenizerParts, 'prefixIds' | 'suffixIds'>;

/** The ids that a post-processor's template for one text puts before and after it. */
function readAffixes(config: unknown, ids: ReadonlyMap<string, number>, path: string): Affixes {
  const affixes: Affixes = { prefixIds: [], suffixIds: [] };
  if (config === undefined || config === null) return affixes;
  for (const step of flatten(config, 'processors', path)) {
    if (step.type === 'ByteLevel') continue;
    if (step.type !== 'TemplateProcessing') {
      throw modelUnsupported(path, `post-processor ${quote(step.type)} is not supported`);
    }
    if (!Array.isArray(step.single)) throw modelInvalid(path, 'TemplateProcessing without a template');
    let list = affixes.prefixIds;
    for (const item of step.single) {
      if (isObject(item) && 'Sequence' in item) {
        list = affixes.suffixIds;
        continue;
      }
      const name = isObject(item) && isObject(item.SpecialToken) ? item.SpecialToken.id : undefined;
      const id = typeof name === 'string' ? ids.get(name) : undefined;
      if (id === undefined) throw modelInvalid(path, `TemplateProcessing names ${quote(item)}, which is no token`);
      list.push(id);
    }
  }
  return affixes;
}

/** Llama's tokenizer classes take BOS and EOS from flags of tokenizer_config.json instead of the template. */
function withLlamaFlags(affixes: Affixes, config: JsonFields, ids: ReadonlyMap<string, number>): Affixes {
  if (!/^(Code)?Llama/.test(config.string('tokenizer_class') ?? '')) return affixes;
  const flagged = (flag: string, tokenName: string, given: number[]): number[] => {
    const isOn = config.bool(flag);
    if (isOn === undefined) return given;
    const id = ids.get(tokenContent(config.get(tokenName)) ?? '');
    return isOn && id !== undefined ? [id] : [];
  };
  return {
    prefixIds: flagged('add_bos_token', 'bos_token', affixes.prefixIds),
    suffixIds: flagged('add_eos_token', 'eos_token', affixes.suffixIds),
  };
}

/** tokenizer_config.json writes a token as a string, or as an object with `content`. */
export function tokenContent(token: unknown): string | undefined {
  const content = isObject(token) ? token.content : token;
  return typeof content === 'string' ? content : undefined;
}
