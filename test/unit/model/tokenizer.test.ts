import { describe, expect, test } from 'vitest';
import { readGguf } from '../../../src/model/gguf.js';
import { GgufMetadata } from '../../../src/model/gguf-metadata.js';
import { GGUF_PATTERNS } from '../../../src/model/gguf-patterns.js';
import { tokenizerFromGguf } from '../../../src/model/gguf-tokenizer.js';
import { compilePattern } from '../../../src/model/pre-tokenizer.js';
import { tokenizerFromJson } from '../../../src/model/tokenizer-json.js';
import type { KeyValue } from './gguf-builder.js';
import { randomNumbers, refusal, temporaryDirectory, writeFile } from './temporary.js';
import { type TinyGguf, tinyGguf, tinyTokenizerJson } from './tiny-models.js';

const path = `${temporaryDirectory()}/model.gguf`;

function fromGguf(options: TinyGguf = {}) {
  return tokenizerFromGguf(new GgufMetadata(readGguf(writeFile(path, tinyGguf(options)))));
}

function fromJson(overrides: Record<string, unknown> = {}, config: Record<string, unknown> = {}) {
  return tokenizerFromJson(tinyTokenizerJson(overrides), config, 'tokenizer.json');
}

/** Ids of the tiny vocabulary: bytes are themselves. */
const [HE, HELL, SPACE_HELL, IM_START, IM_END] = [256, 258, 259, 261, 262];
const bytes = (text: string) => [...Buffer.from(text, 'utf8')];

describe.each([
  ['GGUF', fromGguf],
  ['tokenizer.json', fromJson],
])('a byte-level vocabulary from %s', (_source, make) => {
  const tokenizer = make();

  test('encodes', () => {
    expect(tokenizer.vocabSize).toBe(264);
    expect(tokenizer.encode('hello hell')).toEqual([HELL, ...bytes('o'), SPACE_HELL]);
    expect(tokenizer.encode('')).toEqual([]);
    expect(tokenizer.encode('hé12')).toEqual(bytes('hé12'));
    expect(tokenizer.encode('he he')).toEqual([HE, ...bytes(' '), HE]);
  });

  test('a lone surrogate becomes U+FFFD', () => {
    expect(tokenizer.encode('\ud83d')).toEqual(bytes('\ufffd'));
  });

  test('recognises special tokens, unless told not to', () => {
    expect(tokenizer.encode('<|im_start|>he<|im_end|>')).toEqual([IM_START, HE, IM_END]);
    expect(tokenizer.encode('<|im_end|>', { parseSpecial: false })).toEqual(bytes('<|im_end|>'));
    expect(tokenizer.encode('<|im_end')).toEqual(bytes('<|im_end'));
    expect([tokenizer.tokenId('<|im_end|>'), tokenizer.tokenId('none')]).toEqual([IM_END, undefined]);
    expect([tokenizer.isSpecial(IM_END), tokenizer.isSpecial(HE), tokenizer.isSpecial(9999)]).toEqual([
      true,
      false,
      false,
    ]);
  });

  test('decodes, with special tokens or without', () => {
    const ids = [IM_START, SPACE_HELL, ...bytes('ö'), IM_END];
    expect(tokenizer.decode(ids)).toBe(' hellö');
    expect(tokenizer.decode(ids, { skipSpecialTokens: false })).toBe('<|im_start|> hellö<|im_end|>');
    expect(tokenizer.decode([])).toBe('');
    expect(tokenizer.decode([0xe2, 0x82])).toBe('\ufffd');
    expect(tokenizer.decode([HE, 99_999])).toBe('he');
  });

  test('gives the bytes of a token', () => {
    expect([...tokenizer.tokenBytes(SPACE_HELL)]).toEqual(bytes(' hell'));
    expect([...tokenizer.tokenBytes(0xc3)]).toEqual([0xc3]);
    expect([...tokenizer.tokenBytes(IM_END)]).toEqual(bytes('<|im_end|>'));
    for (const none of [-1, tokenizer.vocabSize, 99_999]) expect([...tokenizer.tokenBytes(none)]).toEqual([]);
    // Served for days, every token is asked for: no memory of its own for each.
    expect(tokenizer.tokenBytes(IM_END).buffer).toBe(tokenizer.tokenBytes(0xc3).buffer);
  });

  test('any text comes back, at once and streamed', () => {
    const random = randomNumbers(11);
    const parts = ['hell', ' hello', '  ', '\n', '12', 'é', '世界', '😀', "it's", '<|', '\u0000', '\u200b', '.', '#'];
    for (let round = 0; round < 500; round++) {
      const text = Array.from({ length: random(12) }, () => parts[random(parts.length)]).join('');
      const ids = tokenizer.encode(text);
      expect(tokenizer.decode(ids)).toBe(text);
      const stream = tokenizer.stream();
      expect(ids.map((id) => stream.push(id)).join('') + stream.end()).toBe(text);
    }
  });
});

