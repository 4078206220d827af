/** The smallest models of each architecture, as GGUF files and as Hugging Face directories. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildGguf, type GgufSpec, type KeyValue, type TensorSpec } from './gguf-builder.js';

export const TINY = { layers: 2, hidden: 8, intermediate: 16, heads: 2, kvHeads: 1, headDim: 4, vocab: 264 };

/** A byte-level vocabulary: 256 bytes, four merges, ChatML's three control tokens and one unused. */
export function tinyTokens(): { tokens: string[]; merges: string[]; types: number[] } {
  const printable = (byte: number) => (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
  let next = 0x100;
  const bytes = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(printable(byte) ? byte : next++));
  const tokens = [...bytes, 'he', 'll', 'hell', 'Ġhell', '<|endoftext|>', '<|im_start|>', '<|im_end|>', '<unused>'];
  const types = tokens.map((_, id) => (id < 260 ? 1 : id < 263 ? 3 : 5));
  return { tokens, merges: ['h e', 'l l', 'he ll', 'Ġ hell'], types };
}

function tensors(architecture: string, tied: boolean): TensorSpec[] {
  const { layers, hidden, intermediate, heads, kvHeads, headDim, vocab } = TINY;
  const list: TensorSpec[] = [{ name: 'token_embd.weight', dims: [hidden, vocab] }];
  for (let i = 0; i < layers; i++) {
    const add = (name: string, ...dims: number[]) => list.push({ name: `blk.${i}.${name}`, dims });
    add('attn_norm.weight', hidden);
    add('attn_q.weight', hidden, heads * headDim);
    add('attn_k.weight', hidden, kvHeads * headDim);
    add('attn_v.weight', hidden, kvHeads * headDim);
    add('attn_output.weight', heads * headDim, hidden);
    add('ffn_norm.weight', hidden);
    add('ffn_gate.weight', hidden, intermediate);
    add('ffn_up.weight', hidden, intermediate);
    add('ffn_down.weight', intermediate, hidden);
    if (architecture === 'qwen2') {
      add('attn_q.bias', heads * headDim);
      add('attn_k.bias', kvHeads * headDim);
      add('attn_v.bias', kvHeads * headDim);
    }
    if (architecture === 'qwen3') {
      add('attn_q_norm.weight', headDim);
      add('attn_k_norm.weight', headDim);
    }
  }
  list.push({ name: 'output_norm.weight', dims: [hidden] });
  if (!tied) list.push({ name: 'output.weight', dims: [hidden, vocab] });
  return list;
}

export interface TinyGguf extends GgufSpec {
  architecture?: string;
  tied?: boolean;
  /** Replaces or adds keys. */
  with?: KeyValue[];
  without?: string[];
  /** Replaces or adds tensors. */
  withTensors?: TensorSpec[];
  withoutTensors?: string[];
}

export function tinyGguf(options: TinyGguf = {}): Buffer {
  const { architecture = 'llama', tied = true } = options;
  const { tokens, merges, types } = tinyTokens();
  const number = (name: string, value: number, type: KeyValue['type'] = 'u32'): KeyValue => ({
    key: `${architecture}.${name}`,
    type,
    value,
  });
  const keys: KeyValue[] = [
    { key: 'general.architecture', type: 'string', value: architecture },
    number('block_count', TINY.layers),
    number('context_length', 128),
    number('embedding_length', TINY.hidden),
    number('feed_forward_length', TINY.intermediate),
    number('attention.head_count', TINY.heads),
    number('attention.head_count_kv', TINY.kvHeads),
    number('attention.layer_norm_rms_epsilon', 1e-5, 'f32'),
    { key: 'tokenizer.ggml.model', type: 'string', value: 'gpt2' },
    { key: 'tokenizer.ggml.pre', type: 'string', value: 'smollm' },
    { key: 'tokenizer.ggml.tokens', type: 'array', elementType: 'string', value: tokens },
    { key: 'tokenizer.ggml.token_type', type: 'array', elementType: 'i32', value: types },
    { key: 'tokenizer.ggml.merges', type: 'array', elementType: 'string', value: merges },
    { key: 'tokenizer.ggml.bos_token_id', type: 'u32', value: 261 },
    { key: 'tokenizer.ggml.eos_token_id', type: 'u32', value: 262 },
  ];
  const added = new Set((options.with ?? []).map(({ key }) => key));
  const kept = keys.filter(({ key }) => !added.has(key) && !options.without?.includes(key));
  const changed = new Map((options.withTensors ?? []).map((tensor) => [tensor.name, tensor]));
  const planned = tensors(architecture, tied).filter(({ name }) => !options.withoutTensors?.includes(name));
  const all = planned.map((tensor) => changed.get(tensor.name) ?? tensor);
  const extra = [...changed.values()].filter(({ name }) => !planned.some((tensor) => tensor.name === name));
  return buildGguf({ ...options, keys: [...kept, ...(options.with ?? [])], tensors: [...all, ...extra] });
}

