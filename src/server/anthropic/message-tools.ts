/** Tools of Anthropic's API. Those that Anthropic hosts or defines itself are refused by name. */

import { fault, requireBoolean } from '../error-response.js';
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

/** Null where no tool may be called. Throws E_INVALID_REQUEST naming the place. */
export function parseMessageTools(request: { tools?: unknown; tool_choice?: unknown }): ToolUse | null {
  const tools = parseTools(request.tools, parseTool);
  const asked = request.tool_choice;
  if (!isUnset(asked) && !isObject(asked)) throw fault('tool_choice', 'must be an object with a type');
  const choice = isObject(asked) ? parseChoice(asked, tools) : 'auto';
  if (choice === 'none' || tools.length === 0) return null;
  const isAlone = isObject(asked) ? asked.disable_parallel_tool_use : false;
  requireBoolean(isAlone, 'tool_choice.disable_parallel_tool_use');
  return { tools, raw: tools.map(rawTool), choice, isParallel: isAlone !== true };
}

function parseTool(value: Record<string, unknown>, param: string): Tool {
  const { type } = value;
  if (!isUnset(type) && type !== 'custom') {
    const named = typeof type === 'string' ? JSON.stringify(type.slice(0, 64)) : 'this type';
    throw fault(`${param}.type`, `${named} is not available: this server hosts no tools, it knows "custom"`);
  }
  if (!isObject(value.input_schema)) throw fault(`${param}.input_schema`, 'must be a JSON schema');
  return describedTool(value, param, 'input_schema');
}

function parseChoice(value: Record<string, unknown>, tools: readonly Tool[]): ToolChoice | 'none' {
  switch (value.type) {
    case 'auto':
    case 'none':
      return value.type;
    case 'any':
      if (tools.length === 0) throw fault('tool_choice', 'needs tools');
      return 'required';
    case 'tool':
      if (typeof value.name !== 'string') throw fault('tool_choice.name', 'must be a string');
      return namedChoice(value.name, tools, 'tool_choice.name');
    default:
      throw fault('tool_choice.type', 'must be one of auto, any, tool, none');
  }
}
