/** A GGUF file (or its splits) as the runtime's configuration and tensor table, under Hugging Face names. */
import { basename, dirname, join } from 'node:path';
import type { ModelConfig, RopeScaling, TensorInfo } from '../addon/binding.js';
import { type GgufHeader, readGguf } from './gguf.js';
import { GgufMetadata } from './gguf-metadata.js';
import type { ModelWeights } from './model.js';
import { modelInvalid, modelUnsupported, quote } from './model-error.js';
import { checkConfig, selectTensors } from './tensor-plan.js';
import { isAllZero } from './tensor-read.js';

/** Mistral's files call themselves llama: the same decoder. */
const ARCHITECTURES = ['llama', 'qwen2', 'qwen3'] as const;
type GgufArchitecture = (typeof ARCHITECTURES)[number];

/** Parts of a tensor's name in GGUF and in Hugging Face. */
const GLOBAL_NAMES: Record<string, string> = {
  token_embd: 'model.embed_tokens',
  output_norm: 'model.norm',
  output: 'lm_head',
  rope_freqs: 'rope_freqs',
};
const LAYER_NAMES: Record<string, string> = {
  attn_norm: 'input_layernorm',
  attn_q: 'self_attn.q_proj',
  attn_k: 'self_attn.k_proj',
  attn_v: 'self_attn.v_proj',
  attn_output: 'self_attn.o_proj',
  attn_q_norm: 'self_attn.q_norm',
  attn_k_norm: 'self_attn.k_norm',
  ffn_norm: 'post_attention_layernorm',
  ffn_gate: 'mlp.gate_proj',
  ffn_up: 'mlp.up_proj',
  ffn_down: 'mlp.down_proj',
};
/** Present in some old conversions; the runtime computes the frequencies itself. */
const IGNORED = /^blk\.\d+\.(attn_rot_embd|rope_freqs)\.weight$/;
/** Biases that the decoder has no term for: fine as long as they add nothing. */
const OPTIONAL_BIAS = /^model\.layers\.\d+\.(self_attn\.o_proj|mlp\.(gate|up|down)_proj)\.bias$/;

export interface GgufModel {
  weights: ModelWeights;
  metadata: GgufMetadata;
}

export function openGgufModel(path: string): GgufModel {
  const headers = readSplits(path);
  const first = headers[0];
  if (first === undefined) throw modelInvalid(path, 'no file');
  const metadata = new GgufMetadata(first);
  const ggufNames = new Map<string, string>();
  const found = new Map<string, TensorInfo>();
  headers.forEach((header, file) => {
    for (const tensor of header.tensors) {
      if (IGNORED.test(tensor.name)) continue;
      const name = toHubName(tensor.name);
      if (name === null) {
        throw modelUnsupported(header.path, `tensor ${quote(tensor.name)} has no place in the supported decoders`);
      }
      if (found.has(name)) throw modelInvalid(header.path, `duplicate tensor ${quote(tensor.name)} among the splits`);
      ggufNames.set(name, tensor.name);
      found.set(name, { ...tensor, name, file });
    }
  });
  const files = headers.map((header) => header.path);
  const config = ggufConfig(metadata, found);
  const ropeFreqs = takeRopeFreqs(found, config, path);
  for (const [name, tensor] of found) {
    if (!OPTIONAL_BIAS.test(name)) continue;
    if (!isAllZero(files[tensor.file] ?? path, tensor)) {
      throw modelUnsupported(path, `tensor ${quote(ggufNames.get(name))}: this bias is not supported`);
    }
    found.delete(name);
  }
  const tensors = selectTensors(config, found, path, (name) => ggufNames.get(name) ?? toGgufName(name));
  return { weights: { config, files, tensors: [...tensors, ...ropeFreqs] }, metadata };
}

/** `model-00001-of-00003.gguf` stands for all three; any other name for itself. */
function readSplits(path: string): GgufHeader[] {
  const match = /^(.*)-(\d{5})-of-(\d{5})\.gguf$/.exec(basename(path));
  const first = readGguf(path);
  const declared = new GgufMetadata(first).count('split.count') ?? 1;
  if (match === null) {
    if (declared > 1) throw modelInvalid(path, `is one of ${declared} splits, but not named like one`);
    return [first];
  }
  const [, stem, index, total] = match;
  const count = Number(total);
  if (Number(index) !== 1) {
    throw modelInvalid(path, 'is a later split of a model', `give the first one, ${stem}-00001-of-${total}.gguf`);
  }
  if (declared !== count || count > 1000) {
    throw modelInvalid(path, `its header says ${declared} splits, its name ${count}`);
  }
  const headers = [first];
  for (let i = 2; i <= count; i++) {
    headers.push(readGguf(join(dirname(path), `${stem}-${String(i).padStart(5, '0')}-of-${total}.gguf`)));
  }
  return headers;
}

function toHubName(name: string): string | null {
  const dot = name.lastIndexOf('.');
  const [stem, suffix] = [name.slice(0, dot), name.slice(dot + 1)];
  if (suffix !== 'weight' && suffix !== 'bias') return null;
  const layer = /^blk\.(0|[1-9]\d{0,3})\.(\w+)$/.exec(stem);
  const mapped = layer ? own(LAYER_NAMES, layer[2] ?? '') : own(GLOBAL_NAMES, stem);
  if (mapped === undefined) return null;
  return layer ? `model.layers.${layer[1]}.${mapped}.${suffix}` : `${mapped}.${suffix}`;
}

