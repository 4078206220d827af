/**
 * How text is cut into words for each `tokenizer.ggml.pre`, the name that the GGUF converter gives a tokenizer.json's
 * pre-tokenizer. Patterns are those of the models' own tokenizer.json; several cut one after the other.
 */
import { GPT2_PATTERN } from './pre-tokenizer.js';

export interface GgufPattern {
  patterns: readonly string[];
  /** A word that is a token as it stands is not merged up to. */
  ignoreMerges?: boolean;
  /** Default of `tokenizer.ggml.add_bos_token`. */
  addBos?: boolean;
}

const CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
const LETTERS = '[^\\r\\n\\p{L}\\p{N}]?\\p{L}+';
const SYMBOLS = ' ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*';
const SPACES = '\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';
const UPPER = '[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]';
const LOWER = '[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]';
const CASED_SYMBOLS = ' ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*';

const LLAMA3 = [`${CONTRACTIONS}|${LETTERS}|\\p{N}{1,3}|${SYMBOLS}|${SPACES}`];
const QWEN2 = [`${CONTRACTIONS}|${LETTERS}|\\p{N}|${SYMBOLS}|${SPACES}`];
const DIGITS_GPT2 = ['\\p{N}', GPT2_PATTERN];
const CASED = (ending: string) =>
  `[^\\r\\n\\p{L}\\p{N}]?${UPPER}*${LOWER}+${ending}|[^\\r\\n\\p{L}\\p{N}]?${UPPER}+${LOWER}*${ending}`;
const PUNCTUATED_WORD = '[!"#$%&\'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+';

/** Letters of the alphabets with case, as DeepSeek LLM lists them. */
const CASED_LETTERS =
  'A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃';
const CJK = '[一-龥ࠀ-一가-퟿]+';

function named(names: string[], pattern: GgufPattern): [string, GgufPattern][] {
  return names.map((name) => [name, pattern]);
}

export const GGUF_PATTERNS: ReadonlyMap<string, GgufPattern> = new Map([
  ...named(['smollm', 'starcoder', 'refact', 'command-r', 'codeshell', 'exaone', 'minerva-7b'], {
    patterns: DIGITS_GPT2,
  }),
  ...named(['gpt-2', 'phi-2', 'mpt', 'olmo', 'jais', 'trillion', 'granite-docling', 'mellum'], {
    patterns: [GPT2_PATTERN],
  }),
  ...named(['llama-bpe', 'llama3', 'llama-v3', 'falcon3', 'pixtral', 'midm-2.0', 'lfm2'], {
    patterns: LLAMA3,
    ignoreMerges: true,
    addBos: true,
  }),
  ...named(['smaug-bpe', 'dbrx', 'chatglm-bpe'], { patterns: LLAMA3 }),
  ...named(['qwen2', 'deepseek-r1-qwen', 'megrez', 'stablelm2', 'hunyuan', 'solar-open', 'kormo'], {
    patterns: QWEN2,
  }),
  ...named(['qwen35'], {
    patterns: [
      `${CONTRACTIONS}|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|${SPACES}`,
    ],
  }),
  ...named(['seed-coder'], {
    patterns: [`${CONTRACTIONS}|${LETTERS}|\\p{N}{1}| ?[^\\s\\p{L}\\p{N}\\r\\n]+|${SPACES}`],
  }),
  ...named(['tekken'], {
    patterns: [`${CASED('')}|\\p{N}|${CASED_SYMBOLS}|${SPACES}`],
    ignoreMerges: true,
    addBos: true,
  }),
  ...named(['gpt-4o', 'llama4'], {
    patterns: [`${CASED(`${CONTRACTIONS}?`)}|\\p{N}{1,3}|${CASED_SYMBOLS}|${SPACES}`],
  }),
  ...named(['deepseek-llm'], {
    patterns: [
      '[\\r\\n]',
      `\\s?[${CASED_LETTERS}]+`,
      '\\s?[!-/:-~！-／：-～‘-‟　-。]+',
      // `\s+$`, with a look behind that keeps a long run from being tried at each of its places.
      '(?<!\\s)\\s+$',
      CJK,
      '\\p{N}+',
    ],
  }),
  ...named(['deepseek-coder'], {
    patterns: ['[\\r\\n]', '\\s?\\p{L}+', '\\s?\\p{P}+', CJK, '\\p{N}'],
  }),
  ...named(['deepseek-v3', 'hunyuan-dense', 'joyai-llm'], {
    patterns: [
      '\\p{N}{1,3}',
      '[一-龥぀-ゟ゠-ヿ]+',
      `${PUNCTUATED_WORD}|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|${SPACES}`,
    ],
  }),
  // What llama.cpp cuts by where a converter didn't recognise the pre-tokenizer.
  ...named(['default'], {
    patterns: ['[\\p{P}\\$\\+<=>\\^~\\|]+', GPT2_PATTERN, '\\p{N}+', '[0-9][0-9][0-9]'],
  }),
]);
