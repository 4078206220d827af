/** Messages of Anthropic's API as messages of a chat. */

import type { ChatMessage } from '../../model/model.js';
import { fault, requireBoolean } from '../error-response.js';
import { isObject, isUnset } from '../json-value.js';
import { LIMITS } from '../limits.js';

export interface Conversation {
  messages: ChatMessage[];
  /** The answer begins with this: the last message was the assistant's. */
  prefill: string | null;
}

type Content = Record<string, unknown>;

/** Throws E_INVALID_REQUEST naming `messages.N...` or `system...`. */
export function parseConversation(value: unknown, system: unknown): Conversation {
  if (isUnset(value)) throw fault('messages', 'is required');
  if (!Array.isArray(value) || value.length === 0) throw fault('messages', 'must be a list that is not empty');
  if (value.length > LIMITS.messages) throw fault('messages', `must have at most ${LIMITS.messages} entries`);
  const reader = new MessageReader();
  if (!isUnset(system)) {
    reader.messages.push({ role: 'system', content: textOf(system, 'system') });
  }
  for (const [index, message] of value.entries()) reader.add(message, `messages.${index}`);
  return { messages: reader.messages, prefill: takePrefill(reader.messages, `messages.${value.length - 1}`) };
}

class MessageReader {
  readonly messages: ChatMessage[] = [];
  readonly #callIds = new Set<string>();

  add(value: unknown, param: string): void {
    if (!isObject(value)) throw fault(param, 'must be an object');
    const { role } = value;
    if (role !== 'user' && role !== 'assistant') throw fault(`${param}.role`, 'must be user or assistant');
    const content = contentOf(value.content, `${param}.content`);
    if (content.length === 0) throw fault(`${param}.content`, 'must not be empty');
    for (const [index, block] of content.entries()) {
      const at = typeof value.content === 'string' ? `${param}.content` : `${param}.content.${index}`;
      if (role === 'user') this.#addOfUser(block, at);
      else this.#addOfAssistant(block, at);
    }
  }

  #addOfUser(block: Content, param: string): void {
    if (block.type === 'tool_result') this.#addResult(block, param);
    else this.#addText('user', blockText(block, param));
  }

  #addResult({ tool_use_id: id, content, is_error: isError }: Content, param: string): void {
    if (typeof id !== 'string' || !this.#callIds.has(id)) {
      throw fault(`${param}.tool_use_id`, 'must be the id of a tool_use before it');
    }
    requireBoolean(isError, `${param}.is_error`);
    const result = isUnset(content) ? '' : textOf(content, `${param}.content`);
    this.messages.push({ role: 'tool', tool_call_id: id, content: result });
  }

  #addOfAssistant(block: Content, param: string): void {
    if (block.type === 'thinking') this.#addThoughts(block, param);
    else if (block.type === 'tool_use') this.#addCall(block, param);
    // Thoughts that only Anthropic can read.
    else if (block.type !== 'redacted_thinking') this.#addText('assistant', blockText(block, param));
  }

  /** Texts of one role that follow each other are one message. */
  #addText(role: 'user' | 'assistant', text: string): void {
    const last = this.messages.at(-1);
    if (last?.role !== role || last.tool_calls) this.messages.push({ role, content: text });
    else last.content = last.content === null ? text : `${last.content}\n${text}`;
  }

  #addThoughts({ thinking, signature }: Content, param: string): void {
    if (typeof thinking !== 'string') throw fault(`${param}.thinking`, 'must be a string');
    if (!isUnset(signature) && typeof signature !== 'string') throw fault(`${param}.signature`, 'must be a string');
    this.messages.push({ role: 'assistant', content: null, reasoning_content: thinking });
  }

  #addCall({ id, name, input }: Content, param: string): void {
    if (typeof id !== 'string' || id === '') throw fault(`${param}.id`, 'must be a string');
    if (typeof name !== 'string') throw fault(`${param}.name`, 'must be a string');
    if (!isObject(input)) throw fault(`${param}.input`, 'must be an object');
    let message = this.messages.at(-1);
    if (message?.role !== 'assistant') {
      message = { role: 'assistant', content: null };
      this.messages.push(message);
    }
    const calls = (message.tool_calls ?? []) as object[];
    if (calls.length === LIMITS.toolCalls) throw fault(param, `more than ${LIMITS.toolCalls} calls in one turn`);
    message.tool_calls = [...calls, { id, type: 'function', function: { name, arguments: input } }];
    this.#callIds.add(id);
  }
}

/** A string is one text. */
function contentOf(content: unknown, param: string): Content[] {
  if (typeof content === 'string') return [{ type: 'text', text: content }];
  if (!Array.isArray(content))
    throw fault(param, isUnset(content) ? 'is required' : 'must be a string or a list of blocks');
  if (content.length > LIMITS.contentParts) throw fault(param, `must have at most ${LIMITS.contentParts} blocks`);
  const wrong = content.findIndex((block) => !isObject(block));
  if (wrong >= 0) throw fault(`${param}.${wrong}`, 'must be an object');
  return content as Content[];
}

/** A string, or blocks that must all be texts. */
function textOf(content: unknown, param: string): string {
  if (typeof content === 'string') return content;
  return contentOf(content, param)
    .map((block, index) => blockText(block, `${param}.${index}`))
    .join('\n');
}

function blockText({ type, text }: Content, param: string): string {
  if (type !== 'text') {
    const named = typeof type === 'string' ? JSON.stringify(type.slice(0, 64)) : 'this type';
    throw fault(`${param}.type`, `${named} is not supported: the model reads text only`);
  }
  if (typeof text !== 'string') throw fault(`${param}.text`, 'must be a string');
  return text;
}

function takePrefill(messages: ChatMessage[], param: string): string | null {
  const last = messages.at(-1);
  if (last?.role !== 'assistant') return null;
  if (last.tool_calls) throw fault(param, 'a tool_use must be followed by its tool_result');
  messages.pop();
  const text = last.content ?? '';
  if (/\s$/.test(text)) throw fault(param, 'what the answer begins with must not end in white space');
  return text;
}
