/**
 * What a bench leaves behind: JSON with a version, checked when it is read again. Fields are added, never changed, within a
 * version. Null always means: not known here.
 */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { JsgError } from '../errors.js';

export const RESULT_VERSION = 1;

const number = z.number().nullable();
const text = z.string().nullable();
const range = z.tuple([z.number(), z.number()]);

const summary = z.object({
  count: z.number(),
  mean: z.number(),
  p50: z.number(),
  p90: z.number(),
  p99: z.number(),
  min: z.number(),
  max: z.number(),
  /** Null: too few values to tell. */
  ci95: z.object({ mean: range.nullable(), p50: range.nullable(), p90: range.nullable(), p99: range.nullable() }),
});

const power = z.object({
  /** What was read: `VDD_IN`, `VDD_GPU_SOC + VDD_CPU_CV`, `GPU board power`. */
  source: z.string(),
  samples: z.number(),
  meanWatts: z.number(),
  maxWatts: z.number(),
  joules: z.number(),
  tokensPerJoule: number,
});

const decodeRow = z.object({
  batch: z.number(),
  /** Tokens of the prompt that decoding starts from. */
  promptTokens: number,
  tokensPerSecond: number,
  /** Lowest and highest repeat. */
  spread: range.nullable(),
  /** The rate of each repeat, as they were measured. */
  repeats: z.array(z.number()).default([]),
  ttftMs: number,
  bytesPerToken: number,
  bandwidthGBs: number,
  /** Of the read bandwidth measured in the same run. */
  share: number,
  power: power.nullable(),
});

const prefillRow = z.object({
  batch: z.number(),
  promptTokens: z.number(),
  tokensPerSecond: z.number(),
  spread: range.nullable(),
  repeats: z.array(z.number()).default([]),
  ttftMs: z.number(),
  /** Of what the board's tensor cores could do in fp16. */
  peakShare: number,
  power: power.nullable(),
});

const serveLevel = z.object({
  /** Requests a second; null: as fast as the concurrency lets them. */
  requestRate: number,
  maxConcurrency: number,
  durationS: z.number(),
  completed: z.number(),
  failed: z.number(),
  cancelled: z.number(),
  /** Kind of failure -> how many. */
  failures: z.record(z.string(), z.number()),
  /** Kind of failure -> what the first of them was told. */
  failureExamples: z.record(z.string(), z.string()).default({}),
  inputTokens: z.number(),
  /** What the workload asked for; null: prompts whose length is not known beforehand. */
  inputTokensAsked: number,
  /** Of them, from the server's prefix cache; null: it does not tell. */
  cachedTokens: number,
  outputTokens: z.number(),
  requestThroughput: z.number(),
  outputThroughput: z.number(),
  totalThroughput: z.number(),
  /** 95 % range of the output throughput, from ten parts of the run. */
  outputThroughputCi95: range.nullable(),
  peakConcurrency: z.number(),
  goodput: z.object({ requestsPerSecond: z.number(), share: z.number() }).nullable(),
  ttftMs: summary.nullable(),
  /** Between arrivals of text. */
  itlMs: summary.nullable(),
  /** A token after the first, mean of each request. */
  tpotMs: summary.nullable(),
  e2eMs: summary.nullable(),
  /** Mean number of tokens in one arrival of text. */
  tokensPerArrival: number,
  countedBy: z.enum(['usage', 'pieces', 'mixed']),
  /** How long after its time a request was sent. */
  lateMs: summary.nullable(),
  /** Share of one core that this client's event loop was busy. */
  clientLoad: number,
  /** Quantiles at 0, 1, ... 100 %. */
  curves: z.object({ ttftMs: z.array(z.number()), itlMs: z.array(z.number()), e2eMs: z.array(z.number()) }),
  timeline: z.object({
    stepS: z.number(),
    outputTokensPerSecond: z.array(z.number()),
    running: z.array(z.number()),
  }),
  power: power.nullable(),
});

const loadRow = z.object({
  cache: z.enum(['cold', 'warm']),
  /** Share of the files' bytes in the page cache before the start, as the kernel tells; null: it does not. */
  cachedShare: number,
  bytes: number,
  /** From the start of the process. */
  readyS: z.number(),
  firstTokenS: z.number(),
  /** The weights' own loading, as the engine tells. */
  loadS: number,
  bytesPerSecond: number,
});

