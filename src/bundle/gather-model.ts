/** The files of a profile's model, as a folder or file that `--model-path` takes. */
import { copyFileSync, linkSync, mkdirSync, readdirSync, realpathSync, renameSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { LoadProgress } from '../model/load-options.js';
import { locateModel } from '../model/locate.js';
import type { BundleFile } from './manifest.js';
import type { Workshop } from './workshop.js';

/** Beside the weights: configuration, tokenizer, templates. */
const WANTED = /\.(safetensors|gguf|json|jinja|model|txt)$/;

export type Tell = (line: string, share: number | null) => void;

/** Throws what finding and downloading a model throws. */
export async function gatherModel(model: string, shop: Workshop, tell: Tell) {
  const onProgress = ({ stage, file, doneBytes, totalBytes }: LoadProgress) =>
    tell(`${stage} ${file}`, totalBytes > 0 ? Math.min(1, doneBytes / totalBytes) : null);
  const located = await locateModel({ model, loadFormat: 'auto', onProgress, signal: shop.signal });
  const isFolder = located.kind === 'directory';
  const root = isFolder ? located.path : dirname(located.path);
  const paths = isFolder ? filesIn(root) : splitsOf(located.path);
  const folder = isFolder ? `model/${labelOf(model, root)}` : 'model';
  return paths.map((path): Omit<BundleFile, 'sha256' | 'sizeBytes'> => {
    shop.signal.throwIfAborted();
    copy(join(root, path), join(shop.directory, folder, path));
    return { path: `${folder}/${path}`, kind: 'model', name: model, version: null, commit: null, submodules: [] };
  });
}

/** `org/name` -> `org--name`; a folder keeps its name. */
const labelOf = (model: string, root: string) =>
  /^[\w.-]+\/[\w.-]+$/.test(model) && !model.startsWith('.') ? model.replace('/', '--') : basename(root);

const filesIn = (root: string) =>
  readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((path) => WANTED.test(path) && !/(^|\/)\./.test(path) && statSync(join(root, path)).isFile())
    .sort();

/** A GGUF file, with the rest of it where it is split. */
function splitsOf(path: string): string[] {
  const stem = /^(.*)-00001-of-(\d{5})\.gguf$/.exec(basename(path));
  if (stem === null) return [basename(path)];
  return readdirSync(dirname(path))
    .filter((name) => name.startsWith(`${stem[1]}-`) && name.endsWith(`-of-${stem[2]}.gguf`))
    .sort();
}

/** A second name for the same bytes where the file system allows it. Done already where the size is right. */
function copy(from: string, to: string): void {
  const source = realpathSync(from);
  if (statSync(to, { throwIfNoEntry: false })?.size === statSync(source).size) return;
  mkdirSync(dirname(to), { recursive: true });
  const partial = `${to}.part`;
  rmSync(partial, { force: true });
  try {
    linkSync(source, partial);
  } catch {
    copyFileSync(source, partial);
  }
  renameSync(partial, to);
}
