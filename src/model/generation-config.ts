/** Where answers end, and how a model's makers would have it sampled. */
import type { GgufMetadata } from './gguf-metadata.js';
import { readTokenId } from './gguf-tokenizer.js';
import type { JsonObject } from './json-file.js';
import type { GenerationDefaults, Tokenizer } from './model.js';

/** Tokens that end a turn in one chat format or another, which a GGUF file may have without naming them. */
const END_OF_TURN = [
  '<|im_end|>',
  '<|eot_id|>',
  '<|eom_id|>',
  '<|end|>',
  '<end_of_turn>',
  '<|endoftext|>',
  '<|end_of_text|>',
  '<｜end▁of▁sentence｜>',
];

/** The declared ids, and control tokens of a known name, as llama.cpp takes them. */
export function ggufEosTokenIds(metadata: GgufMetadata, tokenizer: Tokenizer | null, vocabSize: number): number[] {
  const declared = ['eos_token_id', 'eot_token_id', 'eom_token_id'].map((name) =>
    readTokenId(metadata, name, vocabSize),
  );
  const known = END_OF_TURN.map((token) => tokenizer?.tokenId(token)).filter(
    (id) => id !== undefined && tokenizer?.isSpecial(id),
  );
  return distinct([...declared, ...known]);
}

/** Those of generation_config.json and config.json, which name one id or several, and the tokenizer's EOS. */
export function hfEosTokenIds(generation: JsonObject, config: JsonObject, tokenizerEos: number | undefined): number[] {
  return distinct([...idList(generation.eos_token_id), ...idList(config.eos_token_id), tokenizerEos]);
}

function idList(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [value];
}

function distinct(ids: unknown[]): number[] {
  return [...new Set(ids.filter((id): id is number => Number.isSafeInteger(id) && (id as number) >= 0))];
}

/** Out of a generation_config.json; a value outside its range is left out, as are all where it says not to sample. */
export function hfGenerationDefaults(generation: JsonObject): GenerationDefaults {
  if (generation.do_sample === false) return {};
  return defaultsFrom({
    temperature: generation.temperature,
    topK: generation.top_k,
    topP: generation.top_p,
    repetitionPenalty: generation.repetition_penalty,
  });
}

export function ggufGenerationDefaults(metadata: GgufMetadata): GenerationDefaults {
  return defaultsFrom({
    temperature: metadata.number('general.sampling.temp'),
    topK: metadata.number('general.sampling.top_k'),
    topP: metadata.number('general.sampling.top_p'),
    repetitionPenalty: metadata.number('general.sampling.penalty_repeat'),
  });
}

const IN_RANGE: Record<keyof GenerationDefaults, (value: number) => boolean> = {
  temperature: (value) => value >= 0 && value <= 2,
  topK: (value) => Number.isInteger(value) && value >= 0,
  topP: (value) => value > 0 && value <= 1,
  repetitionPenalty: (value) => value > 0 && value <= 2,
};

function defaultsFrom(values: Record<keyof GenerationDefaults, unknown>): GenerationDefaults {
  const entries = Object.entries(values).filter(
    ([name, value]) => typeof value === 'number' && IN_RANGE[name as keyof GenerationDefaults](value),
  );
  return Object.fromEntries(entries);
}
