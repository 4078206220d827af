/** A model of safetensors to a quantised checkpoint: planned whole, made shard by shard beside its place, renamed at the end. */
import { randomUUID } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { loadBinding } from '../addon/binding.js';
import { JsgError, toJsgError } from '../errors.js';
import { writeAtomically } from '../files.js';
import { openHfModel } from '../model/hf-model.js';
import { readJsonObject } from '../model/json-file.js';
import type { ModelWeights } from '../model/model.js';
import { cardOf, configOf, type MatrixError, totalError } from './describe.js';
import { indexOf, layOut, type Shard } from './layout.js';
import { type QuantizeOptions, type Target, targetsOf } from './scheme.js';
import { errorsFile, writeShards } from './write-shards.js';

/** Files beside the weights that the new checkpoint needs, or whose terms go with it. */
const COMPANIONS =
  /^(tokenizer.*\.json|tokenizer\.model|special_tokens_map\.json|added_tokens\.json|vocab\.(json|txt)|merges\.txt|chat_template\.(jinja|json)|generation_config\.json|(LICENSE|NOTICE|USE_POLICY)(\.\w+)?)$/;
const STATE = 'jsg-quantize.json';

export interface QuantizePlan extends QuantizeOptions {
  /** As the user named it. */
  model: string;
  source: string;
  output: string;
  weights: ModelWeights;
  targets: Target[];
  shards: Shard[];
  /** Of the model's weights, and of the new ones. */
  bytes: { before: number; after: number };
}

export interface QuantizeResult {
  output: string;
  matrices: number;
  /** ||W - W'|| / ||W|| over all quantised matrices. */
  error: number;
  bytes: QuantizePlan['bytes'];
}

/** Reads headers only. Throws E_MODEL_*, E_USAGE where there is nothing to do or the output is taken. */
export function planQuantize(
  model: string,
  source: string,
  output: string,
  options: QuantizeOptions,
  force: boolean,
): QuantizePlan {
  const place = resolve(output);
  requireFreePlace(place, force);
  const weights = openHfModel(source);
  if (weights.tensors.some(({ packing }) => packing !== undefined)) {
    throw new JsgError('E_MODEL_UNSUPPORTED', `${model} is quantised already`, {
      hint: 'Take the checkpoint that it was made from.',
    });
  }
  const targets = targetsOf(weights.tensors, weights.config.tiedEmbeddings, options);
  if (targets.every(({ format }) => format === null)) {
    throw new JsgError('E_MODEL_UNSUPPORTED', `${model}: no matrix has rows of whole groups for ${options.scheme}`, {
      hint: 'Take a scheme with smaller groups.',
    });
  }
  const shards = layOut(targets);
  const before = weights.tensors.reduce((sum, { nbytes }) => sum + nbytes, 0);
  const after = shards.reduce((sum, { nbytes }) => sum + nbytes, 0);
  return { ...options, model, source, output: place, weights, targets, shards, bytes: { before, after } };
}

function requireFreePlace(output: string, force: boolean): void {
  const found = statSync(output, { throwIfNoEntry: false });
  if (found === undefined || (found.isDirectory() && readdirSync(output).length === 0)) return;
  if (force && found.isDirectory()) return;
  throw new JsgError('E_USAGE', `${output} is there already`, {
    hint: found.isDirectory() ? '--force replaces it when the new one is complete.' : 'Name a folder.',
  });
}

const workFolder = ({ output }: QuantizePlan) => join(dirname(output), `.${basename(output)}.quantizing`);

/** Shards that a run of the same plan left behind. */
export function openWork(plan: QuantizePlan): { folder: string; resumedShards: number } {
  const folder = workFolder(plan);
  const state = stateOf(plan);
  const path = join(folder, STATE);
  if (existsSync(path) && readFileSync(path, 'utf8') === state) {
    return { folder, resumedShards: plan.shards.filter(({ file }) => existsSync(join(folder, file))).length };
  }
  rmSync(folder, { recursive: true, force: true });
  requireSpace(plan);
  try {
    mkdirSync(folder, { recursive: true });
    writeAtomically(path, state);
  } catch (error) {
    throw ioError(error, plan);
  }
  return { folder, resumedShards: 0 };
}

