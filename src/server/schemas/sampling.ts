/** Fields of sampling and of scheduling, shared by the OpenAI routes and SGLang's `sampling_params`. */
import { LIMITS } from '../limits.js';
import { boolean, integer, logitBias, number, stopStrings, tokenIds } from './fields.js';

const INT32_MAX = 2 ** 31 - 1;

export const samplingFields = {
  temperature: number(0, 2),
  top_p: number(0, 1),
  /** -1 and 0: off. */
  top_k: integer(-1, INT32_MAX),
  min_p: number(0, 1),
  /** OpenAI's seeds are 64-bit; JSON rounds the large ones, equal texts to equal seeds. */
  seed: integer(-(2 ** 63), 2 ** 63),
  frequency_penalty: number(-2, 2),
  presence_penalty: number(-2, 2),
  repetition_penalty: number(0.01, 2),
  logit_bias: logitBias(),
  stop: stopStrings(),
  stop_token_ids: tokenIds(LIMITS.stopTokenIds),
  ignore_eos: boolean(),
  skip_special_tokens: boolean(),
  n: integer(1, LIMITS.n),
  /** Heard where the server was started with --enable-priority-scheduling. */
  priority: integer(-(2 ** 30), 2 ** 30),
  /** Seconds until the request must have ended. */
  timeout: number(0.001, LIMITS.timeoutSeconds),
};

export interface SamplingRequest {
  temperature?: number | undefined;
  top_p?: number | undefined;
  top_k?: number | undefined;
  min_p?: number | undefined;
  seed?: number | undefined;
  frequency_penalty?: number | undefined;
  presence_penalty?: number | undefined;
  repetition_penalty?: number | undefined;
  logit_bias?: [number, number][] | undefined;
  stop?: string[] | undefined;
  stop_token_ids?: number[] | undefined;
  min_tokens?: number | undefined;
  ignore_eos?: boolean | undefined;
  skip_special_tokens?: boolean | undefined;
  n?: number | undefined;
  priority?: number | undefined;
  timeout?: number | undefined;
}

/** Fields of OpenAI's API that are taken without effect. */
export const NO_EFFECT = [
  'user',
  'store',
  'metadata',
  'service_tier',
  'safety_identifier',
  'prompt_cache_key',
  'prompt_cache_retention',
  'prompt_cache_options',
  'spaces_between_special_tokens',
  'return_cached_tokens_details',
] as const;
