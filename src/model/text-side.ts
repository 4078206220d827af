/** The text side of a model: tokenizer, chat template, where answers end. From a directory, or out of a GGUF file. */
import { dirname, join } from 'node:path';
import { JsgError } from '../errors.js';
import { CHATML_TEMPLATE, JinjaChatTemplate, type TemplateSources } from './chat-template.js';
import { ggufEosTokenIds, ggufGenerationDefaults, hfEosTokenIds, hfGenerationDefaults } from './generation-config.js';
import type { GgufMetadata } from './gguf-metadata.js';
import { readTokenId, tokenizerFromGguf } from './gguf-tokenizer.js';
import {
  fileExists,
  isObject,
  type JsonObject,
  readJsonObject,
  readOptionalJsonObject,
  readText,
} from './json-file.js';
import type { LoadModelOptions } from './load-options.js';
import type { LoadedModel, Tokenizer } from './model.js';
import { modelInvalid } from './model-error.js';
import { tokenContent, tokenizerFromJson } from './tokenizer-json.js';

export type TextSide = Pick<
  LoadedModel,
  'tokenizer' | 'chatTemplate' | 'bosTokenId' | 'eosTokenIds' | 'generationDefaults'
>;
type Options = Pick<LoadModelOptions, 'tokenizerPath' | 'skipTokenizerInit' | 'chatTemplatePath'>;

/** What a template may be made from; `template` undefined: none was given. */
type Found = Omit<TemplateSources, 'template'> & { template: string | undefined };

/** Of a GGUF file, all in its metadata. */
export function ggufTextSide(metadata: GgufMetadata, vocabSize: number, options: Options): TextSide {
  const tokenizer = ggufTokenizer(metadata, options);
  if (tokenizer !== null && tokenizer.vocabSize > vocabSize) {
    throw modelInvalid(metadata.path, `${tokenizer.vocabSize} tokens, but embeddings for ${vocabSize}`);
  }
  const names = { bos_token: 'bos', eos_token: 'eos', pad_token: 'padding', unk_token: 'unknown' };
  const tokens: Record<string, string> = {};
  const strings = metadata.strings('tokenizer.ggml.tokens') ?? [];
  for (const [variable, name] of Object.entries(names)) {
    const id = readTokenId(metadata, `${name}_token_id`, vocabSize);
    tokens[variable] = id === null ? '' : (strings[id] ?? '');
  }
  const template = metadata.string('tokenizer.chat_template');
  const toolTemplate = metadata.string('tokenizer.chat_template.tool_use');
  return {
    tokenizer,
    chatTemplate: makeTemplate({ template, toolTemplate, tokens, source: metadata.path }, tokenizer, options),
    bosTokenId: readTokenId(metadata, 'bos_token_id', vocabSize),
    eosTokenIds: ggufEosTokenIds(metadata, tokenizer, vocabSize),
    generationDefaults: ggufGenerationDefaults(metadata),
  };
}

function ggufTokenizer(metadata: GgufMetadata, { skipTokenizerInit, tokenizerPath }: Options): Tokenizer | null {
  if (skipTokenizerInit) return null;
  return tokenizerPath === undefined ? tokenizerFromGguf(metadata) : openTokenizer(tokenizerPath);
}

/**
 * Of a directory with tokenizer.json and its companions. `isOptional`: without a tokenizer.json the model has no text
 * side (dummy weights).
 */
export function directoryTextSide(directory: string, options: Options, isOptional = false): TextSide {
  const at = (name: string) => join(directory, name);
  const generation = readOptionalJsonObject(at('generation_config.json')) ?? {};
  const config = readOptionalJsonObject(at('config.json')) ?? {};
  const tokenizerConfig = readOptionalJsonObject(at('tokenizer_config.json')) ?? {};
  const hasNone = isOptional && options.tokenizerPath === undefined && !fileExists(at('tokenizer.json'));
  const tokenizer = options.skipTokenizerInit || hasNone ? null : openTokenizer(options.tokenizerPath ?? directory);
  const idOf = (name: string) => tokenizer?.tokenId(tokenContent(tokenizerConfig[name]) ?? '');
  const [configBos] = [config.bos_token_id].flat();
  return {
    tokenizer,
    chatTemplate: makeTemplate(findTemplate(directory, tokenizerConfig), tokenizer, options),
    bosTokenId: idOf('bos_token') ?? (Number.isSafeInteger(configBos) ? (configBos as number) : null),
    eosTokenIds: hfEosTokenIds(generation, config, idOf('eos_token')),
    generationDefaults: hfGenerationDefaults(generation),
  };
}

/** From a directory, or from a tokenizer.json by any name; tokenizer_config.json beside it counts. */
function openTokenizer(path: string): Tokenizer {
  const file = path.endsWith('.json') ? path : join(path, 'tokenizer.json');
  if (!fileExists(file)) {
    const hint = 'save one with transformers (AutoTokenizer...save_pretrained), or give --skip-tokenizer-init';
    throw new JsgError('E_MODEL_NOT_FOUND', `${file}: no such file`, { hint });
  }
  const config = readOptionalJsonObject(join(dirname(file), 'tokenizer_config.json')) ?? {};
  return tokenizerFromJson(readJsonObject(file), config, file);
}

/** chat_template.jinja before chat_template.json before tokenizer_config.json, as transformers has it. */
function findTemplate(directory: string, config: JsonObject): Found {
  const tokens: Record<string, string> = {};
  for (const name of ['bos_token', 'eos_token', 'pad_token', 'unk_token']) {
    const content = tokenContent(config[name]);
    if (content !== undefined) tokens[name] = content;
  }
  const jinja = join(directory, 'chat_template.jinja');
  if (fileExists(jinja)) {
    const forTools = join(directory, 'additional_chat_templates', 'tool_use.jinja');
    const toolTemplate = fileExists(forTools) ? readText(forTools) : undefined;
    return { template: readText(jinja), toolTemplate, tokens, source: jinja };
  }
  const json = join(directory, 'chat_template.json');
  const inJson = readOptionalJsonObject(json)?.chat_template;
  const source = inJson === undefined ? join(directory, 'tokenizer_config.json') : json;
  return { ...pickTemplates(inJson ?? config.chat_template, source), tokens, source };
}

/** One template, or a list of named ones: `default`, and `tool_use` for requests with tools. */
function pickTemplates(value: unknown, source: string): Pick<Found, 'template' | 'toolTemplate'> {
  if (value === undefined || value === null) return { template: undefined };
  if (typeof value === 'string') return { template: value };
  if (!Array.isArray(value)) throw modelInvalid(source, "'chat_template' is neither a text nor a list");
  const named = (name: string) => {
    const entry = value.find((item) => isObject(item) && item.name === name) as JsonObject | undefined;
    return typeof entry?.template === 'string' ? entry.template : undefined;
  };
  return { template: named('default') ?? named('tool_use'), toolTemplate: named('tool_use') };
}

function makeTemplate(
  found: Found,
  tokenizer: Tokenizer | null,
  { chatTemplatePath }: Options,
): JinjaChatTemplate | null {
  if (chatTemplatePath !== undefined) {
    return new JinjaChatTemplate({
      template: readText(chatTemplatePath),
      tokens: found.tokens,
      source: chatTemplatePath,
    });
  }
  if (found.template !== undefined) return new JinjaChatTemplate({ ...found, template: found.template });
  const hasChatMl = tokenizer?.tokenId('<|im_start|>') !== undefined && tokenizer.tokenId('<|im_end|>') !== undefined;
  return hasChatMl ? new JinjaChatTemplate({ ...found, template: CHATML_TEMPLATE }) : null;
}
