/** Which backend runs, in which number type, within how much memory: from the settings and what the addon found. */
import type { NativeBinding, RuntimeSpec, TensorInfo } from '../addon/binding.js';
import type { Device } from '../device/device.js';
import { JsgError } from '../errors.js';
import { hasCodes, isProjection, type StoredTensor } from '../plan/weight-format.js';
import type { Settings } from '../profile/flags.js';

export type BackendSpec = Pick<
  RuntimeSpec,
  'backend' | 'dtype' | 'referenceAttention' | 'useGraphs' | 'int8Prompts' | 'kvCacheDtype'
>;

export interface ChosenBackend {
  spec: BackendSpec;
  /** What this process may take now, where weights and KV cache go. */
  availableBytes: number;
  /** That is the system's memory, though a GPU computes (Jetson). */
  integrated: boolean;
  /** For the log: what really runs. */
  description: string;
}

/** Throws E_DEVICE_UNSUITABLE where CUDA is asked for and cannot be had. */
export function chooseBackend(
  settings: Settings,
  tensors: readonly Pick<TensorInfo, 'dtype' | 'nbytes'>[],
  device: Device,
  binding: Pick<NativeBinding, 'hasCuda' | 'cudaDevice'>,
): ChosenBackend {
  const systemBytes = device.memory.availableBytes ?? device.memory.totalBytes;
  if (settings.device !== 'cuda') {
    const kvCacheDtype = cpuKvCacheDtype(settings);
    const spec: BackendSpec = {
      backend: 'cpu',
      dtype: 'f16',
      referenceAttention: false,
      useGraphs: false,
      kvCacheDtype,
    };
    const description = 'CPU, float32 over weights as stored';
    return { spec, availableBytes: systemBytes, integrated: false, description };
  }
  const gpu = requireGpu(binding);
  const dtype = gpuDtype(settings, tensors);
  const referenceAttention = settings['attention-backend'] === 'torch_native';
  const attention = referenceAttention ? 'plain reference attention' : 'paged split-KV attention';
  const kvCacheDtype = gpuKvCacheDtype(settings, dtype);
  const kv = kvCacheDtype === 'f16' ? '' : `, KV cache in ${kvCacheDtype}`;
  const int8Prompts = settings['prefill-dtype'] === 'int8';
  const useGraphs = !settings['disable-cuda-graph'];
  return {
    spec: { backend: 'cuda', dtype, referenceAttention, useGraphs, int8Prompts, kvCacheDtype },
    // On an integrated GPU cudaMemGetInfo leaves out what the kernel would give back.
    availableBytes: gpu.integrated ? systemBytes : gpu.freeBytes,
    integrated: gpu.integrated,
    description: `${gpu.name} (sm_${gpu.sm}), ${DTYPE_NAMES[dtype]}, ${attention}${kv}${int8Prompts ? ', prompts in int8' : ''}`,
  };
}

const DTYPE_NAMES = { f16: 'float16', bf16: 'bfloat16' } as const;

/** float32 where asked for, or where computing in float32 was asked for; else half the bytes. */
function cpuKvCacheDtype(settings: Settings): BackendSpec['kvCacheDtype'] {
  const asked = settings['kv-cache-dtype'];
  if (asked === 'auto') return settings.dtype === 'float32' ? 'f32' : 'f16';
  return asked === 'float32' ? 'f32' : 'f16';
}

/** Keys and values of 16 bits are of the activations' type. */
function gpuKvCacheDtype(settings: Settings, dtype: BackendSpec['dtype']): BackendSpec['kvCacheDtype'] {
  const asked = settings['kv-cache-dtype'];
  if (asked === 'fp8_e4m3' || asked === 'fp8_e5m2' || asked === 'int8') return asked;
  if (asked === 'auto' || asked === DTYPE_NAMES[dtype]) return 'f16';
  throw new JsgError(
    'E_DEVICE_UNSUITABLE',
    `--kv-cache-dtype ${asked} is not available with ${DTYPE_NAMES[dtype]} activations`,
    {
      hint: 'Take --kv-cache-dtype auto (that of the activations), fp8_e4m3, fp8_e5m2 or int8.',
    },
  );
}

/** Throws E_USAGE where prompts are to be multiplied in int8 and no linear layer has codes. */
export function requirePromptsInInt8(settings: Settings, loaded: readonly StoredTensor[]): void {
  if (settings['prefill-dtype'] !== 'int8' || loaded.some((tensor) => isProjection(tensor.name) && hasCodes(tensor)))
    return;
  throw new JsgError('E_USAGE', '--prefill-dtype int8 is for weights of 4 or 8 bits, and this model has none', {
    hint: 'Add --torchao-config int4wo-128, or leave --prefill-dtype out.',
  });
}

function requireGpu(binding: Pick<NativeBinding, 'hasCuda' | 'cudaDevice'>) {
  if (!binding.hasCuda) {
    throw new JsgError('E_DEVICE_UNSUITABLE', 'the native runtime was built without CUDA: nvcc was not found then', {
      hint: 'Put nvcc on the PATH (JetPack: export PATH=/usr/local/cuda/bin:$PATH), then npm run build; or add --device cpu.',
    });
  }
  const gpu = binding.cudaDevice();
  if (gpu !== null) return gpu;
  throw new JsgError('E_DEVICE_UNSUITABLE', 'CUDA finds no GPU that it can use', {
    hint: 'Check the driver with nvidia-smi, and that you may read /dev/nvidia* (on Jetson: group video or render).',
  });
}

/** What was asked for; else bfloat16 where most of the weights are, float16 otherwise. */
function gpuDtype(settings: Settings, tensors: readonly Pick<TensorInfo, 'dtype' | 'nbytes'>[]): 'f16' | 'bf16' {
  if (settings.dtype === 'bfloat16') return 'bf16';
  if (settings.dtype !== 'auto') return 'f16';
  const bytes = (kept: boolean) =>
    tensors.filter(({ dtype }) => (dtype === 'BF16') === kept).reduce((sum, { nbytes }) => sum + nbytes, 0);
  return bytes(true) > bytes(false) ? 'bf16' : 'f16';
}
