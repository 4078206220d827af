/** What /v1/responses answers with, whole and as events. */
import { z } from 'zod';
import { count, id, scoredToken, text } from './answers.js';

const status = z.enum(['in_progress', 'completed', 'incomplete']);

const outputText = z.object({
  type: z.literal('output_text'),
  text,
  annotations: z.array(z.unknown()),
  logprobs: z.array(scoredToken),
});
const reasoningText = z.object({ type: z.literal('reasoning_text'), text });

const outputItem = z.union([
  z.object({
    type: z.literal('message'),
    id,
    status,
    role: z.literal('assistant'),
    content: z.array(outputText),
  }),
  z.object({ type: z.literal('function_call'), id, status, call_id: id, name: text, arguments: text }),
  z.object({
    type: z.literal('reasoning'),
    id,
    status,
    summary: z.array(z.unknown()),
    content: z.array(reasoningText),
  }),
]);

export const response = z.object({
  id,
  object: z.literal('response'),
  created_at: count,
  status: z.enum(['in_progress', 'completed', 'incomplete', 'failed']),
  background: z.literal(false),
  error: z.object({ code: text, message: text }).nullable(),
  incomplete_details: z.object({ reason: text }).nullable(),
  instructions: text.nullable(),
  max_output_tokens: count.nullable(),
  max_tool_calls: count.nullable(),
  metadata: z.record(text, text),
  model: text,
  output: z.array(outputItem),
  parallel_tool_calls: z.boolean(),
  previous_response_id: text.nullable(),
  reasoning: z.object({ effort: text.nullable(), summary: z.null() }),
  service_tier: z.literal('default'),
  store: z.boolean(),
  temperature: z.number(),
  top_p: z.number(),
  text: z.looseObject({ format: z.looseObject({ type: text }) }),
  tool_choice: z.unknown(),
  tools: z.array(
    z.object({
      type: z.literal('function'),
      name: text,
      description: text.nullable(),
      parameters: z.record(text, z.unknown()),
      strict: z.boolean(),
    }),
  ),
  top_logprobs: count,
  truncation: z.literal('disabled'),
  user: text.nullable(),
  usage: z
    .object({
      input_tokens: count,
      input_tokens_details: z.object({ cached_tokens: count, cache_write_tokens: count }),
      output_tokens: count,
      output_tokens_details: z.object({ reasoning_tokens: count }),
      total_tokens: count,
    })
    .nullable(),
});

/** Where in the response something is told. */
const ofItem = { item_id: id, output_index: count };
const ofPart = { ...ofItem, content_index: count };
const ofText = { ...ofPart, logprobs: z.array(scoredToken) };
const part = z.union([outputText, reasoningText]);

const event = <T extends z.ZodRawShape>(types: readonly [string, ...string[]], fields: T) =>
  z.object({ type: z.enum(types.map((type) => `response.${type}`)), sequence_number: count, ...fields });

export const responseEvent = z.union([
  event(['created', 'in_progress', 'completed', 'incomplete', 'failed'], { response }),
  event(['output_item.added', 'output_item.done'], { output_index: count, item: outputItem }),
  event(['content_part.added', 'content_part.done'], { ...ofPart, part }),
  event(['output_text.delta'], { ...ofText, delta: text }),
  event(['output_text.done'], { ...ofText, text }),
  event(['reasoning_text.delta'], { ...ofPart, delta: text }),
  event(['reasoning_text.done'], { ...ofPart, text }),
  event(['function_call_arguments.delta'], { ...ofItem, delta: text }),
  event(['function_call_arguments.done'], { ...ofItem, name: text, arguments: text }),
]);

export const responseDeleted = z.object({ id, object: z.literal('response'), deleted: z.literal(true) });
export const inputTokens = z.object({ object: z.literal('response.input_tokens'), input_tokens: count });
