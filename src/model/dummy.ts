/** `--load-format dummy`: the tensor table of any config.json, without files; the runtime fills it with random numbers. */
import type { DType } from '../addon/binding.js';
import { tensorBytes } from './dtype.js';
import { parseHfConfig } from './hf-config.js';
import { readJsonObject } from './json-file.js';
import type { ModelWeights } from './model.js';
import { modelInvalid, modelUnsupported, quote } from './model-error.js';
import { planTensors } from './tensor-plan.js';

export const DTYPE_FLAGS = ['auto', 'half', 'float16', 'bfloat16', 'float32'] as const;
export type DTypeFlag = (typeof DTYPE_FLAGS)[number];

const STORED_AS: Record<string, DType> = { half: 'F16', float16: 'F16', bfloat16: 'BF16', float32: 'F32' };

/** `auto` takes the config's own `torch_dtype`. Offsets and file indices are 0 and mean nothing. */
export function dummyModel(configPath: string, dtypeFlag: DTypeFlag): ModelWeights {
  const { model: config, torchDtype, quantization } = parseHfConfig(readJsonObject(configPath), configPath);
  if (quantization !== null) {
    const hint = 'take the config.json of the unquantised model, with --torchao-config';
    throw modelUnsupported(configPath, 'dummy weights of a quantised checkpoint are not made', hint);
  }
  const name = dtypeFlag === 'auto' ? (torchDtype ?? 'bfloat16').replace(/^torch\./, '') : dtypeFlag;
  const dtype = Object.hasOwn(STORED_AS, name) ? STORED_AS[name] : undefined;
  if (dtype === undefined)
    throw modelInvalid(configPath, `torch_dtype ${quote(name)}; supported: float16, bfloat16, float32`);
  const tensors = planTensors(config).map(({ name, shape }) => {
    const nbytes = tensorBytes(dtype, shape);
    if (nbytes === null)
      throw modelInvalid(configPath, `tensor ${quote(name)} of shape [${shape.join(', ')}] is too large`);
    return { name, dtype, shape, file: 0, offset: 0, nbytes };
  });
  return { config, files: [], tensors };
}
