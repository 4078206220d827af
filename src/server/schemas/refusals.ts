/** Fields that are known but not served: to ignore them would give another answer than the one asked for. */
import type { JsonObject } from '../request-body.js';

/** Field -> why its value is refused, or null where the value asks for nothing. */
export type Refusals = Record<string, (value: unknown, body: JsonObject) => string | null>;

/** Fields whose refusal has a code of its API's own, by which clients know what else to do. */
export const REFUSAL_CODES: Readonly<Record<string, string>> = { thread: 'thread_unsupported_request' };

const isUnset = (value: unknown) => value === undefined || value === null || value === false;
const isEmpty = (value: unknown) => isUnset(value) || value === '' || (Array.isArray(value) && value.length === 0);

const unless =
  (isHarmless: (value: unknown) => boolean, reason: string) =>
  (value: unknown): string | null =>
    isHarmless(value) ? null : reason;

const OTHER_NAME = 'is the field of another server; here it is response_format, json_schema, regex or ebnf';

/** Other servers' fields for the form of the answer. */
export const STRUCTURED_REFUSALS: Refusals = {
  structured_outputs: unless(isEmpty, OTHER_NAME),
  guided_json: unless(isEmpty, OTHER_NAME),
  guided_regex: unless(isEmpty, OTHER_NAME),
  guided_choice: unless(isEmpty, OTHER_NAME),
  guided_grammar: unless(isEmpty, OTHER_NAME),
};

/** Extensions of other servers that change the text. */
export const EXTENSION_REFUSALS: Refusals = {
  ...STRUCTURED_REFUSALS,
  lora_path: unless(isEmpty, 'LoRA adapters are not available'),
  custom_logit_processor: unless(isEmpty, 'custom logit processors are not available'),
  return_hidden_states: unless(isEmpty, 'hidden states are not available'),
  use_beam_search: unless(isEmpty, 'beam search is not available'),
  no_stop_trim: unless(isEmpty, 'stop strings are always left out of the text'),
  include_stop_str_in_output: unless(isEmpty, 'stop strings are always left out of the text'),
};

const OLD_TOOLS = 'is the older form of tools: send tools and tool_choice';
const TEXT_ONLY = 'the model reads and writes text only';

const NO_MODERATION = 'nothing is moderated here';

export const CHAT_REFUSALS: Refusals = {
  ...EXTENSION_REFUSALS,
  moderation: unless(isUnset, NO_MODERATION),
  functions: unless(isEmpty, OLD_TOOLS),
  function_call: unless((value) => isUnset(value) || value === 'none' || value === 'auto', OLD_TOOLS),
  audio: unless(isUnset, TEXT_ONLY),
  modalities: unless(
    (value) => isUnset(value) || (Array.isArray(value) && value.every((each) => each === 'text')),
    TEXT_ONLY,
  ),
  web_search_options: unless(isUnset, 'web search is not available'),
  chat_template: unless(isUnset, 'a request cannot bring its own chat template'),
};

const NO_BACKGROUND = 'responses are not made in the background: wait, or stream';

export const RESPONSES_REFUSALS: Refusals = {
  ...EXTENSION_REFUSALS,
  moderation: unless(isUnset, NO_MODERATION),
  n: unless((value) => isUnset(value) || value === 1, 'a response is one answer'),
  background: unless(isUnset, NO_BACKGROUND),
  conversation: unless(isUnset, 'conversations are not available: send previous_response_id'),
  prompt: unless(isUnset, 'prompt templates are not available: send instructions and input'),
  context_management: unless(isEmpty, 'compaction is not available'),
  response_format: unless(isUnset, 'is the field of chat completions; here it is text.format'),
  messages: unless(isEmpty, 'is the field of chat completions; here it is input'),
  max_tokens: unless(isUnset, 'is the field of chat completions; here it is max_output_tokens'),
  modalities: CHAT_REFUSALS.modalities as Refusals[string],
  audio: unless(isUnset, TEXT_ONLY),
  chat_template: CHAT_REFUSALS.chat_template as Refusals[string],
};

/** Of what becomes the prompt. */
export const CONVERSATION_REFUSALS: Refusals = {
  ...EXTENSION_REFUSALS,
  thread: unless(isUnset, 'conversations are not kept here: send all messages'),
  n: unless((value) => isUnset(value) || value === 1, 'a message is one answer'),
  stop: unless(isEmpty, 'is the field of chat completions; here it is stop_sequences'),
  response_format: unless(isUnset, 'is the field of chat completions; here it is output_config.format'),
  container: unless(isEmpty, 'containers are not available'),
  context_management: unless(isEmpty, 'context management is not available'),
  mcp_servers: unless(isEmpty, 'MCP servers are not available'),
  chat_template: CHAT_REFUSALS.chat_template as Refusals[string],
};

export const MESSAGES_REFUSALS: Refusals = {
  ...CONVERSATION_REFUSALS,
  compaction: unless(isUnset, 'compaction is not available'),
};

export const COMPLETION_REFUSALS: Refusals = {
  ...EXTENSION_REFUSALS,
  suffix: unless(isEmpty, 'filling in before a suffix is not available'),
  prompt_embeds: unless(isUnset, 'prompts are text or token ids'),
};

export const GENERATE_REFUSALS: Refusals = {
  image_data: unless(isEmpty, TEXT_ONLY),
  audio_data: unless(isEmpty, TEXT_ONLY),
  video_data: unless(isEmpty, TEXT_ONLY),
  input_embeds: unless(isEmpty, 'prompts are text or token ids'),
  lora_path: EXTENSION_REFUSALS.lora_path as Refusals[string],
  custom_logit_processor: EXTENSION_REFUSALS.custom_logit_processor as Refusals[string],
  return_hidden_states: EXTENSION_REFUSALS.return_hidden_states as Refusals[string],
  session_params: unless(isEmpty, 'sessions are not available'),
  token_ids_logprob: unless(isEmpty, 'log-probabilities of chosen ids are not available'),
};
