/** What a model is to the rest of jsg: a validated tensor table for the runtime, and a text side for the server. */
import type { ModelConfig, TensorInfo, TokenVocabulary } from '../addon/binding.js';
import type { QuantMethod } from './quantization.js';

export interface ModelWeights {
  config: ModelConfig;
  files: string[];
  tensors: TensorInfo[];
  /** By what the checkpoint was quantised; null or absent: it was not. */
  quantizedBy?: QuantMethod | 'gguf' | null;
}

export interface DecodeOptions {
  /** Default true. */
  skipSpecialTokens?: boolean;
  /** Default false. */
  continues?: boolean;
}

export interface Tokenizer {
  readonly vocabSize: number;
  /** Text to ids. `addSpecialTokens`: BOS and the like as the model asks; special tokens written in `text` are recognised when `parseSpecial` (default true: chat templates write them). */
  encode(text: string, options?: { addSpecialTokens?: boolean; parseSpecial?: boolean }): number[];
  /**
   * Ids to text, special tokens left out unless asked for; byte-exact, invalid UTF-8 as U+FFFD. SentencePiece
   * vocabularies put a space before a text, which is taken off again unless the ids continue another text (`continues`:
   * set it for `/v1/completions`, where the answer goes on in the middle of the prompt).
   */
  decode(ids: readonly number[], options?: DecodeOptions): string;
  /** The raw bytes one token stands for (for `logprobs.bytes`), a special token's as its name. Not to be written. */
  tokenBytes(id: number): Buffer;
  isSpecial(id: number): boolean;
  /** Id of an exact token string such as `<|im_end|>`, or undefined. */
  tokenId(token: string): number | undefined;
  /**
   * All tokens as bytes, for grammars. Special tokens have none, so that no constrained text holds one, except those in
   * `spelled`, which count as the text of their names.
   */
  vocabulary(options: {
    vocabSize: number;
    stopTokenIds: readonly number[];
    spelled?: ReadonlySet<number>;
  }): TokenVocabulary;
  /** A detokeniser for one stream. */
  stream(options?: DecodeOptions): StreamDecoder;
}

/** Turns ids into text as they come: deltas never split a UTF-8 character and add up to exactly `decode(all ids)`. */
export interface StreamDecoder {
  push(id: number): string;
  /** What was held back (an unfinished character comes out as U+FFFD). */
  end(): string;
}

export interface ChatMessage {
  role: string;
  content: string | null;
  [key: string]: unknown;
}

export interface ChatTemplate {
  /** The template itself (the one for tools, where there are two), which tells what the model was trained on. */
  readonly text: string;
  /** Throws E_INVALID_REQUEST when the template itself raises (roles out of order and the like) or exceeds its limits. */
  render(
    messages: readonly ChatMessage[],
    options?: { addGenerationPrompt?: boolean; tools?: readonly unknown[]; kwargs?: Record<string, unknown> },
  ): string;
}

/** Sampling defaults of the model's generation_config.json, where it has one. */
export interface GenerationDefaults {
  temperature?: number;
  topK?: number;
  topP?: number;
  repetitionPenalty?: number;
}

export interface LoadedModel {
  /** As the user named it: `smollm2`, a hub id, or a path. */
  name: string;
  weights: ModelWeights;
  /** Null with `--skip-tokenizer-init` or a dummy model without one. */
  tokenizer: Tokenizer | null;
  chatTemplate: ChatTemplate | null;
  bosTokenId: number | null;
  eosTokenIds: number[];
  generationDefaults: GenerationDefaults;
}