describe('a GGUF vocabulary', () => {
  const bool = (key: string, value: boolean): KeyValue => ({ key: `tokenizer.ggml.${key}`, type: 'bool', value });
  const pre = (value: string): KeyValue => ({ key: 'tokenizer.ggml.pre', type: 'string', value });

  test('adds BOS and EOS as its flags say, or as its kind does', () => {
    expect(fromGguf().encode('he')).toEqual([HE]);
    expect(fromGguf({ with: [bool('add_bos_token', true), bool('add_eos_token', true)] }).encode('he')).toEqual([
      IM_START,
      HE,
      IM_END,
    ]);
    expect(fromGguf({ with: [pre('llama-bpe')] }).encode('he')).toEqual([IM_START, HE]);
    expect(fromGguf({ with: [pre('llama-bpe')] }).encode('he', { addSpecialTokens: false })).toEqual([HE]);
  });

  test('is cut as its pre-tokenizer says', () => {
    // `\p{N}{1,3}` of Llama 3 lets digits merge that SmolLM keeps apart; here seen by what merges across a space.
    const pieces = (name: string) => fromGguf({ with: [pre(name)] }).encode(' hell', { addSpecialTokens: false });
    for (const name of ['smollm', 'gpt-2', 'llama-bpe', 'qwen2', 'tekken']) expect(pieces(name)).toEqual([SPACE_HELL]);
  });

  test('every known pattern compiles and loses nothing', () => {
    const text = "I'LL don't  ÄÖ 1234 ²³ x=y+1;\r\n\n\t世界です 한국 😀\u00a0\u0085 e\u0301 ...!?  ";
    for (const [name, { patterns }] of GGUF_PATTERNS) {
      for (const source of patterns) expect(() => compilePattern(source), name).not.toThrow();
      const tokenizer = fromGguf({ with: [pre(name)] });
      expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
    }
  });

  test.each<[what: string, options: TinyGguf, message: RegExp]>([
    ['an unknown pre-tokenizer', { with: [pre('martian')] }, /pre-tokenizer 'martian' .* is not supported/],
    [
      'an unknown model',
      { with: [{ key: 'tokenizer.ggml.model', type: 'string', value: 'rwkv' }] },
      /tokenizer model 'rwkv' is not supported/,
    ],
    ['no merges', { without: ['tokenizer.ggml.merges'] }, /'tokenizer.ggml.merges' is missing/],
    ['no tokens', { without: ['tokenizer.ggml.tokens'] }, /'tokenizer.ggml.tokens' is missing/],
    [
      'a merge of unknown tokens',
      { with: [{ key: 'tokenizer.ggml.merges', type: 'array', elementType: 'string', value: ['x y'] }] },
      /merge 0, 'x y'/,
    ],
    [
      'too few types',
      { with: [{ key: 'tokenizer.ggml.token_type', type: 'array', elementType: 'i32', value: [1] }] },
      /1 token types for 264 tokens/,
    ],
    [
      'an EOS outside the vocabulary',
      { with: [{ key: 'tokenizer.ggml.eos_token_id', type: 'u32', value: 264 }] },
      /eos_token_id is 264/,
    ],
  ])('%s is refused', (_what, options, message) => {
    expect(refusal(() => fromGguf(options)).message).toMatch(message);
  });
});

