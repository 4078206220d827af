/**
 * What we take from @huggingface/tokenizers, typed here: the package's own declarations import each other without
 * extensions, which TypeScript can't follow under NodeNext.
 */
import * as library from '@huggingface/tokenizers';

interface Library {
  /** Rewrites patterns of Oniguruma's dialect for JavaScript. */
  SplitPreTokenizer: new (config: {
    type: 'Split';
    pattern: { Regex: string };
    behavior: 'Isolated';
    invert: false;
  }) => { pattern: RegExp | null };
  /** Makes and applies every kind of normalizer; throws on kinds that it doesn't know. */
  SequenceNormalizer: new (config: {
    type: 'Sequence';
    normalizers: unknown[];
  }) => { normalize(text: string): string };
}

export const { SplitPreTokenizer, SequenceNormalizer } = library as unknown as Library;
