import { expect, test } from 'vitest';
import type { CudaDevice } from '../../../src/addon/binding.js';
import type { Device } from '../../../src/device/device.js';
import { chooseBackend, requirePromptsInInt8 } from '../../../src/engine/backend.js';
import type { StoredTensor } from '../../../src/plan/weight-format.js';
import type { Settings } from '../../../src/profile/flags.js';

const GIB = 2 ** 30;
const device = { memory: { totalBytes: 64 * GIB, availableBytes: 50 * GIB, cgroupLimitBytes: null } } as Device;
const orin: CudaDevice = { name: 'Orin', sm: 87, integrated: true, totalBytes: 64 * GIB, freeBytes: 3 * GIB };
const h100: CudaDevice = { name: 'H100', sm: 90, integrated: false, totalBytes: 80 * GIB, freeBytes: 78 * GIB };

const settings = (given: Partial<Settings>) =>
  ({ device: 'cuda', dtype: 'auto', 'attention-backend': 'auto', 'kv-cache-dtype': 'auto', ...given }) as Settings;
const binding = (gpu: CudaDevice | null, hasCuda = true) => ({ hasCuda, cudaDevice: () => gpu });
const half = [{ dtype: 'F16' as const, nbytes: 100 }];
const brain = [
  { dtype: 'BF16' as const, nbytes: 100 },
  { dtype: 'F32' as const, nbytes: 10 },
];

test('without --device cuda it is the CPU, whatever GPU there is', () => {
  const chosen = chooseBackend(settings({ device: 'cpu' }), half, device, binding(h100));
  expect(chosen.spec.backend).toBe('cpu');
  expect(chosen.availableBytes).toBe(50 * GIB);
});

test('a GPU with memory of its own has what CUDA calls free, an integrated one what the system has', () => {
  expect(chooseBackend(settings({}), half, device, binding(h100)).availableBytes).toBe(78 * GIB);
  expect(chooseBackend(settings({}), half, device, binding(orin)).availableBytes).toBe(50 * GIB);
});

test.each([
  ['auto', half, 'f16'],
  ['auto', brain, 'bf16'],
  ['half', brain, 'f16'],
  ['bfloat16', half, 'bf16'],
] as const)('--dtype %s', (dtype, tensors, expected) => {
  expect(chooseBackend(settings({ dtype }), tensors, device, binding(h100)).spec.dtype).toBe(expected);
});

test.each([
  [{ device: 'cpu' }, 'f16'],
  [{ device: 'cpu', dtype: 'float32' }, 'f32'],
  [{ device: 'cpu', dtype: 'float32', 'kv-cache-dtype': 'float16' }, 'f16'],
  [{ device: 'cpu', dtype: 'half', 'kv-cache-dtype': 'float32' }, 'f32'],
  [{}, 'f16'],
  [{ 'kv-cache-dtype': 'float16' }, 'f16'],
  [{ dtype: 'bfloat16', 'kv-cache-dtype': 'bfloat16' }, 'f16'],
  [{ 'kv-cache-dtype': 'fp8_e5m2' }, 'fp8_e5m2'],
  [{ 'kv-cache-dtype': 'int8' }, 'int8'],
] as const)('KV cache of %j: %s', (given, expected) => {
  expect(chooseBackend(settings(given), half, device, binding(h100)).spec.kvCacheDtype).toBe(expected);
});

test('on a GPU 16 bits of KV are of the type of the activations, which the weights may decide', () => {
  const choose = () => chooseBackend(settings({ 'kv-cache-dtype': 'float16' }), brain, device, binding(h100));
  expect(choose).toThrow('--kv-cache-dtype float16 is not available with bfloat16 activations');
});

test('the log names a KV cache of 8 bits', () => {
  const { description } = chooseBackend(settings({ 'kv-cache-dtype': 'fp8_e4m3' }), half, device, binding(h100));
  expect(description).toBe('H100 (sm_90), float16, paged split-KV attention, KV cache in fp8_e4m3');
});

test('torch_native is the plain path, and the log says what runs', () => {
  const plain = chooseBackend(settings({ 'attention-backend': 'torch_native' }), half, device, binding(h100));
  expect(plain.spec.referenceAttention).toBe(true);
  expect(plain.description).toBe('H100 (sm_90), float16, plain reference attention');
  const fast = chooseBackend(settings({ 'attention-backend': 'flashinfer' }), half, device, binding(h100));
  expect(fast.spec.referenceAttention).toBe(false);
});

test('a build without CUDA and a machine without a usable GPU are told apart', () => {
  const thrown = (found: ReturnType<typeof binding>) => {
    try {
      chooseBackend(settings({}), half, device, found);
    } catch (error) {
      return error;
    }
    return null;
  };
  expect(thrown(binding(null, false))).toMatchObject({
    code: 'E_DEVICE_UNSUITABLE',
    hint: expect.stringMatching(/nvcc/),
  });
  expect(thrown(binding(null))).toMatchObject({ code: 'E_DEVICE_UNSUITABLE', hint: expect.stringMatching(/driver/) });
});

const projection: StoredTensor = {
  name: 'model.layers.0.mlp.up_proj.weight',
  dtype: 'BF16',
  shape: [64, 64],
  nbytes: 8192,
};

test.each<[string, StoredTensor]>([
  ['weights quantised on load', { ...projection, quantize: { bits: 4, groupSize: 32 } }],
  ['weights of GGUF', { ...projection, dtype: 'Q4_1' }],
])('prompts in int8 are for %s', (_, tensor) => {
  const asked = settings({ 'prefill-dtype': 'int8' });
  expect(() => requirePromptsInInt8(asked, [tensor])).not.toThrow();
  const { spec, description } = chooseBackend(asked, half, device, binding(orin));
  expect(spec.int8Prompts).toBe(true);
  expect(description).toMatch(/, prompts in int8$/);
  expect(chooseBackend(settings({}), half, device, binding(orin)).spec.int8Prompts).toBe(false);
});

test.each<[string, StoredTensor]>([
  ['of 16 bits', projection],
  ['of which only the head has codes', { ...projection, name: 'lm_head.weight', quantize: { bits: 8, groupSize: 64 } }],
  ['of types that become 16 bits', { ...projection, dtype: 'Q6_K' }],
])('prompts in int8 are refused for a model %s', (_, tensor) => {
  const refused = () => requirePromptsInInt8(settings({ 'prefill-dtype': 'int8' }), [tensor]);
  expect(refused).toThrow('--prefill-dtype int8 is for weights of 4 or 8 bits, and this model has none');
  expect(() => requirePromptsInInt8(settings({}), [tensor])).not.toThrow();
});
