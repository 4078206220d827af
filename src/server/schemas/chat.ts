/** POST /v1/chat/completions. */
import { z } from 'zod';
import { formatFields } from '../grammar/answer-format.js';
import { LIMITS } from '../limits.js';
import { boolean, byHand, integer, string } from './fields.js';
import { chatToolChoiceForm, chatToolsForm, messagesForm } from './forms.js';
import type { RequestShape } from './parse.js';
import { CHAT_REFUSALS } from './refusals.js';
import { NO_EFFECT, samplingFields } from './sampling.js';

export const streamOptions = z
  .object({ include_usage: boolean() }, { error: 'must be an object' })
  .nullish()
  .transform((value) => value ?? undefined);

const TOKENS_MAX = 2 ** 31 - 1;

/** Switches that chat templates declare; nothing else of a template can be set from outside. */
export const templateKwargs = z
  .strictObject(
    { enable_thinking: boolean(), thinking: boolean() },
    { error: 'may only hold enable_thinking and thinking, true or false' },
  )
  .nullish()
  .transform((value) => value ?? undefined);

const schema = z.object({
  ...samplingFields,
  ...formatFields,
  model: string(512),
  /** Checked by `parseMessages`, which names the message and part at fault. */
  messages: byHand(messagesForm),
  stream: boolean(),
  stream_options: streamOptions,
  max_tokens: integer(1, TOKENS_MAX),
  max_completion_tokens: integer(1, TOKENS_MAX),
  min_tokens: integer(0, TOKENS_MAX),
  logprobs: boolean(),
  top_logprobs: integer(0, LIMITS.topLogprobs),
  add_generation_prompt: boolean(),
  continue_final_message: boolean(),
  /** Checked by `parseToolUse`. */
  tools: byHand(chatToolsForm),
  tool_choice: byHand(chatToolChoiceForm),
  parallel_tool_calls: boolean(),
  separate_reasoning: boolean(),
  stream_reasoning: boolean(),
  reasoning_effort: string(32),
  chat_template_kwargs: templateKwargs,
  rid: string(LIMITS.requestIdChars),
});

export type ChatRequest = z.output<typeof schema>;

export const chatShape: RequestShape<typeof schema> = {
  schema,
  refusals: CHAT_REFUSALS,
  accepted: [...NO_EFFECT, 'prediction', 'verbosity'],
};
