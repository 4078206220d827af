/** Log-probabilities in the shapes of OpenAI's two APIs. */
import type { TokenEvent } from '../addon/runtime.js';
import type { Tokenizer } from '../model/model.js';
import { countCharacters, type ScoredToken } from './sequence-text.js';
import { finiteLogprob, legacyTokenText, tokenText } from './token-text.js';

interface ChatLogprob {
  token: string;
  logprob: number;
  bytes: number[];
}

export interface ChatLogprobs {
  content: (ChatLogprob & { top_logprobs: ChatLogprob[] })[];
}

/** `choices[].logprobs` of chat completions. */
export function chatLogprobs(tokenizer: Tokenizer, tokens: readonly ScoredToken[]): ChatLogprobs {
  return {
    content: tokens.map(({ event }) => ({
      ...chatLogprob(tokenizer, event.tokenId, event.logprob),
      top_logprobs: event.topLogprobs.map((top) => chatLogprob(tokenizer, top.tokenId, top.logprob)),
    })),
  };
}

function chatLogprob(tokenizer: Tokenizer, id: number, logprob: number): ChatLogprob {
  const bytes = tokenizer.tokenBytes(id);
  return { token: tokenText(bytes), logprob: finiteLogprob(logprob), bytes: Array.from(bytes) };
}

export interface LegacyLogprobs {
  tokens: string[];
  /** Null for the first token of a prompt, which nothing predicts. */
  token_logprobs: (number | null)[];
  top_logprobs: (Record<string, number> | null)[];
  /** Where each token begins in the choice's text, in Unicode characters. */
  text_offset: number[];
}

/** `choices[].logprobs` of completions. `base`: where the generated text begins in the choice's text (after an echo). */
export function legacyLogprobs(tokenizer: Tokenizer, tokens: readonly ScoredToken[], base: number): LegacyLogprobs {
  const shape: LegacyLogprobs = { tokens: [], token_logprobs: [], top_logprobs: [], text_offset: [] };
  for (const { event, start } of tokens) appendLegacy(tokenizer, shape, event, base + start);
  return shape;
}

/** The scored prompt of an echo, `text` as it is echoed. */
export function promptLogprobs(
  tokenizer: Tokenizer,
  events: readonly TokenEvent[],
  text: string,
  bosTokenId: number | null,
): LegacyLogprobs {
  const shape: LegacyLogprobs = { tokens: [], token_logprobs: [], top_logprobs: [], text_offset: [] };
  const stream = tokenizer.stream({ skipSpecialTokens: false });
  let offset = 0;
  for (const [index, event] of events.entries()) {
    appendLegacy(tokenizer, shape, event, offset);
    const piece = stream.push(event.tokenId);
    // A beginning-of-sequence token that the tokenizer added is not in the text.
    const isAdded = index === 0 && event.tokenId === bosTokenId && !text.startsWith(piece);
    if (!isAdded) offset += countCharacters(piece);
  }
  return shape;
}

function appendLegacy(tokenizer: Tokenizer, shape: LegacyLogprobs, event: TokenEvent, offset: number): void {
  const token = legacyTokenText(tokenizer.tokenBytes(event.tokenId));
  shape.tokens.push(token);
  shape.text_offset.push(offset);
  if (Number.isNaN(event.logprob)) {
    shape.token_logprobs.push(null);
    shape.top_logprobs.push(null);
    return;
  }
  // Token texts come from the model: one may be `__proto__`.
  const top: [string, number][] = event.topLogprobs.map(({ tokenId, logprob }) => [
    legacyTokenText(tokenizer.tokenBytes(tokenId)),
    finiteLogprob(logprob),
  ]);
  top.push([token, finiteLogprob(event.logprob)]);
  shape.token_logprobs.push(finiteLogprob(event.logprob));
  shape.top_logprobs.push(Object.fromEntries(top));
}

/** Two runs of tokens, one after the other. */
export function joinLegacy(first: LegacyLogprobs, second: LegacyLogprobs): LegacyLogprobs {
  return {
    tokens: [...first.tokens, ...second.tokens],
    token_logprobs: [...first.token_logprobs, ...second.token_logprobs],
    top_logprobs: [...first.top_logprobs, ...second.top_logprobs],
    text_offset: [...first.text_offset, ...second.text_offset],
  };
}
