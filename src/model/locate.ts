/** From what a person types to files on this machine: the embedded default, a path, or a hub id. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { JsgError } from '../errors.js';
import { INDEX_FILE } from './hf-model.js';
import { fileExists } from './json-file.js';
import type { LoadModelOptions } from './load-options.js';
import { modelInvalid, modelUnsupported } from './model-error.js';

export const DEFAULT_MODEL = 'smollm2';

/** A GGUF file, a Hugging Face directory, or a config.json to make dummy weights for. */
export type Located =
  | { kind: 'gguf'; path: string }
  | { kind: 'directory'; path: string }
  | { kind: 'config'; path: string };

/** Throws E_MODEL_NOT_FOUND, and whatever a download throws. */
export async function locateModel(options: LoadModelOptions): Promise<Located> {
  const { model } = options;
  const path = resolve(model.replace(/^~(?=\/)/, process.env.HOME ?? '~'));
  if (model === DEFAULT_MODEL) {
    if (options.loadFormat === 'safetensors' || options.loadFormat === 'dummy') {
      throw modelUnsupported(
        DEFAULT_MODEL,
        `the embedded default is a GGUF file, not for --load-format ${options.loadFormat}`,
      );
    }
    const { embeddedModel } = await import('./store.js');
    return { kind: 'gguf', path: await embeddedModel(options) };
  }
  if (model !== '' && existsSync(path))
    return statSync(path).isDirectory() ? inDirectory(path, options.loadFormat) : ofFile(path);
  if (!looksLikePath(model) && /^[\w][\w.-]*\/[\w.-]+(:[\w.-]+)?$/.test(model)) {
    const { hubModel } = await import('./hub.js');
    const found = await hubModel(options);
    return statSync(found).isDirectory() ? inDirectory(found, options.loadFormat) : ofFile(found);
  }
  const hint = `give a directory, a .gguf file, a hub id (org/name), or ${DEFAULT_MODEL}`;
  throw new JsgError('E_MODEL_NOT_FOUND', `${model}: no such model`, { hint });
}

function looksLikePath(model: string): boolean {
  return /^(\.{0,2}|~)\//.test(model) || model.endsWith('.gguf') || model.endsWith('.json');
}

function ofFile(path: string): Located {
  if (path.endsWith('.json')) return { kind: 'config', path };
  if (path.endsWith('.safetensors')) throw modelInvalid(path, 'weights alone are no model', 'give their directory');
  return { kind: 'gguf', path };
}

function inDirectory(path: string, loadFormat: LoadModelOptions['loadFormat']): Located {
  if (loadFormat === 'dummy') return { kind: 'config', path: join(path, 'config.json') };
  const hasSafetensors = fileExists(join(path, INDEX_FILE)) || fileExists(join(path, 'model.safetensors'));
  if (loadFormat === 'safetensors' || (loadFormat === 'auto' && hasSafetensors)) return { kind: 'directory', path };
  const ggufs = readdirSync(path)
    .filter((name) => name.endsWith('.gguf') && !/-(?!00001)\d{5}-of-\d{5}\.gguf$/.test(name))
    .sort();
  const [only, ...others] = ggufs;
  if (only !== undefined && others.length === 0) return { kind: 'gguf', path: join(path, only) };
  if (only !== undefined) throw modelInvalid(path, `holds ${ggufs.length} models`, `give one of ${ggufs.join(', ')}`);
  if (loadFormat === 'gguf') throw modelInvalid(path, 'no .gguf file');
  // Whatever is missing, the reader of the directory says so best.
  return { kind: 'directory', path };
}
