/** A chat, whichever API asked for it, as sequences for the runtime: template, tokens, form of the answer, sampling. */
import { toJsgError } from '../errors.js';
import type { ChatMessage } from '../model/model.js';
import type { Caller } from './api-keys.js';
import { chatForm, type FormRequest } from './chat-form.js';
import type { ServerContext } from './context.js';
import { RequestError } from './error-response.js';
import { compileFormat } from './grammar/compile.js';
import { encodeText, requireTokenizer, tokensToGenerate } from './prompt-tokens.js';
import type { SamplingRequest } from './schemas/sampling.js';
import { planSequences } from './sequence-plan.js';
import type { SequencePlan } from './sequence-reader.js';
import type { AnswerShape } from './tools/answer-parser.js';
import { describeTools, spellCalls } from './tools/tool-prompt.js';
import type { ToolUse } from './tools/tools.js';

/** What becomes the prompt. */
export interface ChatPrompt {
  messages: readonly ChatMessage[];
  toolUse: ToolUse | null;
  /** Switches of the template. */
  templateKwargs?: Record<string, unknown>;
  /** Default true: the prompt ends where the assistant's answer begins. */
  addGenerationPrompt?: boolean;
  /** What the answer begins with: the model goes on behind it. */
  prefill?: string;
  /** The field that holds the messages, for errors. */
  param: string;
}

export interface ChatTask extends ChatPrompt, FormRequest {
  caller: Caller;
  sampling: SamplingRequest;
  /** Undefined: as many as the context has left. */
  maxTokens: number | undefined;
  maxTokensParam: string;
  /** -1: no log-probabilities; n: with the n likeliest tokens beside each. */
  topLogprobs: number;
}

export interface PlannedChat {
  /** One a choice. */
  plans: SequencePlan[];
  shape: AnswerShape;
  numPromptTokens: number;
}

/** Throws E_INVALID_REQUEST, E_GRAMMAR_INVALID or E_GRAMMAR_LIMIT naming the field. */
export async function planChat(server: ServerContext, task: ChatTask): Promise<PlannedChat> {
  checkPrefill(task);
  const prompt = renderChat(server, task);
  // Before the form, which costs more: what is too long is refused anyway.
  const promptIds = encodeChat(server, prompt, task.param);
  const form = chatForm(server, task, prompt);
  const plans = planSequences(
    server,
    { ...task.sampling, ...(form.keepsSpecialTokens ? { skip_special_tokens: false } : {}) },
    {
      promptIds,
      caller: task.caller,
      maxNewTokens: tokensToGenerate(server, promptIds.length, task.maxTokens, {
        prompt: task.param,
        maxTokens: task.maxTokensParam,
      }),
      topLogprobs: task.topLogprobs,
      continuesPrompt: task.prefill !== undefined,
      grammar: await compileFormat(server, form.format),
    },
  );
  return { plans, shape: form.shape, numPromptTokens: promptIds.length };
}

/** Throws E_INVALID_REQUEST where the answer must begin otherwise. */
function checkPrefill({ prefill, asked, toolUse, param }: ChatTask): void {
  if (prefill === undefined || (asked === null && (toolUse === null || toolUse.choice === 'auto'))) return;
  throw new RequestError(`${param}: an answer that must have a form cannot go on from the assistant's last message`, {
    param,
  });
}

/** Token ids of the prompt. Throws E_INVALID_REQUEST naming the field. */
export function chatPromptIds(
  server: ServerContext,
  prompt: ChatPrompt,
  options: { addSpecialTokens?: boolean } = {},
): number[] {
  return encodeChat(server, renderChat(server, prompt), prompt.param, options);
}

/** The template writes the special tokens itself. */
function encodeChat(
  server: ServerContext,
  text: string,
  param: string,
  options: { addSpecialTokens?: boolean } = {},
): number[] {
  return encodeText(server, text, param, { addSpecialTokens: options.addSpecialTokens ?? false });
}

function renderChat(server: ServerContext, prompt: ChatPrompt): string {
  const { toolUse, param, prefill = '' } = prompt;
  const messages = prompt.messages.map(withText);
  requireTokenizer(server, param);
  const { chatTemplate } = server.model;
  if (!chatTemplate) {
    throw new RequestError('this model has no chat template', { param, hint: 'use /v1/completions' });
  }
  const knowsTools = /\btools\b/.test(chatTemplate.text);
  try {
    const text = chatTemplate.render(knowsTools ? messages : spellTools(messages, toolUse), {
      addGenerationPrompt: prompt.addGenerationPrompt ?? true,
      ...(knowsTools && toolUse ? { tools: toolUse.raw } : {}),
      kwargs: prompt.templateKwargs ?? {},
    });
    return text + prefill;
  } catch (thrown) {
    const error = toJsgError(thrown);
    if (error.code !== 'E_INVALID_REQUEST') throw thrown;
    // The template's own refusals name no field, or that of chat completions.
    throw new RequestError(error.message, { param, ...(error.hint ? { hint: error.hint } : {}) });
  }
}

/** Templates take content for a text wherever nothing is called. */
function withText(message: ChatMessage): ChatMessage {
  return message.content === null && !message.tool_calls ? { ...message, content: '' } : message;
}

function spellTools(messages: readonly ChatMessage[], toolUse: ToolUse | null): ChatMessage[] {
  return toolUse ? describeTools(messages, toolUse) : spellCalls(messages);
}
