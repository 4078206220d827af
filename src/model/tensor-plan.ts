/** Which tensors a decoder of a given configuration needs, and the check that a file has exactly those. */
import type { ModelConfig, TensorInfo } from '../addon/binding.js';
import { isPlain } from './dtype.js';
import { modelInvalid, modelUnsupported, quote } from './model-error.js';

export interface PlannedTensor {
  /** Hugging Face name. */
  name: string;
  /** Row-major, outermost first. */
  shape: number[];
}

export function planTensors(config: ModelConfig): PlannedTensor[] {
  const { hiddenSize, intermediateSize, vocabSize, headDim } = config;
  const qRows = config.numHeads * headDim;
  const kvRows = config.numKvHeads * headDim;
  const plan: PlannedTensor[] = [{ name: 'model.embed_tokens.weight', shape: [vocabSize, hiddenSize] }];
  const add = (name: string, ...shape: number[]) => plan.push({ name, shape });

  for (let i = 0; i < config.numLayers; i++) {
    const layer = `model.layers.${i}`;
    const attention = `${layer}.self_attn`;
    add(`${layer}.input_layernorm.weight`, hiddenSize);
    add(`${attention}.q_proj.weight`, qRows, hiddenSize);
    add(`${attention}.k_proj.weight`, kvRows, hiddenSize);
    add(`${attention}.v_proj.weight`, kvRows, hiddenSize);
    if (config.qkvBias) {
      add(`${attention}.q_proj.bias`, qRows);
      add(`${attention}.k_proj.bias`, kvRows);
      add(`${attention}.v_proj.bias`, kvRows);
    }
    if (config.qkNorm) {
      add(`${attention}.q_norm.weight`, headDim);
      add(`${attention}.k_norm.weight`, headDim);
    }
    add(`${attention}.o_proj.weight`, hiddenSize, qRows);
    add(`${layer}.post_attention_layernorm.weight`, hiddenSize);
    add(`${layer}.mlp.gate_proj.weight`, intermediateSize, hiddenSize);
    add(`${layer}.mlp.up_proj.weight`, intermediateSize, hiddenSize);
    add(`${layer}.mlp.down_proj.weight`, hiddenSize, intermediateSize);
  }
  add('model.norm.weight', hiddenSize);
  if (!config.tiedEmbeddings) add('lm_head.weight', vocabSize, hiddenSize);
  return plan;
}

/**
 * The planned tensors, in plan order, out of what a model has. A missing one, a wrong shape, a quantised vector or a
 * tensor that nobody planned is refused: each means that the model isn't what its configuration says.
 *
 * @param nameIn what the file itself calls a tensor of a given Hugging Face name, for errors
 */
export function selectTensors(
  config: ModelConfig,
  found: ReadonlyMap<string, TensorInfo>,
  source: string,
  nameIn: (name: string) => string = (name) => name,
): TensorInfo[] {
  const plan = planTensors(config);
  const selected = plan.map(({ name, shape }) => {
    const tensor = found.get(name);
    if (tensor === undefined) {
      throw modelInvalid(source, `tensor ${quote(nameIn(name))} is missing (expected shape [${shape.join(', ')}])`);
    }
    if (tensor.shape.length !== shape.length || tensor.shape.some((dim, i) => dim !== shape[i])) {
      const got = tensor.shape.join(', ');
      throw modelInvalid(source, `tensor ${quote(nameIn(name))} has shape [${got}], expected [${shape.join(', ')}]`);
    }
    if (shape.length === 1 && !isPlain(tensor.dtype)) {
      throw modelUnsupported(source, `tensor ${quote(nameIn(name))} is ${tensor.dtype}, expected F32, F16 or BF16`);
    }
    return tensor;
  });
  if (found.size > selected.length) {
    const planned = new Set(plan.map(({ name }) => name));
    const extra = [...found.keys()].find((name) => !planned.has(name));
    if (extra !== undefined) {
      const problem = `tensor ${quote(nameIn(extra))} has no place in a ${config.architecture} decoder`;
      throw modelUnsupported(source, problem);
    }
  }
  return selected;
}

/** Whether every count of the configuration is one that a tensor table can be made for; throws E_MODEL_INVALID. */
export function checkConfig(config: ModelConfig, source: string): void {
  const counts = {
    'layer count': [config.numLayers, 1024],
    'hidden size': [config.hiddenSize, 1 << 20],
    'intermediate size': [config.intermediateSize, 1 << 22],
    'head count': [config.numHeads, 4096],
    'key-value head count': [config.numKvHeads, 4096],
    'head dimension': [config.headDim, 4096],
    'vocabulary size': [config.vocabSize, 1 << 24],
    'context length': [config.maxContextLength, 1 << 30],
  } as const;
  for (const [what, [value, limit]] of Object.entries(counts)) {
    if (!Number.isSafeInteger(value) || value < 1 || value > limit) {
      throw modelInvalid(source, `${what} is ${value}, expected an integer from 1 to ${limit}`);
    }
  }
  if (config.numHeads % config.numKvHeads !== 0) {
    throw modelInvalid(source, `${config.numHeads} heads can't share ${config.numKvHeads} key-value heads evenly`);
  }
  if (config.headDim % 2 !== 0)
    throw modelInvalid(source, `head dimension ${config.headDim} is odd: nothing to rotate`);
  const positive = { rms_norm_eps: config.rmsNormEps, 'rope theta': config.ropeTheta };
  for (const [what, value] of Object.entries(positive)) {
    if (!Number.isFinite(value) || value <= 0) throw modelInvalid(source, `${what} is ${value}, expected above 0`);
  }
  if (config.slidingWindow !== null && !(Number.isSafeInteger(config.slidingWindow) && config.slidingWindow >= 1)) {
    throw modelInvalid(source, `sliding window is ${config.slidingWindow}, expected a positive integer`);
  }
  checkRope(config, source);
}

function checkRope({ ropeScaling }: ModelConfig, source: string): void {
  if (ropeScaling === null) return;
  for (const [name, value] of Object.entries(ropeScaling)) {
    if (name !== 'type' && !(Number.isFinite(value) && (value as number) > 0)) {
      throw modelInvalid(source, `rope scaling ${name} is ${value}, expected above 0`);
    }
  }
  if (ropeScaling.type === 'llama3' && ropeScaling.highFreqFactor <= ropeScaling.lowFreqFactor) {
    const { lowFreqFactor, highFreqFactor } = ropeScaling;
    throw modelInvalid(source, `rope high_freq_factor ${highFreqFactor} isn't above low_freq_factor ${lowFreqFactor}`);
  }
}
