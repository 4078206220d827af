/** From sampling fields and token ids to what the runtime runs. */
import type { NativeGrammar, NativeSampling } from '../addon/binding.js';
import type { Caller } from './api-keys.js';
import type { ServerContext } from './context.js';
import { fault, RequestError } from './error-response.js';
import type { SamplingRequest } from './schemas/sampling.js';
import type { SequencePlan } from './sequence-reader.js';

/** Seeds are unsigned 53-bit numbers to the runtime. */
const SEED_MODULUS = 2n ** 53n;
/** Below this a temperature is greedy, as in SGLang: dividing by it would overflow. */
const MIN_TEMPERATURE = 1e-6;

export interface PlanOptions {
  promptIds: readonly number[];
  /** What other callers have sent is not shared with it. */
  caller: Caller;
  maxNewTokens: number;
  /** -1: no log-probabilities; n: with the n likeliest tokens beside each. */
  topLogprobs: number;
  promptLogprobs?: boolean;
  /** The answer goes on in the middle of a text, unlike a chat's. */
  continuesPrompt?: boolean;
  /** What the answer must follow. */
  grammar?: NativeGrammar | null;
  /** Before field names in errors: `sampling_params.`. */
  paramPrefix?: string;
  /** What the request calls `min_tokens`. */
  minTokensField?: string;
}

/** One plan for each of the `n` sequences of a prompt; sequence i samples with seed + i. */
export function planSequences(server: ServerContext, request: SamplingRequest, options: PlanOptions): SequencePlan[] {
  const prefix = options.paramPrefix ?? '';
  const { model } = server;
  const promptIds = Int32Array.from(options.promptIds);
  const sampling = resolveSampling(server, request, options.topLogprobs, prefix);
  const stopIds = checkIds(server, request.stop_token_ids ?? [], `${prefix}stop_token_ids`);
  const stopTokenIds = Int32Array.from(new Set(request.ignore_eos ? stopIds : [...model.eosTokenIds, ...stopIds]));
  const stop = request.stop ?? [];
  if (stop.length > 0 && !model.tokenizer) {
    throw new RequestError('stop strings need a tokenizer, which this server has not', { param: `${prefix}stop` });
  }
  const minNewTokens = request.min_tokens ?? 0;
  if (minNewTokens > options.maxNewTokens) {
    const param = `${prefix}${options.minTokensField ?? 'min_tokens'}`;
    throw fault(param, `must be at most ${options.maxNewTokens}, the number of tokens that the answer may have`);
  }
  return Array.from({ length: request.n ?? 1 }, (_, index) => ({
    submit: {
      promptIds,
      maxNewTokens: options.maxNewTokens,
      minNewTokens,
      stopTokenIds,
      sampling: { ...sampling, seed: nthSeed(sampling.seed, index) },
      promptLogprobs: options.promptLogprobs ?? false,
      grammar: options.grammar ?? null,
      cacheSalt: options.caller.namespace,
      priority: priorityOf(server, request.priority ?? 0),
    },
    countsCache: index === 0,
    timeoutSeconds: request.timeout ?? null,
    stop,
    skipSpecialTokens: request.skip_special_tokens ?? true,
    continuesPrompt: options.continuesPrompt ?? false,
    tracksTokens: options.topLogprobs >= 0,
  }));
}

/** The runtime runs the higher numbers first. */
function priorityOf({ options }: ServerContext, priority: number): number {
  if (!options.priorityOrder) return 0;
  return options.priorityOrder === 'low-first' ? -priority : priority;
}

/** Request over the model's own defaults over OpenAI's. */
function resolveSampling(
  server: ServerContext,
  request: SamplingRequest,
  topLogprobs: number,
  prefix: string,
): NativeSampling {
  const defaults = server.model.generationDefaults;
  const temperature = request.temperature ?? defaults.temperature ?? 1;
  const topP = request.top_p ?? defaults.topP ?? 1;
  const topK = Math.max(request.top_k ?? defaults.topK ?? 0, 0);
  const { vocabSize } = server.model.weights.config;
  return {
    temperature: temperature < MIN_TEMPERATURE ? 0 : temperature,
    // Nothing of the mass but always the likeliest token: that is top_k 1.
    topP: topP === 0 ? 1 : topP,
    topK: topP === 0 ? 1 : topK >= vocabSize ? 0 : topK,
    minP: request.min_p ?? 0,
    seed: request.seed === undefined ? Math.floor(Math.random() * 2 ** 53) : wrapSeed(request.seed),
    repetitionPenalty: request.repetition_penalty ?? defaults.repetitionPenalty ?? 1,
    frequencyPenalty: request.frequency_penalty ?? 0,
    presencePenalty: request.presence_penalty ?? 0,
    logitBias: logitBiasArrays(server, request.logit_bias ?? [], prefix),
    topLogprobs,
  };
}

function logitBiasArrays(server: ServerContext, pairs: [number, number][], prefix: string) {
  if (pairs.length === 0) return null;
  const ids = checkIds(
    server,
    pairs.map(([id]) => id),
    `${prefix}logit_bias`,
  );
  return { ids: Int32Array.from(ids), values: Float32Array.from(pairs, ([, bias]) => bias) };
}

function checkIds(server: ServerContext, ids: readonly number[], param: string): readonly number[] {
  const { vocabSize } = server.model.weights.config;
  const wrong = ids.find((id) => id >= vocabSize);
  if (wrong === undefined) return ids;
  throw new RequestError(`${param}: ${wrong} is no token of this model, whose ids are below ${vocabSize}`, { param });
}

function wrapSeed(seed: number): number {
  return Number(((BigInt(seed) % SEED_MODULUS) + SEED_MODULUS) % SEED_MODULUS);
}

function nthSeed(seed: number, index: number): number {
  return wrapSeed(seed + index);
}
