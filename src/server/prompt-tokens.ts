/** From prompts to token ids that fit the model. */
import type { Tokenizer } from '../model/model.js';
import type { ServerContext } from './context.js';
import { fault, RequestError } from './error-response.js';
import type { Prompt } from './schemas/prompts.js';

/** The tokenizer. Throws E_INVALID_REQUEST on a server that has none. */
export function requireTokenizer(server: ServerContext, param: string): Tokenizer {
  const { tokenizer } = server.model;
  if (tokenizer) return tokenizer;
  throw new RequestError('this server has no tokenizer', { param, hint: 'send token ids as "input_ids" to /generate' });
}

/** Longest prompt + answer: the context, or all of the KV cache where that is smaller. */
export function maxTotalTokens(server: ServerContext): number {
  return Math.min(server.options.contextLength, server.runtime.info.totalTokens);
}

/** Token ids of a prompt as written. Throws E_INVALID_REQUEST if it is too long or no token of the model. */
export function encodePrompt(server: ServerContext, prompt: Prompt, param: string): number[] {
  if ('text' in prompt) return encodeText(server, prompt.text, param, { addSpecialTokens: true });
  return checkLength(server, requireTokenIds(server, prompt.ids, param), param);
}

/** The same ids. Throws E_INVALID_REQUEST naming the one that is no token of the model. */
export function requireTokenIds(server: ServerContext, ids: number[], param: string): number[] {
  const { vocabSize } = server.model.weights.config;
  const wrong = ids.findIndex((id) => id >= vocabSize);
  if (wrong < 0) return ids;
  throw new RequestError(`${param}.${wrong}: token ids of this model are below ${vocabSize}`, {
    param: `${param}.${wrong}`,
  });
}

/** Halves of surrogate pairs become U+FFFD, as in UTF-8. */
export function wellFormed(text: string): string {
  return /\p{Surrogate}/u.test(text) ? Buffer.from(text).toString() : text;
}

/** Text to ids. Throws E_INVALID_REQUEST where none come out or too many. */
export function encodeText(
  server: ServerContext,
  text: string,
  param: string,
  options: { addSpecialTokens: boolean },
): number[] {
  const tokenizer = requireTokenizer(server, param);
  const whole = wellFormed(text);
  refuseHopeless(server, tokenizer, whole, param);
  const ids = tokenizer.encode(whole, options);
  if (ids.length === 0) throw fault(param, 'holds no tokens');
  return checkLength(server, ids, param);
}

/**
 * Tokenizing megabytes would hold up every stream. Where a beginning of the text alone fills the context, the rest does
 * not matter: common text has about 4 characters a token, so 6 times the context is mostly enough to tell, and where
 * not, each try is 4 times as long as the one before.
 */
function refuseHopeless(server: ServerContext, tokenizer: Tokenizer, text: string, param: string): void {
  const limit = maxTotalTokens(server);
  for (let head = 6 * limit; head < text.length; head *= 4) {
    // The cut may split a word, and a surrogate pair, but moves the count by a few tokens only.
    const numTokens = tokenizer.encode(text.slice(0, head), { addSpecialTokens: false }).length;
    if (numTokens > limit + 16) throw tooLong(server, `more than ${numTokens - 16}`, param);
  }
}

function checkLength(server: ServerContext, ids: number[], param: string): number[] {
  if (ids.length > maxTotalTokens(server)) throw tooLong(server, String(ids.length), param);
  return ids;
}

function tooLong(server: ServerContext, count: string, param: string): RequestError {
  return new RequestError(
    `This model's maximum context length is ${maxTotalTokens(server)} tokens, but the prompt has ${count} tokens`,
    { param, wireCode: 'context_length_exceeded', hint: 'shorten the prompt' },
  );
}

/**
 * How many tokens to generate: as asked; where nothing is, `byDefault` or all that the context has left, whichever is less.
 * Throws E_INVALID_REQUEST where the context has less left than asked for, or nothing.
 */
export function tokensToGenerate(
  server: ServerContext,
  numPrompt: number,
  asked: number | undefined,
  params: { prompt: string; maxTokens: string },
  byDefault = Number.POSITIVE_INFINITY,
): number {
  const limit = maxTotalTokens(server);
  const left = limit - numPrompt;
  if (asked === undefined) {
    if (left < 1) throw tooLong(server, String(numPrompt), params.prompt);
    return Math.min(byDefault, left);
  }
  if (asked > left) {
    throw new RequestError(
      `This model's maximum context length is ${limit} tokens, but ${numPrompt + asked} were asked for ` +
        `(${numPrompt} in the prompt, ${asked} in the answer)`,
      {
        param: left < 1 ? params.prompt : params.maxTokens,
        wireCode: 'context_length_exceeded',
        hint: `shorten the prompt or ask for at most ${Math.max(left, 0)} tokens`,
      },
    );
  }
  return asked;
}
