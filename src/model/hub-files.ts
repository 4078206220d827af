/** Which files of a repository a model takes: decided alike for a listing of the hub and for a snapshot on the disk. */
import { JsgError } from '../errors.js';
import { INDEX_FILE } from './hf-model.js';
import type { LoadFormat } from './load-options.js';

/** `org/name` of a model, and after a colon which of several GGUF files. */
export interface HubId {
  name: string;
  /** Part of a GGUF file's name, `Q4_K_M` for one. */
  tag: string | null;
}

const SINGLE_FILE = 'model.safetensors';
const TEXT_FILES = [
  'config.json',
  'generation_config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'chat_template.jinja',
  'chat_template.json',
];

export type Weights =
  | { kind: 'none' }
  | { kind: 'single'; files: [string] }
  /** The shards are named in the index. */
  | { kind: 'sharded'; index: string }
  /** All splits, the first one first. */
  | { kind: 'gguf'; files: string[] };

export function parseHubId(model: string): HubId {
  const [name = '', tag] = model.split(':');
  return { name, tag: tag ?? null };
}

/** The small files beside the weights that are there. */
export function textFiles(paths: readonly string[]): string[] {
  return paths.filter((path) => TEXT_FILES.includes(path) || /^additional_chat_templates\/[\w-]+\.jinja$/.test(path));
}

/** Throws E_MODEL_NOT_FOUND where the repository has no weights of that format, or several that fit. */
export function chooseWeights({ name, tag }: HubId, loadFormat: LoadFormat, paths: readonly string[]): Weights {
  if (loadFormat === 'dummy') return { kind: 'none' };
  if (loadFormat !== 'gguf' && tag === null) {
    if (paths.includes(INDEX_FILE)) return { kind: 'sharded', index: INDEX_FILE };
    if (paths.includes(SINGLE_FILE)) return { kind: 'single', files: [SINGLE_FILE] };
  }
  const ggufs = loadFormat === 'safetensors' ? [] : paths.filter((path) => path.endsWith('.gguf'));
  const firsts = ggufs.filter((path) => !/-(?!00001)\d{5}-of-\d{5}\.gguf$/.test(path) && !/(^|\/)mmproj/.test(path));
  const fitting = tag === null ? firsts : firsts.filter((path) => hasTag(path, tag));
  const [only, ...others] = fitting;
  if (only === undefined) throw noWeights(name, tag, loadFormat, firsts);
  if (others.length > 0) {
    const hint = `name one, as in ${name}:Q4_K_M; there are ${fitting.slice(0, 12).join(', ')}`;
    throw new JsgError('E_MODEL_NOT_FOUND', `${name} holds ${fitting.length} GGUF files that fit`, { hint });
  }
  return { kind: 'gguf', files: splitsOf(only) };
}

function noWeights(name: string, tag: string | null, loadFormat: LoadFormat, firsts: string[]): JsgError {
  if (tag !== null) {
    const hint = firsts.length > 0 ? `there are ${firsts.slice(0, 12).join(', ')}` : undefined;
    return new JsgError('E_MODEL_NOT_FOUND', `${name} holds no GGUF file for '${tag}'`, { hint });
  }
  const wanted = { auto: 'safetensors or GGUF', safetensors: SINGLE_FILE, gguf: 'GGUF', dummy: '' }[loadFormat];
  return new JsgError('E_MODEL_NOT_FOUND', `${name} holds no weights as ${wanted}`, {
    hint: 'PyTorch .bin checkpoints are not read',
  });
}

function hasTag(path: string, tag: string): boolean {
  const words = path.toLowerCase().replace(/(-\d{5}-of-\d{5})?\.gguf$/, '');
  return words === tag.toLowerCase() || new RegExp(`(^|[-._/])${escapeRegExp(tag.toLowerCase())}$`).test(words);
}

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\-]/g, '\\$&');
}

function splitsOf(first: string): string[] {
  const match = /^(.*)-00001-of-(\d{5})\.gguf$/.exec(first);
  if (match === null) return [first];
  const [, stem, total] = match;
  const count = Math.min(Number(total), 1000);
  return Array.from({ length: count }, (_, i) => `${stem}-${String(i + 1).padStart(5, '0')}-of-${total}.gguf`);
}
