import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { JsonFields } from '../../../src/model/json-file.js';
import { loadModel } from '../../../src/model/load.js';
import { readQuantization } from '../../../src/model/quantization.js';

const read = (quantization: unknown) =>
  readQuantization(new JsonFields({ quantization_config: quantization } as Record<string, unknown>, 'config.json'));
const group = (weights: object, inputs: object | null = null) => ({
  quant_method: 'compressed-tensors',
  format: 'pack-quantized',
  config_groups: { group_0: { targets: ['Linear'], weights, input_activations: inputs } },
});
const INT4 = { num_bits: 4, type: 'int', symmetric: true, strategy: 'group', group_size: 128 };
const TOKENS = { num_bits: 8, type: 'int', symmetric: true, strategy: 'token', dynamic: true };

describe('quantization_config', () => {
  it.each([
    [undefined, null],
    [group(INT4), { method: 'compressed-tensors', int8Activations: false }],
    [group({ ...INT4, num_bits: 8 }, TOKENS), { method: 'compressed-tensors', int8Activations: true }],
    [
      { quant_method: 'awq', bits: 4, group_size: 128, version: 'gemm' },
      { method: 'awq', int8Activations: false },
    ],
    [
      { quant_method: 'gptq', bits: 8, group_size: 128 },
      { method: 'gptq', int8Activations: false },
    ],
  ])('%j', (given, expected) => {
    expect(read(given)).toEqual(expected);
  });

  it.each([
    [{ quant_method: 'bitsandbytes' }, "quantised by 'bitsandbytes' is not supported; supported: compressed-tensors"],
    [{ quant_method: 'torchao' }, "quantised by 'torchao'"],
    [{ quant_method: 'awq', bits: 4, version: 'gemv' }, "quantization_config.version 'gemv' is not supported"],
    [{ quant_method: 'gptq', bits: 3 }, "quantization_config.bits '3' is not supported; supported: 4, 8"],
    [{ quant_method: 'gptq', bits: 4, checkpoint_format: 'gptq_v2' }, 'checkpoint_format'],
    [{ ...group(INT4), format: 'nvfp4-pack-quantized' }, 'quantization_config.format'],
    [group({ ...INT4, type: 'float' }), 'quantization_config.type'],
    [group({ ...INT4, num_bits: 8 }, { ...TOKENS, dynamic: false }), 'quantization_config.dynamic'],
  ])('%j is refused', (given, message) => {
    expect(() => read(given)).toThrow(expect.objectContaining({ code: 'E_MODEL_UNSUPPORTED' }));
    expect(() => read(given)).toThrow(message);
  });
});

describe('--quantization', () => {
  const packed = (name: string) => join(import.meta.dirname, '../../golden/packed', name);
  const load = (quantization: string, model: string) =>
    loadModel({ model, loadFormat: 'auto', quantization, skipTokenizerInit: true });

  it.each([
    ['awq', 'awq'],
    ['awq_marlin', 'awq'],
    ['gptq', 'gptq-int8'],
    ['compressed-tensors', 'ct-int4-symmetric'],
  ])('%s is what %s is', async (quantization, name) => {
    expect((await load(quantization, packed(name))).weights.tensors.length).toBeGreaterThan(0);
  });

  it.each([
    ['gptq', 'awq', /--quantization gptq: .*awq is quantised by awq/],
    ['gguf', 'ct-int4-symmetric', /is quantised by compressed-tensors/],
    ['awq', '../tiny/llama', /is not quantised/],
    ['fp8', 'awq', /--quantization fp8 is not of the native engine/],
  ])('%s is refused for %s', async (quantization, name, message) => {
    await expect(load(quantization, packed(name))).rejects.toMatchObject({
      code: 'E_USAGE',
      message: expect.stringMatching(message),
    });
  });
});
