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
  'A-Za-z\\u00B5\\u00C0-\\u00D6\\u00D8-\\u00F6\\u00F8-\\u01BA\\u01BC-\\u01BF\\u01C4-\\u0293\\u0295-\\u02AF\\u0370-\\u0373\\u0376\\u0377\\u037B-\\u037D\\u037F\\u0386\\u0388-\\u038A\\u038C\\u038E-\\u03A1\\u03A3-\\u03F5\\u03F7-\\u0481\\u048A-\\u052F\\u0531-\\u0556\\u10A0-\\u10C5\\u13A0-\\u13F5\\u13F8-\\u13FD\\u1C90-\\u1CBA\\u1CBD-\\u1CBF\\u1D00-\\u1D2B\\u1D6B-\\u1D77\\u1D79-\\u1D9A\\u1E00-\\u1F15\\u1F18-\\u1F1D\\u1F20-\\u1F45\\u1F48-\\u1F4D\\u1F50-\\u1F57\\u1F59\\u1F5B\\u1F5D\\u1F5F-\\u1F7D\\u1F80-\\u1FB4\\u1FB6-\\u1FBC\\u1FBE\\u1FC2-\\u1FC4\\u1FC6-\\u1FCC\\u1FD0-\\u1FD3\\u1FD6-\\u1FDB\\u1FE0-\\u1FEC\\u1FF2-\\u1FF4\\u1FF6-\\u1FFC\\u2102\\u2107\\u210A-\\u2113\\u2115\\u2119-\\u211D\\u2124\\u2126\\u2128\\u212A-\\u212D\\u212F-\\u2134\\u2139\\u213C-\\u213F\\u2145-\\u2149\\u214E\\u2183\\u2184\\u2C00-\\u2C7B\\u2C7E-\\u2CE4\\u2CEB-\\u2CEE\\u2CF2\\u2CF3\\uA640-\\uA66D\\uA680-\\uA69B\\uA722-\\uA76F\\uA771-\\uA787\\uA78B-\\uA78E\\uAB70-\\uABBF\\uFB00-\\uFB06\\uFB13-\\uFB17\\uFF21-\\uFF3A\\uFF41-\\uFF5A\\u{10400}-\\u{1044F}\\u{104B0}-\\u{104D3}\\u{104D8}-\\u{104FB}\\u{10C80}-\\u{10CB2}\\u{10CC0}-\\u{10CF2}\\u{118A0}-\\u{118DF}\\u{1E900}-\\u{1E943}';
const CJK = '[\\u4E00-\\u9FA5\\u0800-\\u4E00\\uAC00-\\uD7FF]+';

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
      '\\s?[!-/:-~\\uFF01-\\uFF0F\\uFF1A-\\uFF5E\\u2018-\\u201F\\u3000-\\u3002]+',
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
      '[\\u4E00-\\u9FA5\\u3040-\\u309F\\u30A0-\\u30FF]+',
      `${PUNCTUATED_WORD}|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|${SPACES}`,
    ],
  }),
  // What llama.cpp cuts by where a converter didn't recognise the pre-tokenizer.
  ...named(['default'], {
    patterns: ['[\\p{P}\\$\\+<=>\\^~\\|]+', GPT2_PATTERN, '\\p{N}+', '[0-9][0-9][0-9]'],
  }),
]);
