/** POST /generate: SGLang's own request. */
import { z } from 'zod';
import { formatFields } from '../grammar/answer-format.js';
import { LIMITS } from '../limits.js';
import { boolean, byHand, integer } from './fields.js';
import { idsForm, ridForm, textForm } from './forms.js';
import type { RequestShape } from './parse.js';
import { EXTENSION_REFUSALS, GENERATE_REFUSALS } from './refusals.js';
import { NO_EFFECT, samplingFields } from './sampling.js';

const TOKENS_MAX = 2 ** 31 - 1;

const schema = z.object({
  /** One of the two; one prompt or a list. Checked by `parseInputs`. */
  text: byHand(textForm),
  input_ids: byHand(idsForm),
  /** An object, or a list with one for each prompt. */
  sampling_params: byHand(() => z.union([params, z.array(params)])),
  stream: boolean(),
  return_logprob: boolean(),
  logprob_start_len: integer(-1, TOKENS_MAX),
  top_logprobs_num: integer(0, LIMITS.topLogprobs),
  return_text_in_logprobs: boolean(),
  /** As in `sampling_params`, for all prompts. */
  priority: samplingFields.priority,
  timeout: samplingFields.timeout,
  /** A string, or a list with one for each prompt. */
  rid: byHand(ridForm),
});

export const generateShape: RequestShape<typeof schema> = {
  schema,
  refusals: GENERATE_REFUSALS,
  accepted: [
    ...NO_EFFECT,
    'log_metrics',
    'modalities',
    'background',
    'data_parallel_rank',
    'bootstrap_host',
    'bootstrap_port',
    'bootstrap_room',
    'conversation_id',
    'extra_key',
    'return_bytes',
  ],
};

const params = z.object({
  ...samplingFields,
  ...formatFields,
  max_new_tokens: integer(0, TOKENS_MAX),
  min_new_tokens: integer(0, TOKENS_MAX),
  sampling_seed: samplingFields.seed,
});

export type GenerateParams = z.output<typeof params>;

export const samplingParamsShape: RequestShape<typeof params> = {
  schema: params,
  refusals: EXTENSION_REFUSALS,
  accepted: NO_EFFECT,
};
