/** A Hugging Face directory (config.json beside safetensors) as the runtime's configuration and tensor table. */
import { join } from 'node:path';
import type { ModelConfig, TensorInfo } from '../addon/binding.js';
import { parseHfConfig } from './hf-config.js';
import { fileExists, isObject, readJsonObject } from './json-file.js';
import type { ModelWeights } from './model.js';
import { modelInvalid, modelUnsupported, quote } from './model-error.js';
import { type StoredEntry, takePackedTensors } from './packed-tensors.js';
import { isUsable, readSafetensors } from './safetensors.js';
import { planTensors, selectTensors } from './tensor-plan.js';
import { isAllZero } from './tensor-read.js';

const SINGLE_FILE = 'model.safetensors';
export const INDEX_FILE = 'model.safetensors.index.json';

/** Buffers that old checkpoints carry; the runtime computes the frequencies itself. */
const IGNORED = /^model\.(layers\.\d+\.self_attn\.)?rotary_emb\.inv_freq$/;
/** Biases that the decoder has no term for: fine as long as they add nothing. */
const OPTIONAL_BIAS = /^model\.layers\.\d+\.(self_attn\.o_proj|mlp\.(gate|up|down)_proj)\.bias$/;

/** Throws E_MODEL_NOT_FOUND, E_MODEL_INVALID, E_MODEL_UNSUPPORTED or E_IO_FAILED. */
export function openHfModel(directory: string): ModelWeights {
  const { model: config, quantization } = parseHfConfig(
    readJsonObject(join(directory, 'config.json')),
    join(directory, 'config.json'),
  );
  const files = weightFiles(directory);
  const entries = readEntries(files, config);
  const packed = quantization === null ? [] : takePackedTensors(entries, quantization, planTensors(config), files);
  const found = new Map<string, TensorInfo>(packed.map((tensor) => [tensor.name, tensor]));
  for (const entry of entries.values()) {
    const { name, dtype, file } = entry;
    const path = files[file] ?? directory;
    if (!isUsable(dtype)) {
      throw modelUnsupported(path, `tensor ${quote(name)} is ${dtype}; supported: F32, F16, BF16`);
    }
    const tensor = { ...entry, dtype };
    if (!OPTIONAL_BIAS.test(name)) found.set(name, tensor);
    else if (!isAllZero(path, tensor))
      throw modelUnsupported(path, `tensor ${quote(name)}: this bias is not supported`);
  }
  const quantizedBy = quantization?.method ?? null;
  return { config, files, tensors: selectTensors(config, found, directory), quantizedBy };
}

/** All tensors by name, of whatever type, but those that nobody reads. */
function readEntries(files: readonly string[], config: ModelConfig): Map<string, StoredEntry> {
  const entries = new Map<string, StoredEntry>();
  files.forEach((path, file) => {
    for (const entry of readSafetensors(path)) {
      const { name } = entry;
      if (isIgnored(name, config)) continue;
      const other = entries.get(name);
      if (other !== undefined) throw modelInvalid(path, `tensor ${quote(name)} is also in ${files[other.file]}`);
      entries.set(name, { ...entry, file });
    }
  });
  return entries;
}

function isIgnored(name: string, config: ModelConfig): boolean {
  // A tied head is often stored all the same.
  return IGNORED.test(name) || (config.tiedEmbeddings && name === 'lm_head.weight');
}

/** Absolute paths of the safetensors files of a directory: those of its index, or the single one. */
function weightFiles(directory: string): string[] {
  const index = join(directory, INDEX_FILE);
  if (!fileExists(index)) {
    const single = join(directory, SINGLE_FILE);
    if (fileExists(single)) return [single];
    const hint = 'PyTorch .bin checkpoints are not read; use one saved as safetensors, or a GGUF file';
    throw modelInvalid(directory, `no ${SINGLE_FILE} and no ${INDEX_FILE}`, hint);
  }
  return shardNames(readJsonObject(index).weight_map, index).map((name) => {
    const path = join(directory, name);
    if (!fileExists(path)) throw modelInvalid(directory, `shard ${quote(name)} of ${INDEX_FILE} is missing`);
    return path;
  });
}

/** The distinct files of an index, in order; each a plain name, so that an index can't reach outside its directory. */
export function shardNames(weightMap: unknown, index: string): string[] {
  if (!isObject(weightMap)) throw modelInvalid(index, "'weight_map' is missing");
  const names = new Set<string>();
  for (const name of Object.values(weightMap)) {
    const isPlainName = typeof name === 'string' && /^[^/\\:]+\.safetensors$/.test(name) && !name.startsWith('..');
    if (!isPlainName) throw modelInvalid(index, `shard name ${quote(name)} is not a plain .safetensors file name`);
    names.add(name);
  }
  if (names.size === 0) throw modelInvalid(index, "'weight_map' is empty");
  return [...names].sort();
}
