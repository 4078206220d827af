/** Can these settings run here? Refused in one line that says what would. Pure. */
import type { Device } from '../device/device.js';
import { JsgError } from '../errors.js';
import type { Settings } from './flags.js';

/** Backends of the native runtime in this version. */
export const BACKENDS: readonly Settings['device'][] = ['cpu'];

const INSTEAD = '`jsg launch --profile smollm2` runs here';

function unsuitable(what: string, instead = INSTEAD): JsgError {
  return new JsgError('E_DEVICE_UNSUITABLE', `${what}; ${instead}`);
}

/**
 * Throws E_DEVICE_UNSUITABLE when the machine or this version lacks what the settings ask for.
 * @param subject what the user named: `profile flashinfer-fp16` or `these settings`
 */
export function requireSuitable(subject: string, settings: Settings, device: Device): void {
  if (settings.engine === 'sglang') {
    throw unsuitable(`${subject}: this version of jsg cannot launch SGLang yet (--engine native is what it has)`);
  }
  if (settings.device === 'cuda') {
    const found = device.gpu === null ? 'this machine has no NVIDIA GPU and this' : `this`;
    throw unsuitable(`${subject} needs CUDA: ${found} version of jsg has no CUDA backend yet`);
  }
  if (settings['torchao-config'] !== null) {
    const flag = `--torchao-config ${settings['torchao-config']}`;
    throw unsuitable(
      `${subject}: ${flag} is not available on the CPU in this version`,
      `a quantised GGUF, or ${INSTEAD}`,
    );
  }
  if (settings['attention-backend'] !== 'auto') {
    const flag = `--attention-backend ${settings['attention-backend']}`;
    throw unsuitable(`${subject}: ${flag} needs a GPU`, `on the CPU add --attention-backend auto, or ${INSTEAD}`);
  }
  if (settings['grammar-backend'] !== 'none') {
    const flag = `--grammar-backend ${settings['grammar-backend']}`;
    throw unsuitable(`${subject}: ${flag}: this version has no structured output yet`, 'add --grammar-backend none');
  }
  // Dummy weights are stored in the dtype; weights of files stay as they are.
  if (settings.dtype === 'bfloat16' && settings['load-format'] !== 'dummy') {
    const why = 'the CPU computes in float32 over the weights as stored';
    throw unsuitable(`${subject}: --dtype bfloat16 is not available on the CPU (${why})`, 'add --dtype auto');
  }
}
