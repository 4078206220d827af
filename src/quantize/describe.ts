/** config.json and the model card of a quantised checkpoint. Pure. */
import type { JsonObject } from '../model/json-file.js';
import { formatTable } from '../table.js';
import type { MatrixFormat, QuantizeOptions, Target } from './scheme.js';

/** Relative error of one matrix: the norm of what quantising changed over that of the weights. */
export interface MatrixError {
  name: string;
  squaredError: number;
  squaredNorm: number;
}

const moduleOf = (name: string) => name.replace(/\.weight$/, '');
const HEAD = 'lm_head.weight';

/** The model's own config with `quantization_config` as compressed-tensors reads it. */
export function configOf(config: JsonObject, targets: readonly Target[]): JsonObject {
  const linear = targets.filter(({ name }) => name.includes('proj') && name.endsWith('.weight'));
  const format = linear.find(({ format }) => format !== null)?.format ?? null;
  const head = targets.find(({ name }) => name === HEAD);
  const headFormat = head?.format ?? null;
  const isMixed = format !== null && headFormat !== null && format.layout !== headFormat.layout;
  const ignored = linear.filter(({ format }) => format === null).map(({ name }) => moduleOf(name));
  const groups = [
    ...(format === null ? [] : [groupOf(['Linear'], format)]),
    ...(headFormat === null ? [] : [groupOf(['lm_head'], headFormat)]),
  ];
  const quantization = {
    quant_method: 'compressed-tensors',
    format: isMixed ? 'mixed-precision' : (format ?? headFormat)?.layout,
    quantization_status: 'compressed',
    global_compression_ratio: null,
    kv_cache_scheme: null,
    ignore: headFormat === null ? [...ignored, 'lm_head'] : ignored,
    config_groups: Object.fromEntries(groups.map((group, i) => [`group_${i}`, group])),
  };
  return {
    ...config,
    // A head of its own is no copy of the embeddings any more.
    ...(headFormat === null ? {} : { tie_word_embeddings: false }),
    quantization_config: quantization,
  };
}

function groupOf(targets: string[], { bits, groupSize, layout, int8Activations }: MatrixFormat): object {
  const common = { type: 'int', actorder: null, block_structure: null, observer_kwargs: {} };
  return {
    targets,
    format: layout,
    weights: {
      ...common,
      num_bits: bits,
      symmetric: bits === 8,
      strategy: groupSize === null ? 'channel' : 'group',
      group_size: groupSize,
      dynamic: false,
      observer: 'minmax',
    },
    input_activations: int8Activations
      ? { ...common, num_bits: 8, symmetric: true, strategy: 'token', group_size: null, dynamic: true, observer: null }
      : null,
    output_activations: null,
  };
}

export const relativeError = ({ squaredError, squaredNorm }: Omit<MatrixError, 'name'>): number =>
  squaredNorm === 0 ? 0 : Math.sqrt(squaredError / squaredNorm);

export function totalError(errors: readonly MatrixError[]): number {
  const sum = (pick: (error: MatrixError) => number) => errors.reduce((total, error) => total + pick(error), 0);
  return relativeError({ squaredError: sum((e) => e.squaredError), squaredNorm: sum((e) => e.squaredNorm) });
}

const WHAT: Record<QuantizeOptions['method'], string> = {
  rtn: 'rounding to the nearest code',
  hqq: 'scales and zero points of the least error, weighted by the weights (no calibration data; 8 bits are rounded)',
};

/** Those versions expect zero points unpacked that they pack themselves. */
const LOADING = ` transformers with compressed-tensors 0.18 to
0.20.1 needs \`quantization_config=CompressedTensorsConfig(dequantize=True)\` for its packed zero points.`;

/** README.md. The same for the same input: no dates, no paths. */
export function cardOf(
  model: string,
  options: QuantizeOptions,
  targets: readonly Target[],
  errors: readonly MatrixError[],
  bytes: { before: number; after: number },
): string {
  const worst = [...errors].sort((a, b) => relativeError(b) - relativeError(a)).slice(0, 5);
  const percent = (share: number) => `${(100 * share).toFixed(2)} %`;
  const gb = (n: number) => `${(n / 1e9).toFixed(2)} GB`;
  const kept = targets.filter(({ tensor, format }) => format === null && tensor.shape.length === 2);
  const skipped = kept.filter(({ name }) => name.includes('proj')).length;
  return `---
base_model: ${model}
library_name: transformers
tags:
  - compressed-tensors
  - ${options.scheme}
---

# ${model}, ${options.scheme}

Made by \`jsg quantize --model ${model} --scheme ${options.scheme} --method ${options.method}${options.head === 'auto' ? '' : ` --lm-head ${options.head}`}\`
with ${WHAT[options.method]}, in the compressed-tensors layout that transformers, vLLM and SGLang load; \`jsg launch --model-path\`
serves it as it is.${options.scheme.startsWith('int4') ? LOADING : ''}

- ${errors.length} matrices are quantised; ${skipped} linear layers whose rows are no whole number of groups, embeddings, norms and ${options.head === 'auto' ? 'the head' : 'biases'} stay as they were.
- ${gb(bytes.before)} became ${gb(bytes.after)}.
- Measured error, ||W - W'|| / ||W|| over all quantised matrices: **${percent(totalError(errors))}**. The largest:

${formatTable([['matrix', 'error'], ...worst.map((error) => [error.name, percent(relativeError(error))])], 1)
  .trimEnd()
  .replace(/^/gm, '      ')}
`;
}