/** The inverse, to name what is missing as the file would. */
function toGgufName(name: string): string {
  const suffix = name.slice(name.lastIndexOf('.'));
  const stem = name.slice(0, -suffix.length);
  const layer = /^model\.layers\.(\d+)\.(.*)$/.exec(stem);
  const [table, part] = layer ? [LAYER_NAMES, layer[2]] : [GLOBAL_NAMES, stem];
  const ggufPart = Object.keys(table).find((key) => table[key] === part) ?? part;
  return layer ? `blk.${layer[1]}.${ggufPart}${suffix}` : `${ggufPart}${suffix}`;
}

function own<T>(table: Record<string, T>, key: string): T | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}

function ggufConfig(metadata: GgufMetadata, found: ReadonlyMap<string, TensorInfo>): ModelConfig {
  const { path } = metadata;
  const architecture = readArchitecture(metadata);
  const need = (name: string) => {
    const key = `${architecture}.${name}`;
    return metadata.required(key, metadata.countOfEveryLayer(key));
  };
  const count = (name: string) => metadata.countOfEveryLayer(`${architecture}.${name}`);
  const number = (name: string) => metadata.number(`${architecture}.${name}`);
  if ((count('expert_count') ?? 0) > 0) throw modelUnsupported(path, 'mixture of experts is not supported');

  const hiddenSize = need('embedding_length');
  const numHeads = need('attention.head_count');
  const headDim = count('attention.key_length') ?? hiddenSize / numHeads;
  const valueLength = count('attention.value_length') ?? headDim;
  const rotated = count('rope.dimension_count') ?? headDim;
  if (valueLength !== headDim) {
    throw modelUnsupported(path, `values of ${valueLength} beside keys of ${headDim} dimensions a head`);
  }
  if (rotated !== headDim) {
    throw modelUnsupported(path, `only ${rotated} of ${headDim} dimensions of a head are rotated: not supported`);
  }
  const epsKey = `${architecture}.attention.layer_norm_rms_epsilon`;
  const embedding = found.get('model.embed_tokens.weight');
  if (embedding === undefined) throw modelInvalid(path, "tensor 'token_embd.weight' is missing");
  const config: ModelConfig = {
    architecture,
    numLayers: need('block_count'),
    hiddenSize,
    intermediateSize: need('feed_forward_length'),
    numHeads,
    numKvHeads: count('attention.head_count_kv') ?? numHeads,
    headDim,
    vocabSize: embedding.shape[0] ?? 0,
    rmsNormEps: metadata.required(epsKey, metadata.number(epsKey)),
    ropeTheta: number('rope.freq_base') ?? 10000,
    ropeScaling: readRopeScaling(metadata, architecture),
    // The converter of llama permutes the rows of q and k so that neighbours rotate together.
    ropeInterleaved: architecture === 'llama',
    slidingWindow: count('attention.sliding_window') || null,
    tiedEmbeddings: !found.has('lm_head.weight'),
    qkvBias: found.has('model.layers.0.self_attn.q_proj.bias'),
    qkNorm: found.has('model.layers.0.self_attn.q_norm.weight'),
    maxContextLength: need('context_length'),
  };
  checkConfig(config, path);
  return config;
}

function readArchitecture(metadata: GgufMetadata): GgufArchitecture {
  const key = 'general.architecture';
  const name = metadata.required(key, metadata.string(key));
  const known = ARCHITECTURES.find((architecture) => architecture === name);
  if (known !== undefined) return known;
  const supported = `${ARCHITECTURES.join(', ')} (llama includes mistral)`;
  throw modelUnsupported(metadata.path, `architecture ${quote(name)} is not supported; supported: ${supported}`);
}

function readRopeScaling(metadata: GgufMetadata, architecture: string): RopeScaling | null {
  const prefix = `${architecture}.rope.scaling`;
  const type = metadata.string(`${prefix}.type`);
  const factor = metadata.number(`${prefix}.factor`) ?? metadata.number(`${architecture}.rope.scale_linear`) ?? 1;
  switch (type) {
    case undefined:
    case 'linear':
      return factor === 0 || factor === 1 ? null : { type: 'linear', factor };
    case 'none':
      return null;
    default:
      throw modelUnsupported(metadata.path, `rope scaling ${quote(type)} is not supported; supported: linear, llama3`);
  }
}

/** Llama 3's scaling comes as one divisor a frequency; taken out of `found`, shape and type checked. */
function takeRopeFreqs(found: Map<string, TensorInfo>, config: ModelConfig, path: string): TensorInfo[] {
  const tensor = found.get('rope_freqs.weight');
  if (tensor === undefined) return [];
  found.delete(tensor.name);
  const expected = config.headDim / 2;
  if (tensor.shape.length !== 1 || tensor.shape[0] !== expected || tensor.dtype !== 'F32') {
    const got = `${tensor.dtype} [${tensor.shape.join(', ')}]`;
    throw modelInvalid(path, `tensor 'rope_freqs.weight' is ${got}, expected F32 [${expected}]`);
  }
  return [tensor];
}
