/** A model's configuration and tensor table without a download: from its files, its config.json alone, or its known shape. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { JsgError } from '../errors.js';
import { tensorBytes } from '../model/dtype.js';
import { dummyModel } from '../model/dummy.js';
import { openGgufModel } from '../model/gguf-model.js';
import { openHfModel } from '../model/hf-model.js';
import { RepoCache } from '../model/hub-cache.js';
import { parseHubId } from '../model/hub-files.js';
import { DEFAULT_MODEL, locateModel } from '../model/locate.js';
import { modelCacheDirectory } from '../model/store.js';
import { planTensors } from '../model/tensor-plan.js';
import type { Settings } from '../profile/flags.js';
import type { Model } from './memory.js';
import { KNOWN_MODELS, type KnownModel, knownModel } from './shapes.js';

export interface FoundModel extends Model {
  name: string;
  /** `files`: the weights are there; `config`: only config.json is; `known`: neither. */
  source: 'files' | 'config' | 'known shape';
  /** Null for a known shape. */
  path: string | null;
}

type ModelSettings = Pick<Settings, 'model-path' | 'revision' | 'load-format' | 'dtype'>;

/** Throws E_MODEL_NOT_FOUND saying what to do, or what is wrong with the files that are there. */
export async function findModel(settings: ModelSettings): Promise<FoundModel> {
  const name = settings['model-path'] ?? DEFAULT_MODEL;
  const here = await lookFor(name, settings);
  if (here !== null) return open(name, here.path, settings);
  const known = knownModel(name.replace(/:.*/, ''));
  if (known !== null) return { name, source: 'known shape', path: null, ...tensorsOf(known) };
  const ids = KNOWN_MODELS.map(({ ids }) => ids[0]).join(', ');
  throw new JsgError('E_MODEL_NOT_FOUND', `${name}: its files are not on this machine, and its shape is not known`, {
    hint: `Give --model-path a folder with its config.json, or a .gguf file; download it; or take one of ${ids}.`,
  });
}

/** What is known of a model that a launch would download; null: nothing, or nothing is to be downloaded. */
export async function foreseeDownload(settings: ModelSettings): Promise<FoundModel | null> {
  const here = await lookFor(settings['model-path'] ?? DEFAULT_MODEL, settings);
  return here?.isComplete ? null : findModel(settings).catch(() => null);
}

interface Here {
  /** A file or a folder; of an incomplete download at least with config.json. */
  path: string;
  /** Whether a launch would download nothing. */
  isComplete: boolean;
}

async function lookFor(name: string, settings: ModelSettings): Promise<Here | null> {
  const complete = (path: string | null) => (path === null ? null : { path, isComplete: true });
  if (name === DEFAULT_MODEL) return complete(embeddedFile());
  const path = resolve(name.replace(/^~(?=\/)/, process.env.HOME ?? '~'));
  if (existsSync(path)) return complete(path);
  const revision = settings.revision ?? 'main';
  const isHubId = /^\w[\w.-]*\/[\w.-]+(:[\w.-]+)?$/.test(name) && !name.endsWith('.gguf');
  if (!isHubId || !/^\w[\w./-]*$/.test(revision) || revision.includes('..')) return null;
  const cache = new RepoCache(parseHubId(name));
  const commit = await cache.commitOf(revision);
  if (commit === null) return null;
  const snapshot = await cache.complete(commit, settings['load-format']);
  if (snapshot !== null) return complete(snapshot);
  const partial = cache.snapshot(commit);
  return existsSync(join(partial, 'config.json')) ? { path: partial, isComplete: false } : null;
}

/** The embedded default, where an earlier launch has unpacked it. */
function embeddedFile(): string | null {
  const directory = modelCacheDirectory();
  try {
    const files = readdirSync(directory, { recursive: true, encoding: 'utf8' });
    const file = files.find((name) => /^[0-9a-f]{16}\/SmolLM2[^/]*\.gguf$/.test(name));
    return file === undefined ? null : join(directory, file);
  } catch {
    return null;
  }
}

async function open(name: string, path: string, settings: ModelSettings): Promise<FoundModel> {
  const configPath = statSync(path).isDirectory() ? join(path, 'config.json') : path;
  const fromConfig = (): FoundModel => {
    const { config, tensors } = dummyModel(configPath, settings.dtype);
    return { name, source: 'config', path: configPath, config, tensors };
  };
  if (configPath.endsWith('.json') && (configPath === path || settings['load-format'] === 'dummy')) return fromConfig();
  try {
    const located = await locateModel({ model: path, loadFormat: settings['load-format'] });
    const { config, tensors } =
      located.kind === 'gguf' ? openGgufModel(located.path).weights : openHfModel(located.path);
    return { name, source: 'files', path: located.path, config, tensors };
  } catch (error) {
    // Bytes can be told before the weights have arrived.
    if (
      error instanceof JsgError &&
      error.code === 'E_MODEL_INVALID' &&
      existsSync(configPath) &&
      configPath !== path
    ) {
      return fromConfig();
    }
    throw error;
  }
}

/** The tensors of a known shape: vectors as a GGUF has them where matrices are quantised. */
export function tensorsOf({ config, dtype }: KnownModel): Model {
  const tensors = planTensors(config).map(({ name, shape }) => {
    const stored = shape.length === 1 && dtype.startsWith('Q') ? 'F32' : dtype;
    return { name, shape, dtype: stored, nbytes: tensorBytes(stored, shape) ?? 0 };
  });
  return { config, tensors };
}
