/** What matrices of weights become while they are loaded: by `--torchao-config` and `--lm-head-dtype`. Pure. */
import type { ModelConfig, Packing, TensorInfo } from '../addon/binding.js';
import { JsgError } from '../errors.js';
import type { Settings } from '../profile/flags.js';

/** TorchAO's names: `int4wo-128` has groups of 128 weights. */
export type Quant = NonNullable<Settings['torchao-config']>;

export type StoredTensor = Pick<
  TensorInfo,
  'name' | 'dtype' | 'shape' | 'nbytes' | 'quantize' | 'int8Activations' | 'packing'
>;

interface Loadable<T extends StoredTensor> {
  config: ModelConfig;
  tensors: readonly T[];
}

const EMBEDDINGS = 'model.embed_tokens.weight';
const HEAD = 'lm_head.weight';
/** The kernels take columns by so many. */
const LEAST_GROUP = 32;
/** Groups of a head in int4: the largest that its rows hold. */
const HEAD_GROUPS = [128, 64, 32];

/** SGLang quantises linear layers whose name holds "proj": all but the head. */
export function isProjection(name: string): boolean {
  return name.includes('proj') && name.endsWith('.weight');
}

/** Weights that share a scale; null: not a format of groups. */
export function groupSizeOf(quant: Quant): number | null {
  const group = /^int4wo-(\d+)$/.exec(quant)?.[1];
  return group === undefined ? null : Number(group);
}

/**
 * The model with what each of its tensors is to become. Layers whose rows are no whole number of groups stay as they are,
 * as with TorchAO. A tied head that differs from the table of embeddings is a tensor of its own.
 */
export function asLoaded<T extends StoredTensor>(
  { config, tensors }: Loadable<T>,
  settings: Pick<Settings, 'torchao-config' | 'lm-head-dtype'>,
): { config: ModelConfig; tensors: T[] } {
  const quant = settings['torchao-config'];
  if (quant !== null && tensors.some(({ packing }) => packing !== undefined)) {
    throw new JsgError('E_USAGE', `--torchao-config ${quant}: the checkpoint is quantised already`, {
      hint: 'Leave it out, or take the checkpoint that was not.',
    });
  }
  const projected = tensors.map((tensor) => (quant === null ? tensor : projection(tensor, quant)));
  const head = projected.find(({ name }) => name === (config.tiedEmbeddings ? EMBEDDINGS : HEAD));
  const quantize = head === undefined ? null : headFormat(head, settings['lm-head-dtype']);
  if (head === undefined || quantize === null) return { config, tensors: projected };
  const others = config.tiedEmbeddings ? projected : projected.filter((tensor) => tensor !== head);
  return {
    config: { ...config, tiedEmbeddings: false },
    tensors: [...others, { ...head, name: HEAD, quantize }],
  };
}

function projection<T extends StoredTensor>(tensor: T, quant: Quant): T {
  const { name, shape } = tensor;
  const cols = shape[1];
  if (!isProjection(name) || cols === undefined || cols % LEAST_GROUP !== 0) return tensor;
  const groupSize = groupSizeOf(quant);
  if (groupSize === null) {
    return { ...tensor, quantize: { bits: 8, groupSize: cols }, int8Activations: quant === 'int8dq' };
  }
  return cols % groupSize === 0 ? { ...tensor, quantize: { bits: 4, groupSize } } : tensor;
}

/** Null: as it is stored. */
function headFormat({ dtype, shape }: StoredTensor, asked: Settings['lm-head-dtype']): TensorInfo['quantize'] {
  const cols = shape[1] ?? 0;
  switch (asked) {
    case 'auto':
      return null;
    case 'bf16':
      return dtype === 'BF16' ? null : { bits: 16, groupSize: cols };
    case 'int8':
      return cols % LEAST_GROUP === 0 ? { bits: 8, groupSize: cols } : null;
    case 'int4': {
      const groupSize = HEAD_GROUPS.find((size) => cols % size === 0);
      return groupSize === undefined ? null : { bits: 4, groupSize };
    }
  }
}

/** Bytes of a matrix that is loaded in groups; null: it is not. */
export function groupedBytes({ shape, quantize, packing }: StoredTensor): number | null {
  if (quantize) return quantizedBytes(shape, quantize);
  return packing === undefined ? null : packedBytes(shape, packing);
}

/** GGUF's types that stay codes with their scales; the others become 16 bits on a GPU. */
const GGUF_CODES: readonly TensorInfo['dtype'][] = ['Q4_0', 'Q4_1', 'Q4_K', 'Q8_0'];

/** Whether a GPU multiplies codes of 4 or 8 bits, rather than weights of 16. */
export function hasCodes({ dtype, quantize, packing }: StoredTensor): boolean {
  if (quantize) return quantize.bits < 16;
  return packing === undefined ? GGUF_CODES.includes(dtype) : packing.groupIndex === null;
}

/** A scale of 16 bits for each group, and a zero where there are any; reordered columns become 16 bits. */
function packedBytes(shape: readonly number[], { bits, groupSize, zeros, groupIndex }: Packing): number {
  const elements = shape.reduce((product, dim) => product * dim, 1);
  if (groupIndex !== null) return 2 * elements;
  return (elements / groupSize) * ((groupSize * bits) / 8 + (zeros === null ? 2 : 4));
}

/** Bytes of a matrix that is quantised on load: int4 with a 16-bit scale and zero for each group, int8 with a scale. */
function quantizedBytes(shape: readonly number[], { bits, groupSize }: NonNullable<TensorInfo['quantize']>): number {
  const elements = shape.reduce((product, dim) => product * dim, 1);
  if (bits === 16) return 2 * elements;
  return (elements / groupSize) * (bits === 4 ? groupSize / 2 + 4 : groupSize + 2);
}

/** Class of a format that measured efficiencies are kept by. */
export type FormatClass = '16bit' | '8bit' | '4bit';

/** Of most of the weights in the linear layers. */
export function formatClassOf(tensors: readonly StoredTensor[]): FormatClass {
  const counts = { '16bit': 0, '8bit': 0, '4bit': 0 };
  for (const { name, shape, quantize, packing } of tensors) {
    if (!isProjection(name)) continue;
    const bits = quantize?.bits ?? (packing?.groupIndex ? 16 : packing?.bits) ?? 16;
    counts[`${bits}bit`] += shape.reduce((product, dim) => product * dim, 1);
  }
  if (counts['4bit'] > counts['8bit'] && counts['4bit'] > counts['16bit']) return '4bit';
  return counts['8bit'] > counts['16bit'] ? '8bit' : '16bit';
}
