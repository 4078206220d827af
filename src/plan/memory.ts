/** Does it fit, and how large may the KV cache be? Decided before anything is allocated. */
import type { ModelConfig } from '../addon/binding.js';
import { JsgError } from '../errors.js';
import { log } from '../log.js';
import type { Settings } from '../profile/flags.js';
import { formatTable } from '../table.js';
import { type Footprint, footprintOf, kvBytesPerToken, type Placement } from './footprint.js';
import type { StoredTensor } from './weight-format.js';

export interface MemoryPlan extends Footprint {
  contextLength: number;
  /** Size of the KV pool, tokens; whole blocks. */
  maxTotalTokens: number;
  /** Bytes of the KV pool. */
  kv: number;
  /** What all of it may take: a share of what is available. */
  budget: number;
}

const BLOCK_TOKENS = 16;
/** Unless asked for, a context no longer than this: the KV pool of a long one would crowd out parallel requests. */
const DEFAULT_CONTEXT = 8192;
/** Unless asked for, no pool in system memory larger than this (or one full context): memory is left to others. */
const DEFAULT_POOL_TOKENS = 65536;
/** A share of the available memory that may still be suggested: beyond it, what the estimate leaves out may not fit. */
const MAX_FRACTION = 0.95;

export interface Model {
  config: ModelConfig;
  tensors: readonly StoredTensor[];
}

/** What a launch would take, whether that is there or not. */
export interface Assessment extends MemoryPlan {
  fits: boolean;
  /** Tokens of KV that there would be room for; negative: the rest is too large already. */
  roomTokens: number;
}

/**
 * Assesses the memory of a launch of a model as it will be loaded. `availableBytes`: what this process may take now, where weights and KV cache go. Where
 * it does not fit, the pool is the least that was asked for. Throws E_USAGE for sizes that contradict each other.
 */
export function assessMemory(
  { config, tensors }: Model,
  settings: Settings,
  placement: Placement,
  availableBytes: number,
): Assessment {
  const contextLength = chooseContext(config, settings);
  const footprint = footprintOf(config, tensors, settings, contextLength, placement);
  const perToken = kvBytesPerToken(config, placement.kvCacheDtype);
  const budget = Math.floor(settings['mem-fraction-static'] * availableBytes);
  const roomTokens = floorToBlock((budget - bytesOf(footprint)) / perToken);
  const asked = settings['max-total-tokens'];
  const leastTokens = ceilToBlock(asked ?? contextLength);
  const fits = roomTokens >= leastTokens;
  const maxTotalTokens =
    fits && asked === null ? Math.min(defaultPool(contextLength, settings, placement), roomTokens) : leastTokens;
  return { ...footprint, contextLength, maxTotalTokens, kv: maxTotalTokens * perToken, budget, fits, roomTokens };
}

/**
 * Plans the memory of a launch, as `assessMemory`. Throws E_USAGE for sizes that contradict each other or the model,
 * E_OUT_OF_MEMORY with the table of bytes, unless `force`: then that is a warning.
 */
export function planMemory(
  model: Model,
  settings: Settings,
  placement: Placement,
  availableBytes: number,
  { force = false }: { force?: boolean } = {},
): MemoryPlan {
  const assessment = assessMemory(model, settings, placement, availableBytes);
  if (assessment.fits) return assessment;
  const refusal = doesNotFit(assessment, { settings, placement, availableBytes });
  if (!force) throw refusal;
  log.warning(`--force: ${refusal.message}`);
  return assessment;
}

/** Tokens of the longest sequence: as asked for, or what the model and the pool allow. Throws E_USAGE. */
export function chooseContext(config: ModelConfig, settings: Settings): number {
  const asked = settings['context-length'];
  const pool = settings['max-total-tokens'];
  if (asked !== null && pool !== null && pool < asked) {
    throw new JsgError('E_USAGE', `--max-total-tokens ${pool} is less than --context-length ${asked}`);
  }
  return asked ?? Math.min(config.maxContextLength, DEFAULT_CONTEXT, pool ?? Number.POSITIVE_INFINITY);
}

/** As much as the requests that may run could fill; a GPU's pool takes the whole share that it is given. */
function defaultPool(contextLength: number, settings: Settings, { backend }: Placement): number {
  const fillable = settings['max-running-requests'] * contextLength;
  const most = backend === 'cuda' ? Number.POSITIVE_INFINITY : Math.max(contextLength, DEFAULT_POOL_TOKENS);
  return ceilToBlock(Math.min(fillable, most));
}

const floorToBlock = (tokens: number) => Math.floor(tokens / BLOCK_TOKENS) * BLOCK_TOKENS;
const ceilToBlock = (tokens: number) => Math.ceil(tokens / BLOCK_TOKENS) * BLOCK_TOKENS;

/** Of everything but the KV cache. */
export function bytesOf({ weights, activations, graphs, context, staging }: Footprint): number {
  return weights + activations + graphs + context + staging;
}

/** What is needed, part by part (those that take nothing are left out), and of how much; bytes. */
function accountOf(plan: MemoryPlan, settings: Pick<Settings, 'mem-fraction-static'>): [string, number][] {
  const parts: [string, number][] = [
    ['weights', plan.weights],
    [`KV cache, ${plan.maxTotalTokens} tokens`, plan.kv],
    ['activations', plan.activations],
    ['CUDA graphs', plan.graphs],
    ['CUDA context and cuBLAS', plan.context],
    ['staging of weights', plan.staging],
  ];
  return [
    ...parts.filter(([, bytes]) => bytes > 0),
    ['needed', bytesOf(plan) + plan.kv],
    [`available x ${settings['mem-fraction-static']}`, plan.budget],
  ];
}

/** The plan in one line. */
export function describePlan(plan: MemoryPlan, settings: Pick<Settings, 'mem-fraction-static'>): string {
  const account = accountOf(plan, settings).map(([what, bytes]) => `${what}: ${mebibytes(bytes)}`);
  return `memory: ${account.join('; ')}`;
}

const FORCE = '--force starts all the same.';

interface Attempt {
  settings: Settings;
  placement: Placement;
  availableBytes: number;
}

function doesNotFit(plan: Assessment, attempt: Attempt): JsgError {
  const rows = accountOf(plan, attempt.settings).map(([what, bytes]) => [what, mebibytes(bytes)]);
  const table = formatTable(rows, 1).trimEnd().replace(/^/gm, '       ');
  const message = `the model does not fit in memory:\n${table}`;
  return new JsgError('E_OUT_OF_MEMORY', message, { hint: whatWouldFit(plan, attempt) });
}

function whatWouldFit(plan: Assessment, { placement, availableBytes }: Attempt): string {
  const { roomTokens } = plan;
  const ways: string[] = [];
  const tokens = Math.min(roomTokens, plan.contextLength);
  if (roomTokens >= BLOCK_TOKENS) ways.push(`--context-length ${tokens} --max-total-tokens ${roomTokens} would fit`);
  const fraction = Math.ceil((100 * (bytesOf(plan) + plan.kv)) / availableBytes) / 100;
  if (fraction <= MAX_FRACTION) ways.push(`--mem-fraction-static ${fraction} would fit`);
  if (ways.length > 0) return `${ways.join('; ')}. ${FORCE}`;
  const what = plan.weights > plan.budget ? 'Not even the weights fit' : 'Weights and working memory leave no room';
  return placement.backend === 'cuda'
    ? `${what}: take a smaller model (a GPU keeps weights in 16 bits, whatever the file has). ${FORCE}`
    : `${what}: take a smaller or a quantised model. ${FORCE}`;
}

export function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
