/** What the server answers with, as schemas: for the description of the API, and for tests that hold answers against them. */
import { z } from 'zod';

const text = z.string();
const count = z.int().min(0);
const id = z.string().min(1);
const finishReason = z.enum(['stop', 'length', 'abort', 'tool_calls']);
const matchedStop = z.union([text, z.int(), z.null()]);

export const error = z.object({
  error: z.object({ message: text, type: text, param: text.nullable(), code: text }),
});

export const anthropicError = z.object({
  type: z.literal('error'),
  error: z.object({ type: text, message: text, param: text.nullable(), code: text }),
});

const model = z.object({
  id,
  object: z.literal('model'),
  created: count,
  owned_by: text,
  root: text,
  max_model_len: count,
  type: z.literal('model'),
  display_name: text,
  created_at: text,
});
export const modelCard = model;
export const modelList = z.object({
  object: z.literal('list'),
  data: z.array(model),
  has_more: z.literal(false),
  first_id: id,
  last_id: id,
});

const usage = z.object({
  prompt_tokens: count,
  completion_tokens: count,
  total_tokens: count,
  prompt_tokens_details: z.object({ cached_tokens: count }),
});

const tokenLogprob = z.object({ token: text, logprob: z.number(), bytes: z.array(z.int().min(0).max(255)) });
const scoredToken = tokenLogprob.extend({ top_logprobs: z.array(tokenLogprob) });
const chatLogprobs = z.object({ content: z.array(scoredToken) }).nullable();
const toolCall = z.object({
  id,
  type: z.literal('function'),
  function: z.object({ name: text, arguments: text }),
});

export const chatCompletion = z.object({
  id,
  object: z.literal('chat.completion'),
  created: count,
  model: text,
  choices: z.array(
    z.object({
      index: count,
      message: z.object({
        role: z.literal('assistant'),
        content: text.nullable(),
        reasoning_content: text.optional(),
        tool_calls: z.array(toolCall).optional(),
        refusal: z.null(),
      }),
      logprobs: chatLogprobs,
      finish_reason: finishReason,
      matched_stop: matchedStop,
    }),
  ),
  usage,
});

const toolCallDelta = z.object({
  index: count,
  id: id.optional(),
  type: z.literal('function').optional(),
  function: z.object({ name: text.optional(), arguments: text }),
});

export const chatChunk = z.object({
  id,
  object: z.literal('chat.completion.chunk'),
  created: count,
  model: text,
  choices: z.array(
    z.object({
      index: count,
      delta: z.object({
        role: z.literal('assistant').optional(),
        content: text.optional(),
        reasoning_content: text.optional(),
        tool_calls: z.array(toolCallDelta).optional(),
      }),
      logprobs: chatLogprobs,
      finish_reason: finishReason.nullable(),
      matched_stop: matchedStop.optional(),
    }),
  ),
  usage: usage.nullish(),
});

const legacyLogprobs = z
  .object({
    tokens: z.array(text),
    token_logprobs: z.array(z.number().nullable()),
    top_logprobs: z.array(z.record(text, z.number()).nullable()),
    text_offset: z.array(count),
  })
  .nullable();

export const completion = z.object({
  id,
  object: z.literal('text_completion'),
  created: count,
  model: text,
  choices: z.array(
    z.object({
      index: count,
      text,
      logprobs: legacyLogprobs,
      finish_reason: finishReason.nullable(),
      matched_stop: matchedStop.optional(),
    }),
  ),
  usage: usage.nullish(),
});

const outputStatus = z.enum(['in_progress', 'completed', 'incomplete']);

const outputItem = z.union([
  z.object({
    type: z.literal('message'),
    id,
    status: outputStatus,
    role: z.literal('assistant'),
    content: z.array(
      z.object({
        type: z.literal('output_text'),
        text,
        annotations: z.array(z.unknown()),
        logprobs: z.array(scoredToken),
      }),
    ),
  }),
  z.object({ type: z.literal('function_call'), id, status: outputStatus, call_id: id, name: text, arguments: text }),
  z.object({
    type: z.literal('reasoning'),
    id,
    status: outputStatus,
    summary: z.array(z.unknown()),
    content: z.array(z.object({ type: z.literal('reasoning_text'), text })),
  }),
]);

