/** `quantization_config` of a checkpoint that others quantised: which method, and whether this runtime has a mapping for it. */
import { JsgError } from '../errors.js';
import { isObject, JsonFields, type JsonObject } from './json-file.js';
import { modelUnsupported, quote } from './model-error.js';

export type QuantMethod = 'compressed-tensors' | 'awq' | 'gptq';

export interface Quantization {
  method: QuantMethod;
  /** Activations are quantised to int8, row by row, for matrices of int8. */
  int8Activations: boolean;
}

/** SGLang's names of what a checkpoint was quantised by; its Marlin kernels take the same files. */
const NAMES: Record<string, QuantMethod | 'gguf'> = {
  awq: 'awq',
  awq_marlin: 'awq',
  gptq: 'gptq',
  gptq_marlin: 'gptq',
  'compressed-tensors': 'compressed-tensors',
  w8a8_int8: 'compressed-tensors',
  gguf: 'gguf',
};

/** `--quantization` says what a checkpoint is, and converts nothing. Throws E_USAGE where this runtime has no such kind. */
export function requireKnownQuantization(name: string): QuantMethod | 'gguf' {
  const method = NAMES[name];
  if (method) return method;
  throw new JsgError('E_USAGE', `--quantization ${name} is not of the native engine`, {
    hint: `It has ${Object.keys(NAMES).join(', ')}; --torchao-config quantises while loading; --engine sglang has the others.`,
  });
}

/** Throws E_USAGE where the checkpoint is not what `--quantization` says. */
export function checkQuantization(name: string, found: QuantMethod | 'gguf' | null, model: string): void {
  if (requireKnownQuantization(name) === found) return;
  throw new JsgError(
    'E_USAGE',
    `--quantization ${name}: ${model} is ${found ? `quantised by ${found}` : 'not quantised'}`,
    {
      hint: 'Leave it out: what a checkpoint was quantised by is told by its files.',
    },
  );
}

const TAKEN = 'compressed-tensors (pack-quantized, int-quantized), AWQ (gemm), GPTQ';
const INSTEAD = 'use the unquantised checkpoint (with --torchao-config to quantise while loading), or a GGUF file';

/** Null: not quantised. Throws E_MODEL_UNSUPPORTED, E_MODEL_INVALID. */
export function readQuantization(config: JsonFields): Quantization | null {
  const fields = config.fields('quantization_config');
  if (fields === undefined) return null;
  const method = fields.string('quant_method') ?? 'unknown';
  switch (method) {
    case 'compressed-tensors':
      return { method, int8Activations: readCompressedTensors(fields) };
    case 'awq':
      require(fields, 'version', (fields.string('version') ?? 'gemm').toLowerCase() === 'gemm', 'gemm');
      require(fields, 'bits', (fields.number('bits') ?? fields.number('w_bit') ?? 4) === 4, '4');
      require(fields, 'zero_point', fields.bool('zero_point') !== false, 'true');
      return { method, int8Activations: false };
    case 'gptq': {
      const bits = fields.number('bits');
      require(fields, 'bits', bits === 4 || bits === 8, '4, 8');
      require(fields, 'checkpoint_format', (fields.string('checkpoint_format') ?? 'gptq') === 'gptq', 'gptq');
      return { method, int8Activations: false };
    }
    default:
      throw modelUnsupported(
        config.path,
        `checkpoint quantised by ${quote(method)} is not supported; supported: ${TAKEN}`,
        INSTEAD,
      );
  }
}

function require(fields: JsonFields, name: string, isSupported: boolean, supported: string): void {
  if (isSupported) return;
  const got = quote(fields.get(name));
  throw modelUnsupported(
    fields.path,
    `quantization_config.${name} ${got} is not supported; supported: ${supported}`,
    INSTEAD,
  );
}

/** Whether activations are quantised. Bits and groups are told by the tensors themselves. */
function readCompressedTensors(fields: JsonFields): boolean {
  const format = fields.string('format') ?? 'pack-quantized';
  require(fields, 'format', ['pack-quantized', 'int-quantized', 'mixed-precision'].includes(
    format,
  ), 'pack-quantized, int-quantized');
  require(fields, 'transform_config', isEmpty(fields.get('transform_config')), 'none');
  require(fields, 'sparsity_config', isEmpty(fields.get('sparsity_config')), 'none');
  const groups = fields.get('config_groups');
  const all = isObject(groups) ? Object.values(groups).filter(isObject) : [];
  let int8Activations = false;
  for (const group of all) {
    const of = (name: string): JsonFields | undefined => {
      const value = group[name];
      return isObject(value) ? new JsonFields(value as JsonObject, fields.path) : undefined;
    };
    const weights = of('weights');
    if (weights !== undefined) {
      require(weights, 'type', (weights.string('type') ?? 'int') === 'int', 'int');
      require(weights, 'num_bits', [4, 8].includes(weights.number('num_bits') ?? 8), '4, 8');
    }
    const inputs = of('input_activations');
    if (inputs === undefined) continue;
    require(inputs, 'dynamic', inputs.get('dynamic') === true, 'true');
    require(inputs, 'num_bits', (inputs.number('num_bits') ?? 8) === 8, '8');
    require(inputs, 'type', (inputs.string('type') ?? 'int') === 'int', 'int');
    require(inputs, 'strategy', (inputs.string('strategy') ?? 'token') === 'token', 'token');
    require(inputs, 'symmetric', inputs.bool('symmetric') !== false, 'true');
    int8Activations = true;
  }
  return int8Activations;
}

function isEmpty(value: unknown): boolean {
  return value === undefined || value === null || (isObject(value) && Object.keys(value).length === 0);
}
