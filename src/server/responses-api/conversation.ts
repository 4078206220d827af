/** Input of the Responses API, a text or items, as messages of a chat. */

import type { ChatMessage } from '../../model/model.js';
import { fault } from '../error-response.js';
import { isObject, isUnset } from '../json-value.js';
import { LIMITS } from '../limits.js';
import { parseArguments, parseTextParts } from '../schemas/messages.js';

export type Item = Record<string, unknown>;

const ROLES = ['user', 'assistant', 'system', 'developer'];
const TEXT_PARTS = ['input_text', 'output_text', 'text'];
const ITEMS_HINT = 'items are messages, function calls, their outputs and reasoning';
const THOUGHT_PARTS = ['reasoning_text', 'summary_text', 'text'];

/** Throws E_INVALID_REQUEST naming `input` or `input.N`. What the items hold is checked when they are added. */
export function inputItems(input: unknown): Item[] {
  if (isUnset(input)) throw fault('input', 'is required');
  if (typeof input === 'string') return [{ role: 'user', content: input }];
  if (!Array.isArray(input)) throw fault('input', 'must be a text or a list of items');
  if (input.length === 0) throw fault('input', 'must not be empty');
  if (input.length > LIMITS.messages) throw fault('input', `must have at most ${LIMITS.messages} items`);
  const wrong = input.findIndex((item) => !isObject(item));
  if (wrong >= 0) throw fault(`input.${wrong}`, 'must be an object');
  return input as Item[];
}

/** Puts items together: what an assistant thought, said and called one after the other is one message. */
export class Conversation {
  readonly messages: ChatMessage[] = [];
  /** Calls that may be answered. */
  readonly #callIds = new Set<string>();
  /** Thoughts that belong to what the assistant says next. */
  #thoughts: string | null = null;

  /** Throws E_INVALID_REQUEST naming the place below `param`. */
  add(items: readonly Item[], param: string): void {
    for (const [index, item] of items.entries()) this.#addItem(item, `${param}.${index}`);
  }

  /** Before everything else, in one system message with what is there already: templates take only one. */
  instruct(text: string): void {
    const [first] = this.messages;
    if (first?.role === 'system') first.content = `${text}\n\n${first.content ?? ''}`;
    else this.messages.unshift({ role: 'system', content: text });
  }

  #addItem(item: Item, param: string): void {
    const type = item.type ?? 'message';
    if (type === 'message') this.#addMessage(item, param);
    else if (type === 'function_call') this.#addCall(item, param);
    else if (type === 'function_call_output') this.#addOutput(item, param);
    else if (type === 'reasoning') this.#addThoughts(item, param);
    else {
      const named = typeof type === 'string' ? JSON.stringify(type.slice(0, 64)) : 'this type';
      throw fault(`${param}.type`, `${named} is not supported: ${ITEMS_HINT}`);
    }
    if (this.messages.length > LIMITS.messages) throw fault(param, `more than ${LIMITS.messages} messages`);
  }

  #addMessage({ role, content }: Item, param: string): void {
    if (typeof role !== 'string' || !ROLES.includes(role)) {
      throw fault(`${param}.role`, `must be one of ${ROLES.join(', ')}`);
    }
    if (isUnset(content)) throw fault(`${param}.content`, 'is required');
    const text = parseTextParts(content, `${param}.content`, TEXT_PARTS);
    if (role === 'assistant') this.#assistant().content = text;
    // What OpenAI now calls developer is what chat templates know as system.
    else this.#push({ role: role === 'developer' ? 'system' : role, content: text });
  }

  #addCall(item: Item, param: string): void {
    const { call_id: id, name, arguments: args } = item;
    if (typeof id !== 'string' || id === '') throw fault(`${param}.call_id`, 'must be a string');
    if (typeof name !== 'string') throw fault(`${param}.name`, 'must be a string');
    if (typeof args !== 'string') throw fault(`${param}.arguments`, 'must be a string of JSON');
    const message = this.#assistant(true);
    const calls = (message.tool_calls ?? []) as object[];
    message.tool_calls = calls;
    if (calls.length === LIMITS.toolCalls) throw fault(param, `more than ${LIMITS.toolCalls} calls in one turn`);
    calls.push({ id, type: 'function', function: { name, arguments: parseArguments(args) } });
    this.#callIds.add(id);
  }

  #addOutput(item: Item, param: string): void {
    const { call_id: id, output } = item;
    if (typeof id !== 'string') throw fault(`${param}.call_id`, 'must be a string');
    if (!this.#callIds.has(id))
      throw fault(`${param}.call_id`, `no function call has the id ${JSON.stringify(id.slice(0, 64))}`);
    if (isUnset(output)) throw fault(`${param}.output`, 'is required');
    this.#push({
      role: 'tool',
      tool_call_id: id,
      content: parseTextParts(output, `${param}.output`, TEXT_PARTS),
    });
  }

  #addThoughts(item: Item, param: string): void {
    const { content, summary } = item;
    const told = (value: unknown, field: string) => parseTextParts(value ?? [], `${param}.${field}`, THOUGHT_PARTS);
    const [whole, short] = [told(content, 'content'), told(summary, 'summary')];
    this.#thoughts = whole || short || null;
  }

  /** Of somebody else: thoughts that led to nothing before are nobody's. */
  #push(message: ChatMessage): void {
    this.#thoughts = null;
    this.messages.push(message);
  }

  /** The assistant's message that goes on, or a new one. `mayAddCalls`: one that has text is open to calls. */
  #assistant(mayAddCalls = false): ChatMessage {
    const last = this.messages.at(-1);
    const isOpen = last?.role === 'assistant' && this.#thoughts === null && (mayAddCalls || last.content === null);
    if (isOpen) return last;
    const message: ChatMessage = { role: 'assistant', content: null };
    if (this.#thoughts !== null) message.reasoning_content = this.#thoughts;
    this.#thoughts = null;
    this.messages.push(message);
    return message;
  }
}
