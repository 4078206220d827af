/** Chat messages: validated by hand, so that a fault names its message and part, and so that 4 MiB of them cost little. */

import type { ChatMessage } from '../../model/model.js';
import { fault } from '../error-response.js';
import { isObject, isUnset } from '../json-value.js';
import { LIMITS } from '../limits.js';
import { jsonDepth } from '../request-body.js';

const ROLES = ['system', 'developer', 'user', 'assistant', 'tool'];

/** Throws E_INVALID_REQUEST naming `messages.N...`. Only known fields reach the chat template. */
export function parseMessages(value: unknown): ChatMessage[] {
  if (isUnset(value)) throw fault('messages', 'is required');
  if (!Array.isArray(value) || value.length === 0) throw fault('messages', 'must be a list that is not empty');
  if (value.length > LIMITS.messages) throw fault('messages', `must have at most ${LIMITS.messages} entries`);
  return value.map((message, index) => parseMessage(message, `messages.${index}`));
}

function parseMessage(value: unknown, path: string): ChatMessage {
  if (!isObject(value)) throw fault(path, 'must be an object');
  const { role } = value;
  if (typeof role !== 'string' || !ROLES.includes(role)) {
    throw fault(`${path}.role`, `must be one of ${ROLES.join(', ')}`);
  }
  // What OpenAI now calls developer is what chat templates know as system.
  const message: ChatMessage = { role: role === 'developer' ? 'system' : role, content: null };
  message.content = parseContent(value.content, role, `${path}.content`);
  for (const field of ['name', 'tool_call_id', 'reasoning_content'] as const) {
    const text = value[field];
    if (isUnset(text)) continue;
    if (typeof text !== 'string') throw fault(`${path}.${field}`, 'must be a string');
    message[field] = text;
  }
  if (!isUnset(value.tool_calls)) {
    if (role !== 'assistant') throw fault(`${path}.tool_calls`, 'is for messages of the assistant');
    const calls = parseToolCalls(value.tool_calls, `${path}.tool_calls`);
    if (calls.length > 0) message.tool_calls = calls;
  }
  for (const field of ['audio', 'function_call'] as const) {
    if (!isUnset(value[field])) throw fault(`${path}.${field}`, 'is not supported');
  }
  return message;
}

function parseContent(content: unknown, role: string, path: string): string | null {
  if (isUnset(content)) {
    if (role === 'assistant') return null;
    throw fault(path, 'is required');
  }
  return parseTextParts(content, path, ['text']);
}

/** A string, or parts of these types. Throws E_INVALID_REQUEST naming the part. */
export function parseTextParts(content: unknown, path: string, types: readonly string[]): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) throw fault(path, 'must be a string or a list of text parts');
  if (content.length > LIMITS.contentParts) throw fault(path, `must have at most ${LIMITS.contentParts} parts`);
  // Joined as SGLang does for templates that take plain strings.
  return content.map((part, index) => parseTextPart(part, `${path}.${index}`, types)).join(' ');
}

function parseTextPart(part: unknown, path: string, types: readonly string[]): string {
  if (!isObject(part)) throw fault(path, 'must be an object');
  // What a model has refused to say it has said.
  if (part.type === 'refusal' && typeof part.refusal === 'string') return part.refusal;
  if (typeof part.type !== 'string' || !types.includes(part.type)) {
    const type = typeof part.type === 'string' ? JSON.stringify(part.type.slice(0, 32)) : 'this type';
    throw fault(`${path}.type`, `${type} is not supported: the model reads text only`);
  }
  if (typeof part.text !== 'string') throw fault(`${path}.text`, 'must be a string');
  return part.text;
}

interface ToolCall {
  id: string | null;
  type: 'function';
  function: { name: string; arguments: unknown };
}

function parseToolCalls(value: unknown, path: string): ToolCall[] {
  if (!Array.isArray(value)) throw fault(path, 'must be a list');
  if (value.length > LIMITS.toolCalls) throw fault(path, `must have at most ${LIMITS.toolCalls} entries`);
  return value.map((call, index) => parseToolCall(call, `${path}.${index}`));
}

function parseToolCall(value: unknown, path: string): ToolCall {
  if (!isObject(value) || !isObject(value.function)) throw fault(path, 'must be an object with a function');
  const { name, arguments: args } = value.function;
  if (typeof name !== 'string') throw fault(`${path}.function.name`, 'must be a string');
  if (!isUnset(args) && typeof args !== 'string') {
    throw fault(`${path}.function.arguments`, 'must be a string of JSON');
  }
  const { id, type } = value;
  if (!isUnset(type) && type !== 'function') throw fault(`${path}.type`, 'must be "function"');
  if (!isUnset(id) && typeof id !== 'string') throw fault(`${path}.id`, 'must be a string');
  return { id: id ?? null, type: 'function', function: { name, arguments: parseArguments(args ?? '{}') } };
}

/** Templates print arguments as an object; what is no JSON stays the text it is. */
export function parseArguments(text: string): unknown {
  if (jsonDepth(Buffer.from(text)) > LIMITS.jsonDepth) return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
