/** What the server answers with, as schemas: for the description of the API, and for tests that hold answers against them. */
import { z } from 'zod';

export const text = z.string();
export const count = z.int().min(0);
export const id = z.string().min(1);
const finishReason = z.enum(['stop', 'length', 'abort', 'tool_calls']);
const matchedStop = z.union([text, z.int(), z.null()]);

export const error = z.object({
  error: z.object({ message: text, type: text, param: text.nullable(), code: text }),
});

export const anthropicError = z.object({
  type: z.literal('error'),
  error: z.object({
    type: text,
    message: text,
    param: text.nullable(),
    code: text,
    details: z.object({ error_code: text, unsupported: z.array(text) }).optional(),
  }),
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
export const scoredToken = tokenLogprob.extend({ top_logprobs: z.array(tokenLogprob) });
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

const chatChunk = z.object({
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

/** A fault in a stream that has begun is an event, the last one. */
export const chatEvent = z.union([chatChunk, error]);

const legacyLogprobs = z
  .object({
    tokens: z.array(text),
    token_logprobs: z.array(z.number().nullable()),
    top_logprobs: z.array(z.record(text, z.number()).nullable()),
    text_offset: z.array(count),
  })
  .nullable();

const completionChoice = z.object({
  index: count,
  text,
  logprobs: legacyLogprobs,
  finish_reason: finishReason,
  matched_stop: matchedStop,
});
const completionHead = { id, object: z.literal('text_completion'), created: count, model: text };

export const completion = z.object({ ...completionHead, choices: z.array(completionChoice), usage });

const completionChunk = z.object({
  ...completionHead,
  choices: z.array(
    completionChoice.extend({ finish_reason: finishReason.nullable(), matched_stop: matchedStop.optional() }),
  ),
  usage: usage.nullish(),
});
export const completionEvent = z.union([completionChunk, error]);

const perText = <T extends z.ZodType>(one: T) => z.union([one, z.array(one)]);

export const tokenized = z.object({
  tokens: perText(z.array(count)),
  count: perText(count),
  max_model_len: count,
  token_strs: perText(z.array(text)).optional(),
});

export const detokenized = z.object({ text: perText(text), prompt: perText(text) });

/** The log-probability (null where nothing predicts the token), the token's id, and its text if that was asked for. */
const idLogprob = z.tuple([z.number().nullable(), count, text.nullable()]);
const metaInfo = z.object({
  id,
  finish_reason: z
    .union([
      z.object({ type: z.literal('length'), length: count }),
      z.object({ type: z.literal('stop'), matched: matchedStop }),
      z.object({ type: z.literal('abort'), message: text }),
    ])
    .nullable(),
  prompt_tokens: count,
  completion_tokens: count,
  cached_tokens: count,
  input_token_logprobs: z.array(idLogprob).optional(),
  output_token_logprobs: z.array(idLogprob).optional(),
  input_top_logprobs: z.array(z.array(idLogprob).nullable()).optional(),
  output_top_logprobs: z.array(z.array(idLogprob)).optional(),
  /** Seconds, once it has ended. */
  e2e_latency: z.number().optional(),
  spec_verify_ct: count.optional(),
  spec_accept_length: z.number().optional(),
  spec_accept_rate: z.number().optional(),
  spec_num_correct_drafts: count.optional(),
  spec_num_proposed_drafts: count.optional(),
});
/** A server without a tokenizer gives ids alone. */
const generatedOne = z.object({ text: text.optional(), output_ids: z.array(count), meta_info: metaInfo });
export const generated = z.union([generatedOne, z.array(generatedOne)]);
export const generatedEvent = z.union([generatedOne.extend({ index: count.optional() }), error]);

/** Where the server gives the model's memory back when idle: whether it is there now. */
const residency = z.enum(['loaded', 'loading', 'unloaded']);

export const health = z.object({ status: z.literal('ok'), model: residency.optional() });

export const modelInfo = z.object({
  model_path: text,
  tokenizer_path: text,
  is_generation: z.literal(true),
  has_tokenizer: z.boolean(),
  has_chat_template: z.boolean(),
  served_model_name: text,
  context_length: count,
  vocab_size: count,
  preferred_sampling_params: z.null(),
  weight_version: text,
});

const phase = z.enum(['starting', 'ready', 'draining', 'failed']);

export const serverInfo = z.looseObject({
  status: phase,
  model: residency,
  served_model_name: text,
  max_total_num_tokens: count,
  max_running_requests: count,
  internal_states: z.array(z.looseObject({ last_gen_throughput: z.number() })),
});

export const load = z.array(z.object({ dp_rank: count, num_reqs: count, num_waiting_reqs: count, num_tokens: count }));

export const loads = z.object({
  timestamp: text,
  dp_rank_count: count,
  loads: z.array(
    z.object({
      dp_rank: count,
      num_running_reqs: count,
      num_waiting_reqs: count,
      num_total_reqs: count,
      num_used_tokens: count,
      max_total_num_tokens: count,
      max_running_requests: count,
      token_usage: z.number(),
      gen_throughput: z.number(),
      utilization: z.number(),
    }),
  ),
  aggregate: z.object({
    total_running_reqs: count,
    total_waiting_reqs: count,
    total_reqs: count,
    avg_token_usage: z.number(),
    avg_throughput: z.number(),
    avg_utilization: z.number(),
  }),
});

const bytes = z.object({ used_bytes: z.number(), total_bytes: z.number() }).nullable();

export const status = z.object({
  status: phase,
  model: residency,
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
