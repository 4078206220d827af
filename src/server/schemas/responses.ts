/** POST /v1/responses and /v1/responses/input_tokens. */
import { z } from 'zod';
import { formatFields } from '../grammar/answer-format.js';
import { LIMITS } from '../limits.js';
import { templateKwargs } from './chat.js';
import { boolean, byHand, choice, integer, metadata, object, string, strings } from './fields.js';
import { responseInputForm, responseTextForm, responseToolChoiceForm, responseToolsForm } from './forms.js';
import type { RequestShape } from './parse.js';
import { RESPONSES_REFUSALS } from './refusals.js';
import { NO_EFFECT, samplingFields } from './sampling.js';

const TOKENS_MAX = 2 ** 31 - 1;
const { n: _one, ...sampling } = samplingFields;
const { response_format: _named, ...otherFormats } = formatFields;

/** What becomes the prompt. */
const promptFields = {
  model: string(512),
  /** Checked by `inputItems` and `Conversation`. */
  input: byHand(responseInputForm),
  instructions: string(LIMITS.bodyBytes),
  previous_response_id: string(LIMITS.requestIdChars),
  /** Checked by `parseTextFormat`. */
  text: byHand(responseTextForm),
  /** Checked by `parseResponseTools`. */
  tools: byHand(responseToolsForm),
  tool_choice: byHand(responseToolChoiceForm),
  parallel_tool_calls: boolean(),
  reasoning: object({ effort: string(32), summary: string(32), generate_summary: string(32) }),
  truncation: choice(['disabled', 'auto']),
  chat_template_kwargs: templateKwargs,
};

const schema = z.object({
  ...sampling,
  ...otherFormats,
  ...promptFields,
  /** Default true: the response can be asked for again, and gone on from. */
  store: boolean(),
  stream: boolean(),
  stream_options: object({ include_obfuscation: boolean() }),
  max_output_tokens: integer(1, TOKENS_MAX),
  min_tokens: integer(0, TOKENS_MAX),
  top_logprobs: integer(0, LIMITS.topLogprobs),
  include: strings(32, 64),
  /** Of tools that OpenAI hosts; there are none here. */
  max_tool_calls: integer(1, TOKENS_MAX),
  metadata: metadata(),
  user: string(512),
  rid: string(LIMITS.requestIdChars),
});

export type ResponsesRequest = z.output<typeof schema>;

export const responsesShape: RequestShape<typeof schema> = {
  schema,
  refusals: RESPONSES_REFUSALS,
  accepted: [...NO_EFFECT, 'background_options', 'access_programs', 'image'],
};

const inputTokens = z.object(promptFields);

export type InputTokensRequest = z.output<typeof inputTokens>;

export const inputTokensShape: RequestShape<typeof inputTokens> = {
  schema: inputTokens,
  refusals: RESPONSES_REFUSALS,
  accepted: [...NO_EFFECT, 'personality'],
};
