/** Tools of the Responses API: functions, written flat. What OpenAI hosts itself is refused by name. */

import { fault } from '../error-response.js';
import { isObject, isUnset } from '../json-value.js';
import {
  describedTool,
  namedChoice,
  parseTools,
  rawTool,
  type Tool,
  type ToolChoice,
  type ToolUse,
} from '../tools/tools.js';

interface ToolRequest {
  tools?: unknown;
  tool_choice?: unknown;
  parallel_tool_calls?: boolean | undefined;
}

/** Null where no tool may be called. Throws E_INVALID_REQUEST naming the place. */
export function parseResponseTools(request: ToolRequest): ToolUse | null {
  const tools = parseTools(request.tools, parseTool);
  const choice = parseChoice(request.tool_choice, tools);
  if (choice === 'none' || tools.length === 0) return null;
  return { tools, raw: tools.map(rawTool), choice, isParallel: request.parallel_tool_calls ?? true };
}

function parseTool(value: Record<string, unknown>, param: string): Tool {
  if (value.type === 'function') return describedTool(value, param, 'parameters');
  const type = typeof value.type === 'string' ? JSON.stringify(value.type.slice(0, 64)) : 'this type';
  throw fault(`${param}.type`, `${type} is not available: this server hosts no tools, it knows "function"`);
}

function parseChoice(value: unknown, tools: readonly Tool[]): ToolChoice | 'none' {
  if (isUnset(value)) return 'auto';
  if (tools.length === 0 && value !== 'none' && value !== 'auto') throw fault('tool_choice', 'needs tools');
  if (value === 'auto' || value === 'required' || value === 'none') return value;
  if (isObject(value) && value.type === 'function' && typeof value.name === 'string') {
    return namedChoice(value.name, tools, 'tool_choice.name');
  }
  throw fault('tool_choice', 'must be auto, required, none, or {"type": "function", "name": ...}');
}

/** Checked tools as the response names them: arguments always follow the schema. */
export function toolsAsUsed(tools: unknown): object[] {
  if (!Array.isArray(tools)) return [];
  return (tools as Record<string, unknown>[]).map(({ name, description, parameters, strict }) => ({
    type: 'function',
    name,
    description: description ?? null,
    parameters: parameters ?? { type: 'object', properties: {} },
    strict: strict ?? true,
  }));
}
