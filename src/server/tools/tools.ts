/** The tools of a chat, and whether the model may, must or must not call them. */

import { fault, requireBoolean } from '../error-response.js';
import { isObject, isUnset } from '../json-value.js';
import { LIMITS } from '../limits.js';

export interface Tool {
  name: string;
  description: string | null;
  /** A JSON schema; an object without properties where the request gives none. */
  parameters: unknown;
  /** Where the schema stands in the request, for errors. */
  param: string;
}

export type ToolChoice = 'auto' | 'required' | { name: string };

export interface ToolUse {
  tools: Tool[];
  /** The tools as OpenAI's chat completions have them, for the chat template. */
  raw: unknown[];
  choice: ToolChoice;
  /** More than one call in an answer. */
  isParallel: boolean;
}

interface ToolRequest {
  tools?: unknown;
  tool_choice?: unknown;
  parallel_tool_calls?: boolean | undefined;
}

/** Null where no tool may be called. Throws E_INVALID_REQUEST naming the place. */
export function parseToolUse(request: ToolRequest): ToolUse | null {
  const tools = parseTools(request.tools, parseTool);
  const choice = parseChoice(request.tool_choice, tools);
  if (choice === 'none' || tools.length === 0) return null;
  return { tools, raw: request.tools as unknown[], choice, isParallel: request.parallel_tool_calls ?? true };
}

/** A list of tools in any API's form. Throws E_INVALID_REQUEST naming `tools.N...`. */
export function parseTools(value: unknown, parse: (tool: Record<string, unknown>, param: string) => Tool): Tool[] {
  if (isUnset(value)) return [];
  if (!Array.isArray(value)) throw fault('tools', 'must be a list');
  if (value.length > LIMITS.tools) throw fault('tools', `must have at most ${LIMITS.tools} entries`);
  const names = new Set<string>();
  return value.map((each, index) => {
    const param = `tools.${index}`;
    if (!isObject(each)) throw fault(param, 'must be an object');
    const tool = parse(each, param);
    if (names.has(tool.name)) {
      throw fault(tool.param.replace(/[^.]+$/, 'name'), `${JSON.stringify(tool.name)} is the name of another tool too`);
    }
    names.add(tool.name);
    return tool;
  });
}

function parseTool(value: Record<string, unknown>, param: string): Tool {
  if (value.type !== 'function') throw fault(`${param}.type`, 'must be "function"');
  const made = value.function;
  if (!isObject(made)) throw fault(`${param}.function`, 'must be an object with a name');
  return describedTool(made, `${param}.function`, 'parameters');
}

/** Name, description and schema, which `schemaField` holds. */
export function describedTool(made: Record<string, unknown>, param: string, schemaField: string): Tool {
  const { name, description, [schemaField]: parameters } = made;
  if (typeof name !== 'string' || !/^[\w.-]{1,128}$/.test(name)) {
    throw fault(`${param}.name`, 'must be 1 to 128 letters, digits, underscores, dots or dashes');
  }
  if (!isUnset(description) && typeof description !== 'string') throw fault(`${param}.description`, 'must be a string');
  if (!isUnset(parameters) && !isObject(parameters)) throw fault(`${param}.${schemaField}`, 'must be a JSON schema');
  // Without effect: arguments always follow the schema.
  requireBoolean(made.strict, `${param}.strict`);
  return {
    name,
    description: typeof description === 'string' ? description : null,
    parameters: parameters ?? { type: 'object', properties: {} },
    param: `${param}.${schemaField}`,
  };
}

function parseChoice(value: unknown, tools: Tool[]): ToolChoice | 'none' {
  if (isUnset(value)) return 'auto';
  if (tools.length === 0 && value !== 'none' && value !== 'auto') throw fault('tool_choice', 'needs tools');
  if (value === 'auto' || value === 'required' || value === 'none') return value;
  const isFunction = isObject(value) && value.type === 'function' && isObject(value.function);
  const named = isFunction ? (value.function as Record<string, unknown>).name : null;
  if (typeof named !== 'string')
    throw fault('tool_choice', 'must be auto, required, none, or {"type": "function", "function": {"name": ...}}');
  return namedChoice(named, tools, 'tool_choice.function.name');
}

/** The tool of this name must be called. Throws E_INVALID_REQUEST where there is none. */
export function namedChoice(name: string, tools: readonly Tool[], param: string): { name: string } {
  if (tools.some((tool) => tool.name === name)) return { name };
  throw fault(param, `${JSON.stringify(name.slice(0, 128))} is none of the tools`);
}

/** A tool as chat completions write it, which is what chat templates know. */
export function rawTool({ name, description, parameters }: Tool): object {
  return { type: 'function', function: { name, ...(description === null ? {} : { description }), parameters } };
}