export interface SafeTensor {
  dtype: string;
  shape: number[];
  data: Uint8Array;
}

export function buildSafetensors(entries: Record<string, SafeTensor>): Buffer {
  const header: Record<string, unknown> = { __metadata__: { format: 'pt' } };
  let end = 0;
  for (const [name, { dtype, shape, data }] of Object.entries(entries)) {
    header[name] = { dtype, shape, data_offsets: [end, end + data.length] };
    end += data.length;
  }
  const data = Object.values(entries).map((entry) => entry.data);
  return withHeader(JSON.stringify(header), Buffer.concat(data));
}

/** Any text as the header of a safetensors file. */
export function withHeader(text: string, data: Uint8Array, claimedLength?: number): Buffer {
  const bytes = Buffer.from(text);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(claimedLength ?? bytes.length));
  return Buffer.concat([length, bytes, data]);
}

export function tinyConfig(overrides: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    num_hidden_layers: TINY.layers,
    hidden_size: TINY.hidden,
    intermediate_size: TINY.intermediate,
    num_attention_heads: TINY.heads,
    num_key_value_heads: TINY.kvHeads,
    vocab_size: TINY.vocab,
    rms_norm_eps: 1e-5,
    max_position_embeddings: 128,
    hidden_act: 'silu',
    tie_word_embeddings: true,
    torch_dtype: 'bfloat16',
    ...overrides,
  };
}

/** The weights of a llama with tied embeddings. */
export function tinyWeights(): Record<string, SafeTensor> {
  const { hidden, intermediate, heads, kvHeads, headDim, vocab } = TINY;
  const weights: Record<string, SafeTensor> = {};
  const add = (name: string, ...shape: number[]) => {
    const count = shape.reduce((product, dim) => product * dim, 1);
    weights[name] = { dtype: 'BF16', shape, data: new Uint8Array(count * 2) };
  };
  add('model.embed_tokens.weight', vocab, hidden);
  for (let i = 0; i < TINY.layers; i++) {
    const layer = `model.layers.${i}`;
    add(`${layer}.input_layernorm.weight`, hidden);
    add(`${layer}.self_attn.q_proj.weight`, heads * headDim, hidden);
    add(`${layer}.self_attn.k_proj.weight`, kvHeads * headDim, hidden);
    add(`${layer}.self_attn.v_proj.weight`, kvHeads * headDim, hidden);
    add(`${layer}.self_attn.o_proj.weight`, hidden, heads * headDim);
    add(`${layer}.post_attention_layernorm.weight`, hidden);
    add(`${layer}.mlp.gate_proj.weight`, intermediate, hidden);
    add(`${layer}.mlp.up_proj.weight`, intermediate, hidden);
    add(`${layer}.mlp.down_proj.weight`, hidden, intermediate);
  }
  add('model.norm.weight', hidden);
  return weights;
}

/** tokenizer.json of the vocabulary above. */
export function tinyTokenizerJson(overrides: Record<string, unknown> = {}): Record<string, unknown> {
  const { tokens, merges, types } = tinyTokens();
  const special = tokens.map((content, id) => ({ id, content, special: true })).filter(({ id }) => types[id] === 3);
  return {
    added_tokens: special.map((token) => ({
      ...token,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
    })),
    normalizer: null,
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        { type: 'Digits', individual_digits: true },
        { type: 'ByteLevel', add_prefix_space: false, use_regex: true },
      ],
    },
    post_processor: null,
    decoder: { type: 'ByteLevel' },
    model: { type: 'BPE', unk_token: null, vocab: Object.fromEntries(tokens.map((token, id) => [token, id])), merges },
    ...overrides,
  };
}

export function writeDirectory(path: string, files: Record<string, Uint8Array | string | object>): string {
  mkdirSync(path, { recursive: true });
  for (const [name, content] of Object.entries(files)) {
    const isRaw = typeof content === 'string' || content instanceof Uint8Array;
    writeFileSync(join(path, name), isRaw ? content : JSON.stringify(content));
  }
  return path;
}
