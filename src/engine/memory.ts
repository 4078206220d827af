/** Does it fit, and how large may the KV cache be? Decided before anything is allocated. Pure. */
import type { ModelConfig, TensorInfo } from '../addon/binding.js';
import { JsgError } from '../errors.js';
import type { Settings } from '../profile/flags.js';
import { formatTable } from '../table.js';

export interface MemoryPlan {
  contextLength: number;
  /** Size of the KV pool, tokens; whole blocks. */
  maxTotalTokens: number;
  weightBytes: number;
  kvBytes: number;
  /** Activations of one step and the logits of a full batch. */
  workBytes: number;
  budgetBytes: number;
}

const BLOCK_TOKENS = 16;
/** Unless asked for, a context no longer than this: the KV pool of a long one would crowd out parallel requests. */
const DEFAULT_CONTEXT = 8192;
/** Unless asked for, no pool larger than this (or one full context): memory is left to others. */
const DEFAULT_POOL_TOKENS = 65536;
const FLOAT_BYTES = 4;

export function kvBytesPerToken(config: ModelConfig, kvCacheDtype: 'f16' | 'f32'): number {
  return 2 * config.numLayers * config.numKvHeads * config.headDim * (kvCacheDtype === 'f16' ? 2 : 4);
}

/** float32 where asked for, or where computing in float32 was asked for; else half the bytes. */
export function kvCacheDtype(settings: Pick<Settings, 'kv-cache-dtype' | 'dtype'>): 'f16' | 'f32' {
  if (settings['kv-cache-dtype'] !== 'auto') return settings['kv-cache-dtype'] === 'float32' ? 'f32' : 'f16';
  return settings.dtype === 'float32' ? 'f32' : 'f16';
}

function workBytesOf(config: ModelConfig, settings: Settings): number {
  const perToken = 4 * config.hiddenSize + 2 * config.intermediateSize + config.numHeads * config.headDim;
  const logits = settings['max-running-requests'] * config.vocabSize;
  return (settings['chunked-prefill-size'] * perToken + logits) * FLOAT_BYTES;
}

type Sizes = Pick<Settings, 'mem-fraction-static' | 'context-length' | 'max-total-tokens' | 'max-running-requests'>;

/**
 * Plans the memory of a launch. `availableBytes`: what this process may take now.
 * Throws E_USAGE for sizes that contradict each other or the model, E_OUT_OF_MEMORY with the table of bytes.
 */
export function planMemory(
  config: ModelConfig,
  tensors: Pick<TensorInfo, 'nbytes'>[],
  settings: Settings,
  availableBytes: number,
): MemoryPlan {
  const contextLength = chooseContext(config, settings);
  const perToken = kvBytesPerToken(config, kvCacheDtype(settings));
  const weightBytes = tensors.reduce((sum, { nbytes }) => sum + nbytes, 0);
  const workBytes = workBytesOf(config, settings);
  const budgetBytes = Math.floor(settings['mem-fraction-static'] * availableBytes);
  const roomTokens = floorToBlock((budgetBytes - weightBytes - workBytes) / perToken);
  const wantedTokens = settings['max-total-tokens'] ?? defaultPool(contextLength, settings);
  const maxTotalTokens = ceilToBlock(wantedTokens);
  const pooledTokens = settings['max-total-tokens'] === null ? Math.min(maxTotalTokens, roomTokens) : maxTotalTokens;
  const plan = { contextLength, weightBytes, workBytes, budgetBytes };
  const leastTokens = settings['max-total-tokens'] === null ? ceilToBlock(contextLength) : maxTotalTokens;
  if (roomTokens < leastTokens) {
    throw doesNotFit({ ...plan, maxTotalTokens: leastTokens, kvBytes: leastTokens * perToken }, settings, roomTokens);
  }
  return { ...plan, maxTotalTokens: pooledTokens, kvBytes: pooledTokens * perToken };
}

function chooseContext(config: ModelConfig, settings: Sizes): number {
  const asked = settings['context-length'];
  const pool = settings['max-total-tokens'];
  if (asked !== null && pool !== null && pool < asked) {
    throw new JsgError('E_USAGE', `--max-total-tokens ${pool} is less than --context-length ${asked}`);
  }
  return asked ?? Math.min(config.maxContextLength, DEFAULT_CONTEXT, pool ?? Number.POSITIVE_INFINITY);
}

function defaultPool(contextLength: number, settings: Sizes): number {
  return Math.min(Math.max(contextLength, DEFAULT_POOL_TOKENS), settings['max-running-requests'] * contextLength);
}

const floorToBlock = (tokens: number) => Math.floor(tokens / BLOCK_TOKENS) * BLOCK_TOKENS;
const ceilToBlock = (tokens: number) => Math.ceil(tokens / BLOCK_TOKENS) * BLOCK_TOKENS;

function doesNotFit(plan: MemoryPlan, settings: Settings, roomTokens: number): JsgError {
  const needed = plan.weightBytes + plan.kvBytes + plan.workBytes;
  const table = formatTable(
    [
      ['weights', mebibytes(plan.weightBytes)],
      [`KV cache, ${plan.maxTotalTokens} tokens`, mebibytes(plan.kvBytes)],
      ['working memory', mebibytes(plan.workBytes)],
      ['needed', mebibytes(needed)],
      [`available x ${settings['mem-fraction-static']}`, mebibytes(plan.budgetBytes)],
    ],
    1,
  );
  const indented = table.trimEnd().replace(/^/gm, '       ');
  const hint =
    roomTokens >= BLOCK_TOKENS
      ? `--context-length ${roomTokens} --max-total-tokens ${roomTokens} would fit.`
      : 'Not even the weights fit: take a smaller or a quantised model.';
  return new JsgError('E_OUT_OF_MEMORY', `the model does not fit in memory:\n${indented}`, { hint });
}

export function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
