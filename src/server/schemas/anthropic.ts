/** POST /v1/messages and /v1/messages/count_tokens, Anthropic's API. */
import { z } from 'zod';
import { LIMITS } from '../limits.js';
import { boolean, byHand, choice, integer, object, required, stopStrings, string } from './fields.js';
import {
  anthropicMessagesForm,
  anthropicToolChoiceForm,
  anthropicToolsForm,
  outputFormatForm,
  systemForm,
} from './forms.js';
import type { RequestShape } from './parse.js';
import { CONVERSATION_REFUSALS, MESSAGES_REFUSALS } from './refusals.js';
import { NO_EFFECT, samplingFields } from './sampling.js';

const TOKENS_MAX = 2 ** 31 - 1;
const { n: _one, stop: _stop, ...sampling } = samplingFields;

/** What becomes the prompt. */
const promptFields = {
  model: string(512),
  /** Checked by `parseConversation`. */
  messages: byHand(anthropicMessagesForm),
  system: byHand(systemForm),
  /** Checked by `parseMessageTools`. */
  tools: byHand(anthropicToolsForm),
  tool_choice: byHand(anthropicToolChoiceForm),
  /** Whether a model that can choose is to think; how long it does is up to the model. */
  thinking: object({
    type: choice(['enabled', 'disabled', 'adaptive']),
    budget_tokens: integer(1, TOKENS_MAX),
    display: string(32),
  }),
  output_config: object({ effort: string(32), format: byHand(outputFormatForm) }),
  output_format: byHand(outputFormatForm),
};

const messages = z.object({
  ...sampling,
  ...promptFields,
  max_tokens: required(integer(1, TOKENS_MAX)),
  min_tokens: integer(0, TOKENS_MAX),
  stop_sequences: stopStrings(),
  stream: boolean(),
  rid: string(LIMITS.requestIdChars),
});

export type MessagesRequest = z.output<typeof messages>;

const ACCEPTED = [
  ...NO_EFFECT,
  'cache_control',
  'inference_geo',
  'speed',
  'diagnostics',
  'betas',
  'billing_policy',
  'fallbacks',
  'fallback_credit_token',
  'user_profile_id',
  'workspace_id',
];

export const messagesShape: RequestShape<typeof messages> = {
  schema: messages,
  refusals: MESSAGES_REFUSALS,
  accepted: ACCEPTED,
};

const countTokens = z.object(promptFields);

export type CountTokensRequest = z.output<typeof countTokens>;

export const countTokensShape: RequestShape<typeof countTokens> = {
  schema: countTokens,
  refusals: CONVERSATION_REFUSALS,
  accepted: [...ACCEPTED, 'max_tokens', 'compaction'],
};