export const response = z.object({
  id,
  object: z.literal('response'),
  created_at: count,
  status: z.enum(['in_progress', 'completed', 'incomplete', 'failed']),
  error: z.object({ code: text, message: text }).nullable(),
  incomplete_details: z.object({ reason: text }).nullable(),
  instructions: text.nullable(),
  max_output_tokens: count.nullable(),
  metadata: z.record(text, text),
  model: text,
  output: z.array(outputItem),
  parallel_tool_calls: z.boolean(),
  previous_response_id: text.nullable(),
  store: z.boolean(),
  temperature: z.number(),
  top_p: z.number(),
  text: z.object({ format: z.looseObject({ type: text }) }),
  tool_choice: z.unknown(),
  tools: z.array(z.unknown()),
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

export const responseEvent = z.looseObject({ type: text, sequence_number: count });
export const responseDeleted = z.object({ id, object: z.literal('response'), deleted: z.literal(true) });

const contentBlock = z.union([
  z.object({ type: z.literal('text'), text }),
  z.object({ type: z.literal('thinking'), thinking: text, signature: text }),
  z.object({ type: z.literal('tool_use'), id, name: text, input: z.record(text, z.unknown()) }),
]);

export const message = z.object({
  id,
  type: z.literal('message'),
  role: z.literal('assistant'),
  model: text,
  content: z.array(contentBlock),
  stop_reason: z.enum(['end_turn', 'max_tokens', 'stop_sequence', 'tool_use']).nullable(),
  stop_sequence: text.nullable(),
  usage: z.object({
    input_tokens: count,
    cache_creation_input_tokens: count,
    cache_read_input_tokens: count,
    output_tokens: count,
  }),
});

export const messageEvent = z.looseObject({ type: text });
export const tokenCount = z.object({ input_tokens: count });

const perText = <T extends z.ZodType>(one: T) => z.union([one, z.array(one)]);

export const tokenized = z.object({
  tokens: perText(z.array(count)),
  count: perText(count),
  max_model_len: count,
  token_strs: perText(z.array(text)).optional(),
});

export const detokenized = z.object({ text: perText(text), prompt: perText(text) });

const generatedOne = z.object({
  text,
  output_ids: z.array(count).optional(),
  meta_info: z.looseObject({ id, prompt_tokens: count, completion_tokens: count }),
});
export const generated = z.union([generatedOne, z.array(generatedOne)]);
export const generatedChunk = generatedOne.extend({ index: count.optional() });

export const health = z.object({ status: z.literal('ok') });

export const modelInfo = z.object({
  model_path: text,
  tokenizer_path: text,
  is_generation: z.literal(true),
  has_tokenizer: z.boolean(),
  has_chat_template: z.boolean(),
  served_model_name: text,
  context_length: count,
  vocab_size: count,
});

export const serverInfo = z.looseObject({
  status: text,
  served_model_name: text,
  max_total_num_tokens: count,
  max_running_requests: count,
  internal_states: z.array(z.looseObject({ last_gen_throughput: z.number() })),
});

export const load = z.array(z.object({ dp_rank: count, num_reqs: count, num_waiting_reqs: count, num_tokens: count }));

export const loads = z.object({
  timestamp: text,
  dp_rank_count: count,
  loads: z.array(z.looseObject({ num_running_reqs: count, num_waiting_reqs: count, token_usage: z.number() })),
  aggregate: z.looseObject({ total_reqs: count }),
});

const bytes = z.object({ used_bytes: z.number(), total_bytes: z.number() }).nullable();

export const status = z.object({
  status: z.enum(['starting', 'ready', 'draining', 'failed']),
  served_model_name: text,
  profile: text.nullable(),
  uptime_seconds: z.number(),
  memory: bytes,
  gpu_memory: bytes,
  power: z.object({ watts: z.number(), of: text }).nullable(),
  temperature: z.object({ celsius: z.number(), of: text, throttles_at: z.number().nullable() }).nullable(),
});

export const flushed = z.object({ success: z.literal(true), message: text });
export const saved = flushed.extend({ tokens: count });
export const aborted = z.object({ success: z.literal(true), aborted: count });
