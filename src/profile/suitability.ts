/** Can these settings run here? Refused in one line that says what would. Pure. */
import type { Device } from '../device/device.js';
import { JsgError } from '../errors.js';
import type { Settings } from './flags.js';

/** Backends of the native runtime in this version. */
export const BACKENDS: readonly Settings['device'][] = ['cpu', 'cuda'];

const CPU_KV_CACHE_DTYPES: readonly Settings['kv-cache-dtype'][] = ['auto', 'float16', 'float32'];

const INSTEAD = '`jsg launch --profile smollm2` runs here';

function unsuitable(what: string, instead = INSTEAD): JsgError {
  return new JsgError('E_DEVICE_UNSUITABLE', `${what}; ${instead}`);
}

/**
 * Throws E_DEVICE_UNSUITABLE when the machine or this version lacks what the settings ask for.
 * @param subject what the user named: `profile flashinfer-fp16` or `these settings`
 */
export function requireSuitable(subject: string, settings: Settings, device: Device): void {
  if (settings.device === 'cuda' && device.gpu === null) {
    throw unsuitable(`${subject} needs CUDA: this machine has no NVIDIA GPU`);
  }
  // What else it can and cannot do is asked of the SGLang that is installed.
  if (settings.engine === 'sglang') return;
  requireOneMachine(subject, settings);
  requireWeightFormats(subject, settings);
  if (settings.device === 'cuda') requireSuitableForCuda(subject, settings);
  else requireSuitableForCpu(subject, settings);
}

/** What SGLang alone does. */
function requireOneMachine(subject: string, settings: Settings): void {
  const several = (['nnodes', 'tp-size', 'dp-size'] as const).find((name) => settings[name] > 1);
  if (several !== undefined) {
    throw unsuitable(`${subject}: --${several} ${settings[several]} is SGLang's`, 'add --engine sglang');
  }
  if (settings.restart === 'on-failure') {
    const instead = 'add --engine sglang, or run it as a service (`jsg service install`), which starts it again';
    throw unsuitable(`${subject}: --restart on-failure supervises another process`, instead);
  }
}

function requireWeightFormats(subject: string, settings: Settings): void {
  const torchao = settings['torchao-config'];
  if (torchao?.startsWith('fp8')) {
    const why = 'fp8 takes tensor cores of sm_89 or newer (Orin has sm_87), and this version has no kernels for it';
    throw unsuitable(`${subject}: --torchao-config ${torchao}: ${why}`, 'int8wo takes as many bytes');
  }
}

function requireSuitableForCpu(subject: string, settings: Settings): void {
  if (settings['attention-backend'] !== 'auto') {
    const flag = `--attention-backend ${settings['attention-backend']}`;
    throw unsuitable(`${subject}: ${flag} needs a GPU`, `on the CPU add --attention-backend auto, or ${INSTEAD}`);
  }
  const kvDtype = settings['kv-cache-dtype'];
  if (!CPU_KV_CACHE_DTYPES.includes(kvDtype)) {
    const instead = `on the CPU add --kv-cache-dtype ${CPU_KV_CACHE_DTYPES.join(' or ')}`;
    throw unsuitable(`${subject}: --kv-cache-dtype ${kvDtype} needs a GPU`, instead);
  }
  if (settings['prefill-dtype'] !== 'auto') {
    const why = 'the CPU multiplies weights of 4 and 8 bits by integers anyway';
    throw unsuitable(`${subject}: --prefill-dtype int8 needs a GPU (${why})`, 'add --prefill-dtype auto');
  }
  // Dummy weights are stored in the dtype, TorchAO quantises from bfloat16; weights of files stay as they are.
  if (settings.dtype === 'bfloat16' && settings['load-format'] !== 'dummy' && settings['torchao-config'] === null) {
    const why = 'the CPU computes in float32 over the weights as stored';
    throw unsuitable(`${subject}: --dtype bfloat16 is not available on the CPU (${why})`, 'add --dtype auto');
  }
}

function requireSuitableForCuda(subject: string, settings: Settings): void {
  if (settings.dtype === 'float32') {
    throw unsuitable(`${subject}: --dtype float32 is not available on a GPU`, 'add --dtype half or --dtype bfloat16');
  }
  if (settings['kv-cache-dtype'] === 'float32') {
    throw unsuitable(`${subject}: --kv-cache-dtype float32 is not available on a GPU`, 'add --kv-cache-dtype auto');
  }
}