/** A vocabulary as SentencePiece makes them: scores instead of merges, bytes as a last resort. */
function sentencePiece(extra: KeyValue[] = []) {
  const byteTokens = Array.from(
    { length: 256 },
    (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`,
  );
  const words = ['▁', 'h', 'e', 'l', 'o', 'he', 'll', '▁he', 'hell', '▁hell'];
  const tokens = ['<unk>', '<s>', '</s>', ...byteTokens, ...words];
  const types = tokens.map((_, id) => (id === 0 ? 2 : id < 3 ? 3 : id < 259 ? 6 : 1));
  const scores = tokens.map((token, id) => (id < 259 ? 0 : -words.indexOf(token)));
  return fromGguf({
    without: ['tokenizer.ggml.pre', 'tokenizer.ggml.merges'],
    with: [
      { key: 'tokenizer.ggml.model', type: 'string', value: 'llama' },
      { key: 'tokenizer.ggml.tokens', type: 'array', elementType: 'string', value: tokens },
      { key: 'tokenizer.ggml.token_type', type: 'array', elementType: 'i32', value: types },
      { key: 'tokenizer.ggml.scores', type: 'array', elementType: 'f32', value: scores },
      { key: 'tokenizer.ggml.bos_token_id', type: 'u32', value: 1 },
      { key: 'tokenizer.ggml.eos_token_id', type: 'u32', value: 2 },
      { key: 'tokenizer.ggml.unknown_token_id', type: 'u32', value: 0 },
      ...extra,
    ],
  });
}

describe('a SentencePiece vocabulary', () => {
  const tokenizer = sentencePiece();
  const id = (token: string) => tokenizer.tokenId(token) as number;
  const encode = (text: string) => tokenizer.encode(text, { addSpecialTokens: false });

  test('puts a space first, and merges the best score first', () => {
    expect(tokenizer.encode('hell')).toEqual([1, id('▁hell')]);
    // `he` and `ll` have better scores than `▁he`, so `▁he` forms only where `he` is whole.
    expect(encode('hello  he')).toEqual([id('▁hell'), id('o'), id('▁'), id('▁he')]);
  });

  test('spells unknown characters in bytes, and reads them back', () => {
    expect(encode('é')).toEqual([id('▁'), id('<0xC3>'), id('<0xA9>')]);
    expect(tokenizer.decode(encode('é hell\n'))).toBe('é hell\n');
    expect([...tokenizer.tokenBytes(id('<0xC3>'))]).toEqual([0xc3]);
    expect([...tokenizer.tokenBytes(id('▁he'))]).toEqual(bytes(' he'));
  });

  test('takes the first space off again, unless the ids continue a text', () => {
    const ids = encode('hell he');
    expect(tokenizer.decode(ids)).toBe('hell he');
    expect(tokenizer.decode([1, ...ids])).toBe('hell he');
    expect(tokenizer.decode(ids, { continues: true })).toBe(' hell he');
    expect(tokenizer.decode(encode('  he'))).toBe('  he');
  });

  test('puts no space where the file says so', () => {
    const bare = sentencePiece([{ key: 'tokenizer.ggml.add_space_prefix', type: 'bool', value: false }]);
    expect(bare.encode('he', { addSpecialTokens: false })).toEqual([id('he')]);
    expect(bare.decode([id('▁he')])).toBe(' he');
  });

  test('special tokens cut the text, and each part gets its space', () => {
    expect(tokenizer.encode('he</s>he')).toEqual([1, id('▁he'), 2, id('▁he')]);
  });
});

describe('a tokenizer.json', () => {
  const isolated = (Regex: string) => ({ type: 'Split', pattern: { Regex }, behavior: 'Isolated', invert: false });
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, use_regex: false };
  const cutBy = (...steps: object[]) =>
    fromJson({ pre_tokenizer: { type: 'Sequence', pretokenizers: [...steps, byteLevel] } });

  test('cuts by patterns of its own', () => {
    expect(cutBy(isolated('l')).encode('hell')).toEqual([HE, ...bytes('ll')]);
    expect(cutBy({ ...isolated('l'), behavior: 'Removed' }).encode('hell')).toEqual([HE]);
    expect(cutBy({ ...isolated('he'), behavior: 'MergedWithPrevious' }).encode('xhell')).toEqual([
      ...bytes('x'),
      HE,
      257,
    ]);
    expect(cutBy({ ...isolated('ll'), behavior: 'MergedWithNext' }).encode('hell')).toEqual([HE, 257]);
    expect(cutBy({ ...isolated('he|l'), behavior: 'Removed', invert: true }).encode('hexl')).toEqual([
      HE,
      ...bytes('l'),
    ]);
    expect(cutBy({ type: 'Split', pattern: { String: 'l' }, behavior: 'Isolated' }).encode('ll')).toEqual(bytes('ll'));
    expect(cutBy({ type: 'Digits', individual_digits: false }).encode('he1')).toEqual([HE, ...bytes('1')]);
  });

  test('may have merges as pairs, normalizers, a prefix space', () => {
    const { model } = tinyTokenizerJson() as { model: { merges: string[] } };
    const pairs = { ...model, merges: model.merges.map((merge) => merge.split(' ')) };
    expect(fromJson({ model: pairs }).encode('hell')).toEqual([HELL]);
    expect(fromJson({ normalizer: { type: 'NFC' } }).encode('e\u0301')).toEqual(bytes('é'));
    expect(fromJson({ normalizer: { type: 'Sequence', normalizers: [{ type: 'Lowercase' }] } }).encode('HE')).toEqual([
      HE,
    ]);
    expect(fromJson({ pre_tokenizer: { ...byteLevel, add_prefix_space: true } }).encode('hell')).toEqual([SPACE_HELL]);
    expect(fromJson({ model: { ...model, ignore_merges: true, merges: [] } }).encode('hell')).toEqual([HELL]);
  });

  test('puts around a text what its template says, or its flags for Llama', () => {
    const item = (id: string) => ({ SpecialToken: { id, type_id: 0 } });
    const single = [item('<|im_start|>'), { Sequence: { id: 'A', type_id: 0 } }, item('<|im_end|>')];
    const template = { type: 'TemplateProcessing', single, pair: [], special_tokens: {} };
    const post_processor = { type: 'Sequence', processors: [{ type: 'ByteLevel' }, template] };
    expect(fromJson({ post_processor }).encode('he')).toEqual([IM_START, HE, IM_END]);
    expect(fromJson({ post_processor }).encode('he', { addSpecialTokens: false })).toEqual([HE]);
    const llama = { tokenizer_class: 'LlamaTokenizerFast', bos_token: { content: '<|im_start|>' } };
    expect(fromJson({}, { ...llama, add_bos_token: true }).encode('he')).toEqual([IM_START, HE]);
    expect(fromJson({ post_processor }, { ...llama, add_bos_token: false }).encode('he')).toEqual([HE, IM_END]);
  });

  test('added tokens: the longest wins, spaces and words around them count', () => {
    const added = (content: string, id: number, more: object = {}) => ({ id, content, special: false, ...more });
    const tokenizer = fromJson({
      added_tokens: [
        added('<a>', 260),
        added('<a><b>', 261),
        added('<l>', 262, { lstrip: true, rstrip: true }),
        added('ww', 263, { single_word: true }),
      ],
    });
    expect(tokenizer.encode('<a><b><a>')).toEqual([261, 260]);
    expect(tokenizer.encode('he \n<l>  he')).toEqual([HE, 262, HE]);
    expect(tokenizer.encode('ww.xww')).toEqual([263, ...bytes('.xww')]);
  });

  test.each<[what: string, overrides: Record<string, unknown>, message: RegExp]>([
    ['no model', { model: undefined }, /'model' is missing/],
    ['another model', { model: { type: 'Unigram', vocab: [] } }, /tokenizer model 'Unigram' is not supported/],
    ['an id of -1', { model: { type: 'BPE', vocab: { a: -1 }, merges: [] } }, /token 'a' has id '-1'/],
    ['an absurd id', { model: { type: 'BPE', vocab: { a: 1e15 }, merges: [] } }, /token 'a' has id/],
    ['merges that are no list', { model: { type: 'BPE', vocab: {}, merges: 7 } }, /'model.merges' is no list/],
    ['a merge of unknown tokens', { model: { type: 'BPE', vocab: { a: 0 }, merges: ['a b'] } }, /merge 0, 'a b'/],
    ['an unknown normalizer', { normalizer: { type: 'Martian' } }, /normalizer 'Martian' is not supported/],
    ['an unknown pre-tokenizer', { pre_tokenizer: { type: 'Martian' } }, /pre-tokenizer 'Martian'/],
    ['an unknown decoder', { decoder: { type: 'CTC' } }, /decoder 'CTC'/],
    ['an unknown post-processor', { post_processor: { type: 'Martian' } }, /post-processor 'Martian'/],
    ['a pattern that is none', { pre_tokenizer: isolated('(') }, /pattern '\('/],
    ['an unknown splitting', { pre_tokenizer: { ...isolated('a'), behavior: 'Martian' } }, /behaviour 'martian'/],
  ])('%s is refused', (_what, overrides, message) => {
    expect(refusal(() => fromJson(overrides)).message).toMatch(message);
  });
});