const clocks = z.object({ cpuMhz: number, gpuMhz: number, emcMhz: number });
export type Clocks = z.infer<typeof clocks>;

const conditions = z.object({
  powerMode: text,
  isLocked: z.boolean().nullable(),
  ceilings: clocks,
  clocks,
  hottestCelsius: number,
  throttling: z.array(z.string()),
  numOverCurrent: number,
});
export type Conditions = z.infer<typeof conditions>;

const board = z.object({
  name: z.string(),
  partNumber: text,
  l4t: text,
  jetpack: text,
  os: text,
  kernel: z.string(),
  cpu: z.string(),
  numCores: z.number(),
  memoryBytes: z.number(),
  gpu: text,
  driver: text,
  cuda: text,
});

const reference = z.object({ board: z.string(), gen_throughput: z.number(), source: z.string() });

const common = {
  version: z.literal(RESULT_VERSION),
  /** ISO 8601. */
  startedAt: z.string(),
  durationS: z.number(),
  status: z.enum(['complete', 'partial']),
  /** What ended a partial run before its time, by a code of src/errors.ts; null: nothing, or whoever had started it. */
  failure: z.object({ code: z.string(), message: z.string() }).nullable().default(null),
  /** Why the figures must not be quoted: clocks that moved, throttling. Empty: nothing speaks against them. */
  invalid: z.array(z.string()),
  commandLine: z.string(),
  jsg: z.object({ version: z.string(), commit: text, node: z.string() }),
  model: z.string(),
  modelHash: z.object({ sha256: z.string(), of: z.string() }).nullable(),
  url: z.string(),
  server: text,
  endpoint: z.string(),
  runtime: text,
  weightBytes: number,
  kvBytesPerToken: number,
  /** GB/s that the device reads, measured in the same process. */
  readBandwidthGBs: number,
  device: board,
  conditions: z.object({ before: conditions, after: conditions.nullable() }),
  /** The documented figure of the profile, where it has one. */
  reference: reference.nullable(),
  /** What the figures depend on: two results compare where these are equal. */
  workload: z.record(z.string(), z.json()),
  notes: z.array(z.string()),
};

const schemas = {
  decode: z.object({
    kind: z.literal('decode'),
    ...common,
    decode: z.array(decodeRow),
    prefill: prefillRow.nullable(),
  }),
  prefill: z.object({ kind: z.literal('prefill'), ...common, prefill: z.array(prefillRow) }),
  serve: z.object({ kind: z.literal('serve'), ...common, serve: z.array(serveLevel) }),
  load: z.object({ kind: z.literal('load'), ...common, load: z.array(loadRow) }),
};

export const resultSchema = z.discriminatedUnion('kind', [
  schemas.decode,
  schemas.prefill,
  schemas.serve,
  schemas.load,
]);

export type Result = z.infer<typeof resultSchema>;
export type Kind = Result['kind'];
export type ResultOf<K extends Kind> = Extract<Result, { kind: K }>;
/** What all kinds have. */
export type Common = Omit<ResultOf<'load'>, 'kind' | 'load'>;
export type Power = z.infer<typeof power>;
export type DecodeRow = z.infer<typeof decodeRow>;
export type PrefillRow = z.infer<typeof prefillRow>;
export type ServeLevel = z.infer<typeof serveLevel>;
export type LoadRow = z.infer<typeof loadRow>;
export type BoardFacts = z.infer<typeof board>;
export type Reference = z.infer<typeof reference>;

/** A result that was saved; throws E_USAGE saying what is wrong with it. */
export function readResult(path: string): Result {
  let parsed: unknown;
  try {
    parsed = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new JsgError('E_USAGE', `${path}: ${(error as Error).message}`);
  }
  return parseResult(parsed, path);
}

export function parseResult(parsed: unknown, path: string): Result {
  const checked = resultSchema.safeParse(parsed);
  if (checked.success) return checked.data;
  const told = (parsed as { version?: unknown } | null)?.version;
  if (told !== RESULT_VERSION) {
    const what = told === undefined ? 'no result of jsg bench' : `a result of version ${told}`;
    throw new JsgError('E_USAGE', `${path} is ${what}; this jsg reads version ${RESULT_VERSION}`, {
      hint: 'Save one with jsg bench ... --output-file FILE.',
    });
  }
  const [issue] = checked.error.issues;
  throw new JsgError('E_USAGE', `${path}: ${issue?.path.join('.')}: ${issue?.message}`);
}
