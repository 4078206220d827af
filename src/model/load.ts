/** The one way in: a model's name to everything that serving it takes. */
import { dirname } from 'node:path';
import { JsgError } from '../errors.js';
import { log } from '../log.js';
import { dummyModel } from './dummy.js';
import { openGgufModel } from './gguf-model.js';
import { openHfModel } from './hf-model.js';
import type { LoadModelOptions } from './load-options.js';
import { type Located, locateModel } from './locate.js';
import type { LoadedModel, ModelWeights } from './model.js';
import { modelInvalid, modelUnsupported } from './model-error.js';
import { checkQuantization } from './quantization.js';
import { directoryTextSide, ggufTextSide, type TextSide } from './text-side.js';

export type { LoadFormat, LoadModelOptions, LoadProgress } from './load-options.js';

/**
 * Finds the model (downloading it if need be), validates its files and reads its text side. Weights are not read: the
 * runtime maps them. Throws E_MODEL_NOT_FOUND, E_MODEL_INVALID, E_MODEL_UNSUPPORTED, E_DOWNLOAD_FAILED,
 * E_CHECKSUM_MISMATCH, E_IO_FAILED or E_USAGE, each in one line.
 */
export async function loadModel(options: LoadModelOptions): Promise<LoadedModel> {
  const located = await locateModel(options);
  const { weights, ...textSide } = openLocated(located, options);
  checkContextLength(weights, options.contextLength);
  if (options.quantization) checkQuantization(options.quantization, weights.quantizedBy ?? null, options.model);
  return { name: options.model, weights, ...withinVocabulary(textSide, weights, options.model) };
}

/** Fine-tunes at times name tokens that their embeddings lack; the model can't produce them, nor be given them. */
function withinVocabulary(textSide: TextSide, { config }: ModelWeights, name: string): TextSide {
  const { tokenizer, bosTokenId, eosTokenIds } = textSide;
  const numTokens = tokenizer?.vocabSize ?? 0;
  if (numTokens > config.vocabSize) {
    log.warning(`${name}: ${numTokens} tokens, but embeddings for ${config.vocabSize}; the others can't be used`);
  }
  return {
    ...textSide,
    bosTokenId: bosTokenId !== null && bosTokenId < config.vocabSize ? bosTokenId : null,
    eosTokenIds: eosTokenIds.filter((id) => id < config.vocabSize),
  };
}

function openLocated(located: Located, options: LoadModelOptions): TextSide & { weights: ModelWeights } {
  const { path } = located;
  switch (located.kind) {
    case 'gguf': {
      if (options.loadFormat === 'dummy') {
        throw modelUnsupported(path, 'dummy weights are made from a config.json', 'give a directory that has one');
      }
      if (options.loadFormat === 'safetensors') throw modelInvalid(path, 'not safetensors, as --load-format asks');
      const { weights, metadata } = openGgufModel(path);
      return {
        weights: { ...weights, quantizedBy: 'gguf' },
        ...ggufTextSide(metadata, weights.config.vocabSize, options),
      };
    }
    case 'directory':
      return { weights: openHfModel(path), ...directoryTextSide(path, options) };
    case 'config': {
      if (options.loadFormat !== 'dummy') {
        throw modelInvalid(path, 'a config alone is no model', 'add --load-format dummy for random weights');
      }
      const weights = dummyModel(path, options.dtype ?? 'auto');
      return { weights, ...directoryTextSide(dirname(path), options, true) };
    }
  }
}

function checkContextLength({ config }: ModelWeights, contextLength: number | undefined): void {
  if (contextLength === undefined || contextLength <= config.maxContextLength) return;
  const problem = `--context-length ${contextLength} is more than the ${config.maxContextLength} the model was trained for`;
  throw new JsgError('E_USAGE', problem, { hint: `give at most ${config.maxContextLength}, or leave it out` });
}
