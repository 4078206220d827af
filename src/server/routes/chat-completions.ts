/** POST /v1/chat/completions. */
import type { Context } from 'hono';
import { callerOf } from '../auth.js';
import { ChatAnswer, type ChatAnswerOptions, ChatStream } from '../chat-answer.js';
import { type ChatTask, planChat } from '../chat-task.js';
import type { ServerContext } from '../context.js';
import { RequestError } from '../error-response.js';
import { admit, startGeneration } from '../generation.js';
import { parseAnswerFormat } from '../grammar/answer-format.js';
import { checkModelName, checkStreamOptions, newRequestId } from '../openai.js';
import { readJsonObject } from '../request-body.js';
import { jsonResponse, streamResponse } from '../responses.js';
import { type ChatRequest, chatShape } from '../schemas/chat.js';
import { parseMessages } from '../schemas/messages.js';
import { parseRequest } from '../schemas/parse.js';
import { parseToolUse } from '../tools/tools.js';

export async function chatCompletions(server: ServerContext, c: Context): Promise<Response> {
  admit(server);
  const request = parseRequest(chatShape, await readJsonObject(c));
  checkModelName(server, request.model);
  checkStreamOptions(request);
  if (request.top_logprobs !== undefined && !request.logprobs) {
    throw new RequestError('top_logprobs: needs "logprobs": true', { param: 'top_logprobs' });
  }
  const { plans, shape, numPromptTokens } = await planChat(server, { ...taskOf(request), caller: callerOf(c) });

  const id = newRequestId('chatcmpl');
  const options: ChatAnswerOptions = {
    id,
    n: plans.length,
    shape,
    numPromptTokens,
    withLogprobs: request.logprobs ?? false,
    includeUsage: request.stream_options?.include_usage ?? false,
  };
  const generation = startGeneration(server, request.rid ?? id, plans, c);
  if (request.stream) return streamResponse(c, generation, (stream) => new ChatStream(server, options, stream));
  const answer = new ChatAnswer(server, options);
  await generation.run(answer);
  return jsonResponse(answer.body());
}

function taskOf(request: ChatRequest): Omit<ChatTask, 'caller'> {
  return {
    toolUse: parseToolUse(request),
    ...messagesOf(request),
    param: 'messages',
    asked: parseAnswerFormat(request),
    separatesReasoning: request.separate_reasoning !== false,
    streamsReasoning: request.stream_reasoning !== false,
    templateKwargs: templateKwargs(request),
    addGenerationPrompt: request.add_generation_prompt ?? true,
    sampling: request,
    // The newer name wins where a client sends both.
    maxTokens: request.max_completion_tokens ?? request.max_tokens,
    maxTokensParam: request.max_completion_tokens === undefined ? 'max_tokens' : 'max_completion_tokens',
    topLogprobs: request.logprobs ? (request.top_logprobs ?? 0) : -1,
  };
}

/** `continue_final_message`: the answer begins with the last message, which is the assistant's. */
function messagesOf(request: ChatRequest): Pick<ChatTask, 'messages' | 'prefill'> {
  const messages = parseMessages(request.messages);
  if (!request.continue_final_message) return { messages };
  const last = messages.at(-1);
  if (last?.role === 'assistant' && typeof last.content === 'string' && !last.tool_calls) {
    return { messages: messages.slice(0, -1), prefill: last.content };
  }
  throw new RequestError("continue_final_message: the last message must be the assistant's, of text", {
    param: 'continue_final_message',
  });
}

function templateKwargs(request: ChatRequest): Record<string, unknown> {
  const kwargs: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(request.chat_template_kwargs ?? {})) {
    if (value !== undefined) kwargs[name] = value;
  }
  if (request.reasoning_effort !== undefined) kwargs.reasoning_effort = request.reasoning_effort;
  return kwargs;
}
