/** Blocks of an answer as output items of the Responses API, while they are made and when they are done. */
import type { Block } from '../answer-blocks.js';
import type { ServerContext } from '../context.js';
import { chatLogprobs } from '../logprobs.js';
import { newItemId } from '../openai.js';
import type { ScoredToken } from '../sequence-text.js';
import type { Item } from './conversation.js';

export type ItemStatus = 'in_progress' | 'completed' | 'incomplete';

const ID_PREFIXES: Record<Block['kind'], string> = { text: 'msg', reasoning: 'rs', call: 'fc' };

export function newOutputId({ kind }: Block): string {
  return newItemId(ID_PREFIXES[kind]);
}

/** Log-probabilities in this API's shape. */
export function textLogprobs({ model: { tokenizer } }: ServerContext, tokens: readonly ScoredToken[]): object[] {
  return tokenizer && tokens.length > 0 ? chatLogprobs(tokenizer, tokens).content : [];
}

/** The one content part of a text or of thoughts. */
export function contentPart(server: ServerContext, { kind, text, tokens }: Block): object {
  if (kind === 'reasoning') return { type: 'reasoning_text', text };
  return { type: 'output_text', text, annotations: [], logprobs: textLogprobs(server, tokens) };
}

/** An item in progress is empty: what it holds comes in deltas. */
export function outputItem(server: ServerContext, block: Block, id: string, status: ItemStatus): Item {
  const isEmpty = status === 'in_progress';
  const content = isEmpty ? [] : [contentPart(server, block)];
  if (block.call) {
    const { id: callId, name } = block.call;
    return { id, type: 'function_call', status, call_id: callId, name, arguments: isEmpty ? '' : block.text };
  }
  if (block.kind === 'reasoning') return { id, type: 'reasoning', status, summary: [], content };
  return { id, type: 'message', status, role: 'assistant', content };
}
