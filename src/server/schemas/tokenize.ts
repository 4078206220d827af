/** POST /tokenize and /detokenize: SGLang's and vLLM's fields. */
import { z } from 'zod';
import { templateKwargs } from './chat.js';
import { boolean, byHand, string } from './fields.js';
import { chatToolsForm, messagesForm, textsForm, tokensForm } from './forms.js';
import type { RequestShape } from './parse.js';

const tokenize = z.object({
  model: string(512),
  /** A text or a list of them; or messages. Checked by the route and `parseMessages`. */
  prompt: byHand(textsForm),
  messages: byHand(messagesForm),
  /** Default: true for texts; chat templates write special tokens themselves. */
  add_special_tokens: boolean(),
  return_token_strs: boolean(),
  add_generation_prompt: boolean(),
  tools: byHand(chatToolsForm),
  chat_template_kwargs: templateKwargs,
});

export type TokenizeRequest = z.output<typeof tokenize>;

export const tokenizeShape: RequestShape<typeof tokenize> = {
  schema: tokenize,
  refusals: {
    chat_template: (value) => (value == null ? null : 'a request cannot bring its own chat template'),
    continue_final_message: (value) => (value == null || value === false ? null : 'is not available'),
  },
  accepted: ['mm_processor_kwargs'],
};

const detokenize = z.object({
  model: string(512),
  /** Token ids or lists of them. Checked by the route. */
  tokens: byHand(tokensForm),
  skip_special_tokens: boolean(),
});

export const detokenizeShape: RequestShape<typeof detokenize> = { schema: detokenize, refusals: {}, accepted: [] };
