/** What /v1/messages answers with, whole and as events. */
import { z } from 'zod';
import { anthropicError, count, id, text } from './answers.js';

const contentBlock = z.union([
  z.object({ type: z.literal('text'), text }),
  z.object({ type: z.literal('thinking'), thinking: text, signature: text }),
  z.object({ type: z.literal('tool_use'), id, name: text, input: z.record(text, z.unknown()) }),
]);

const stop = {
  stop_reason: z.enum(['end_turn', 'max_tokens', 'stop_sequence', 'tool_use']).nullable(),
  stop_sequence: text.nullable(),
};
const usage = z.object({
  input_tokens: count,
  cache_creation_input_tokens: count,
  cache_read_input_tokens: count,
  output_tokens: count,
});

export const message = z.object({
  id,
  type: z.literal('message'),
  role: z.literal('assistant'),
  model: text,
  content: z.array(contentBlock),
  ...stop,
  usage,
});

const ofBlock = { index: count };
const delta = z.union([
  z.object({ type: z.literal('text_delta'), text }),
  z.object({ type: z.literal('thinking_delta'), thinking: text }),
  z.object({ type: z.literal('signature_delta'), signature: text }),
  z.object({ type: z.literal('input_json_delta'), partial_json: text }),
]);

export const messageEvent = z.union([
  z.object({ type: z.literal('message_start'), message }),
  z.object({ type: z.literal('ping') }),
  z.object({ type: z.literal('content_block_start'), ...ofBlock, content_block: contentBlock }),
  z.object({ type: z.literal('content_block_delta'), ...ofBlock, delta }),
  z.object({ type: z.literal('content_block_stop'), ...ofBlock }),
  z.object({ type: z.literal('message_delta'), delta: z.object(stop), usage }),
  z.object({ type: z.literal('message_stop') }),
  anthropicError,
]);

export const tokenCount = z.object({ input_tokens: count });
