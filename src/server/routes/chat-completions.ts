/** POST /v1/chat/completions. */
import type { Context } from 'hono';
import type { ChatMessage } from '../../model/model.js';
import { ChatAnswer, type ChatAnswerOptions, ChatStream } from '../chat-answer.js';
import { chatForm } from '../chat-form.js';
import type { ServerContext } from '../context.js';
import { RequestError } from '../error-response.js';
import { startGeneration } from '../generation.js';
import { compileFormat } from '../grammar/compile.js';
import { checkModelName, checkStreamOptions, newRequestId } from '../openai.js';
import { encodeText, requireTokenizer, tokensToGenerate } from '../prompt-tokens.js';
import { readJsonObject } from '../request-body.js';
import { jsonResponse, streamResponse } from '../responses.js';
import { type ChatRequest, chatShape } from '../schemas/chat.js';
import { parseMessages } from '../schemas/messages.js';
import { parseRequest } from '../schemas/parse.js';
import { planSequences } from '../sequence-plan.js';
import { describeTools, spellCalls } from '../tools/tool-prompt.js';
import { parseToolUse, type ToolUse } from '../tools/tools.js';

export async function chatCompletions(server: ServerContext, c: Context): Promise<Response> {
  server.lifecycle.admit();
  const request = parseRequest(chatShape, await readJsonObject(c));
  checkModelName(server, request.model);
  checkStreamOptions(request);
  if (request.top_logprobs !== undefined && !request.logprobs) {
    throw new RequestError('top_logprobs: needs "logprobs": true', { param: 'top_logprobs' });
  }
  const toolUse = parseToolUse(request);
  const prompt = renderChat(server, request, toolUse);
  const form = chatForm(server, request, toolUse, prompt);
  // The template writes the special tokens itself.
  const promptIds = encodeText(server, prompt, 'messages', { addSpecialTokens: false });
  // The newer name wins where a client sends both.
  const asked = request.max_completion_tokens ?? request.max_tokens;
  const maxTokensParam = request.max_completion_tokens === undefined ? 'max_tokens' : 'max_completion_tokens';
  const skipsSpecial = form.keepsSpecialTokens ? { skip_special_tokens: false } : {};
  const plans = planSequences(
    server,
    { ...request, ...skipsSpecial },
    {
      promptIds,
      maxNewTokens: tokensToGenerate(server, promptIds.length, asked, {
        prompt: 'messages',
        maxTokens: maxTokensParam,
      }),
      topLogprobs: request.logprobs ? (request.top_logprobs ?? 0) : -1,
      grammar: await compileFormat(server, form.format),
    },
  );

  const id = newRequestId('chatcmpl');
  const options: ChatAnswerOptions = {
    id,
    n: plans.length,
    shape: form.shape,
    numPromptTokens: promptIds.length,
    withLogprobs: request.logprobs ?? false,
    includeUsage: request.stream_options?.include_usage ?? false,
  };
  const generation = startGeneration(server, request.rid ?? id, plans, c.req.raw.signal);
  if (request.stream) return streamResponse(c, generation, (stream) => new ChatStream(server, options, stream));
  const answer = new ChatAnswer(server, options);
  await generation.run(answer);
  return jsonResponse(answer.body());
}

function renderChat(server: ServerContext, request: ChatRequest, toolUse: ToolUse | null): string {
  const messages = parseMessages(request.messages);
  requireTokenizer(server, 'messages');
  const { chatTemplate } = server.model;
  if (!chatTemplate) {
    throw new RequestError('this model has no chat template', { param: 'messages', hint: 'use /v1/completions' });
  }
  const knowsTools = /\btools\b/.test(chatTemplate.text);
  return chatTemplate.render(knowsTools ? messages : spellTools(messages, toolUse), {
    addGenerationPrompt: request.add_generation_prompt ?? true,
    ...(knowsTools && toolUse ? { tools: toolUse.raw } : {}),
    kwargs: templateKwargs(request),
  });
}

function spellTools(messages: ChatMessage[], toolUse: ToolUse | null): ChatMessage[] {
  return toolUse ? describeTools(messages, toolUse) : spellCalls(messages);
}

function templateKwargs(request: ChatRequest): Record<string, unknown> {
  const kwargs: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(request.chat_template_kwargs ?? {})) {
    if (value !== undefined) kwargs[name] = value;
  }
  if (request.reasoning_effort !== undefined) kwargs.reasoning_effort = request.reasoning_effort;
  return kwargs;
}
