/** POST /v1/completions. */
import { z } from 'zod';
import { formatFields } from '../grammar/answer-format.js';
import { LIMITS } from '../limits.js';
import { streamOptions } from './chat.js';
import { boolean, byHand, integer, string } from './fields.js';
import { promptForm } from './forms.js';
import type { RequestShape } from './parse.js';
import { COMPLETION_REFUSALS } from './refusals.js';
import { NO_EFFECT, samplingFields } from './sampling.js';

const TOKENS_MAX = 2 ** 31 - 1;

const schema = z.object({
  ...samplingFields,
  ...formatFields,
  model: string(512),
  /** Checked by `parsePrompts`. */
  prompt: byHand(promptForm),
  stream: boolean(),
  stream_options: streamOptions,
  max_tokens: integer(0, TOKENS_MAX),
  min_tokens: integer(0, TOKENS_MAX),
  logprobs: integer(0, LIMITS.topLogprobs),
  echo: boolean(),
  best_of: integer(1, LIMITS.n),
  rid: string(LIMITS.requestIdChars),
});

export type CompletionRequest = z.output<typeof schema>;

export const completionShape: RequestShape<typeof schema> = {
  schema,
  refusals: COMPLETION_REFUSALS,
  accepted: NO_EFFECT,
};