/** What the result depends on: another model, or other options, begin anew. */
function stateOf({ weights, scheme, method, head, shards }: QuantizePlan): string {
  const files = weights.files.map((path) => {
    const { size, mtimeMs } = statSync(path);
    return { path, size, mtimeMs };
  });
  const headers = shards.map(({ file, nbytes }) => ({ file, nbytes }));
  return JSON.stringify({ version: 1, scheme, method, head, files, headers });
}

function requireSpace({ output, bytes }: QuantizePlan): void {
  let folder = dirname(output);
  while (!existsSync(folder)) folder = dirname(folder);
  const { bavail, bsize } = statfsSync(folder);
  const free = bavail * bsize;
  if (free >= bytes.after) return;
  const gb = (n: number) => `${(n / 1e9).toFixed(2)} GB`;
  throw new JsgError('E_IO_FAILED', `${folder} has ${gb(free)} left, the quantised model takes ${gb(bytes.after)}`, {
    hint: 'Free some space, or take --output to another disk.',
  });
}

export interface RunOptions {
  numThreads: number;
  /** 0..1, and the tensor at work. */
  onProgress: (fraction: number, name: string) => void;
  signal?: AbortSignal;
}

export async function makeShards(plan: QuantizePlan, folder: string, options: RunOptions): Promise<MatrixError[]> {
  const binding = await loadBinding();
  try {
    return await writeShards({
      folder,
      shards: plan.shards,
      files: plan.weights.files,
      method: plan.method,
      numThreads: options.numThreads,
      quantizeMatrix: (request) => binding.quantizeMatrix(request),
      onProgress: (done, name) => options.onProgress(done / plan.bytes.after, name),
      ...(options.signal && { signal: options.signal }),
    });
  } catch (error) {
    throw ioError(error, plan);
  }
}

/** Config, index, tokenizer and card; then the folder takes its place. */
export function finish(plan: QuantizePlan, folder: string, errors: readonly MatrixError[]): QuantizeResult {
  const { source, output, shards, targets, model, bytes } = plan;
  const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;
  try {
    writeAtomically(join(folder, 'config.json'), json(configOf(readJsonObject(join(source, 'config.json')), targets)));
    if (shards.length > 1) writeAtomically(join(folder, 'model.safetensors.index.json'), json(indexOf(shards)));
    for (const name of readdirSync(source)) {
      if (COMPANIONS.test(name)) copyFileSync(join(source, name), join(folder, name));
    }
    // A path says nothing to whom the model is given.
    const name = existsSync(model) ? basename(resolve(model)) : model;
    writeAtomically(join(folder, 'README.md'), cardOf(name, plan, targets, errors, bytes));
    for (const shard of shards) rmSync(errorsFile(folder, shard), { force: true });
    rmSync(join(folder, STATE), { force: true });
    takePlace(folder, output);
  } catch (error) {
    throw ioError(error, plan);
  }
  return { output, matrices: errors.length, error: totalError(errors), bytes };
}

function takePlace(folder: string, output: string): void {
  const old = `${output}.${randomUUID()}.old`;
  const isTaken = existsSync(output);
  if (isTaken) renameSync(output, old);
  renameSync(folder, output);
  if (isTaken) rmSync(old, { recursive: true, force: true });
}

/** Whatever went wrong while writing, with what is to be done. */
function ioError(error: unknown, plan: QuantizePlan): JsgError {
  const { code, message } = (error ?? {}) as NodeJS.ErrnoException;
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new JsgError('E_IO_FAILED', `no space left for ${plan.output}`, {
      cause: error,
      hint: 'Free some space and run the same command again: it goes on where it stopped.',
    });
  }
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') {
    const hint = 'Name a folder that can be written with --output.';
    return new JsgError('E_IO_FAILED', `${plan.output} can't be written: ${message}`, { cause: error, hint });
  }
  const known = toJsgError(error);
  return known.code === 'E_INTERNAL' && typeof code === 'string'
    ? new JsgError('E_IO_FAILED', `${plan.output}: ${message}`, { cause: error })
    : known;
}
