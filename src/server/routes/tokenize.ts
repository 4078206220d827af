/** POST /tokenize and /detokenize, as SGLang and vLLM have them. */

import type { Context } from 'hono';
import type { Tokenizer } from '../../model/model.js';
import { chatPromptIds } from '../chat-task.js';
import type { ServerContext } from '../context.js';
import { fault } from '../error-response.js';
import { isUnset } from '../json-value.js';
import { LIMITS } from '../limits.js';
import { checkModelName } from '../openai.js';
import { requireTokenIds, requireTokenizer, wellFormed } from '../prompt-tokens.js';
import { readJsonObject } from '../request-body.js';
import { jsonResponse } from '../responses.js';
import { parseMessages } from '../schemas/messages.js';
import { parseRequest } from '../schemas/parse.js';
import { parseIds } from '../schemas/prompts.js';
import { detokenizeShape, type TokenizeRequest, tokenizeShape } from '../schemas/tokenize.js';
import { textOfToken } from '../token-text.js';
import { parseToolUse, type ToolUse } from '../tools/tools.js';

/** One text gives a list of ids and their number; a list of texts gives lists of both. */
export async function tokenize(server: ServerContext, c: Context): Promise<Response> {
  const request = parseRequest(tokenizeShape, await readJsonObject(c));
  checkModelName(server, request.model);
  if (isUnset(request.prompt) === isUnset(request.messages)) {
    throw fault('prompt', 'send either prompt or messages');
  }
  const param = isUnset(request.messages) ? 'prompt' : 'messages';
  const toolUse = parseToolUse(request);
  const tokenizer = requireTokenizer(server, param);
  const isBatch = Array.isArray(request.prompt);
  const lists = param === 'messages' ? [messageIds(server, request, toolUse)] : promptIds(tokenizer, request);
  const strs = () => lists.map((ids) => ids.map((id) => textOfToken(tokenizer, id)));
  const only = <T>(all: T[]): T | T[] => (isBatch ? all : (all[0] as T));
  return jsonResponse({
    tokens: only(lists),
    count: only(lists.map((ids) => ids.length)),
    max_model_len: server.options.contextLength,
    ...(request.return_token_strs ? { token_strs: only(strs()) } : {}),
  });
}

function messageIds(server: ServerContext, request: TokenizeRequest, toolUse: ToolUse | null): number[] {
  const kwargs = Object.entries(request.chat_template_kwargs ?? {}).filter(([, value]) => value !== undefined);
  const prompt = {
    messages: parseMessages(request.messages),
    toolUse,
    templateKwargs: Object.fromEntries(kwargs),
    addGenerationPrompt: request.add_generation_prompt ?? true,
    param: 'messages',
  };
  return chatPromptIds(server, prompt, { addSpecialTokens: request.add_special_tokens ?? false });
}

function promptIds(tokenizer: Tokenizer, { prompt, add_special_tokens: addsSpecial }: TokenizeRequest): number[][] {
  const texts = parseTexts(prompt);
  return texts.map((text) => tokenizer.encode(wellFormed(text), { addSpecialTokens: addsSpecial ?? true }));
}

/** Tokenizing holds up every stream: there is a limit to all texts together. */
function parseTexts(prompt: unknown): string[] {
  const texts = typeof prompt === 'string' ? [prompt] : prompt;
  if (!Array.isArray(texts)) throw fault('prompt', 'must be a text or a list of texts');
  if (texts.length > LIMITS.prompts) throw fault('prompt', `must have at most ${LIMITS.prompts} texts`);
  let chars = 0;
  for (const [index, text] of texts.entries()) {
    if (typeof text !== 'string') throw fault(`prompt.${index}`, 'must be a text');
    chars += text.length;
  }
  if (chars > LIMITS.tokenizeChars) throw fault('prompt', `must have at most ${LIMITS.tokenizeChars} characters`);
  return texts as string[];
}

/** `text` is SGLang's name of the answer, `prompt` vLLM's. */
export async function detokenize(server: ServerContext, c: Context): Promise<Response> {
  const request = parseRequest(detokenizeShape, await readJsonObject(c));
  checkModelName(server, request.model);
  const { tokens } = request;
  if (!Array.isArray(tokens)) throw fault('tokens', 'must be a list of token ids, or of such lists');
  const isBatch = Array.isArray(tokens[0]);
  const lists = isBatch ? batchOf(server, tokens) : [idsOf(server, tokens, 'tokens')];
  const count = lists.reduce((sum, ids) => sum + ids.length, 0);
  if (count > LIMITS.detokenizeIds) throw fault('tokens', `must be at most ${LIMITS.detokenizeIds} token ids`);
  const tokenizer = requireTokenizer(server, 'tokens');
  const skipSpecialTokens = request.skip_special_tokens ?? true;
  const texts = lists.map((ids) => tokenizer.decode(ids, { skipSpecialTokens }));
  const text = isBatch ? texts : (texts[0] as string);
  return jsonResponse({ text, prompt: text });
}

function batchOf(server: ServerContext, lists: unknown[]): number[][] {
  if (lists.length > LIMITS.prompts) throw fault('tokens', `must have at most ${LIMITS.prompts} lists`);
  return lists.map((list, index) => {
    const param = `tokens.${index}`;
    if (!Array.isArray(list)) throw fault(param, 'must be a list of token ids');
    return idsOf(server, list, param);
  });
}

function idsOf(server: ServerContext, list: unknown[], param: string): number[] {
  return requireTokenIds(server, parseIds(list, param), param);
}
