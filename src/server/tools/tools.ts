/** The tools of a chat request, and whether the model may, must or must not call them. */
import { RequestError } from '../error-response.js';
import { LIMITS } from '../limits.js';

export interface Tool {
  name: string;
  description: string | null;
  /** A JSON schema; an object without properties where the request gives none. */
  parameters: unknown;
  /** Where it stands in the request, for errors. */
  param: string;
}

export type ToolChoice = 'auto' | 'required' | { name: string };

export interface ToolUse {
  tools: Tool[];
  /** The tools as they came, for the chat template. */
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

function fault(param: string, message: string): RequestError {
  return new RequestError(`${param}: ${message}`, { param });
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const isUnset = (value: unknown) => value === undefined || value === null;

/** Null where no tool may be called. Throws E_INVALID_REQUEST naming the place. */
export function parseToolUse(request: ToolRequest): ToolUse | null {
  const raw = request.tools;
  if (isUnset(raw) || (Array.isArray(raw) && raw.length === 0)) {
    const { tool_choice: choice } = request;
    if (isUnset(choice) || choice === 'none' || choice === 'auto') return null;
    throw fault('tool_choice', 'needs tools');
  }
  if (!Array.isArray(raw)) throw fault('tools', 'must be a list');
  if (raw.length > LIMITS.tools) throw fault('tools', `must have at most ${LIMITS.tools} entries`);
  const tools = raw.map((tool, index) => parseTool(tool, `tools.${index}`));
  const twice = tools.find((tool, index) => tools.findIndex(({ name }) => name === tool.name) < index);
  if (twice)
    throw fault(`${twice.param}.function.name`, `${JSON.stringify(twice.name)} is the name of another tool too`);
  const choice = parseChoice(request.tool_choice, tools);
  return choice === 'none' ? null : { tools, raw, choice, isParallel: request.parallel_tool_calls ?? true };
}

function parseTool(value: unknown, param: string): Tool {
  if (!isObject(value)) throw fault(param, 'must be an object');
  if (value.type !== 'function') throw fault(`${param}.type`, 'must be "function"');
  const made = value.function;
  if (!isObject(made)) throw fault(`${param}.function`, 'must be an object with a name');
  const { name, description, parameters } = made;
  if (typeof name !== 'string' || !/^[\w.-]{1,128}$/.test(name)) {
    throw fault(`${param}.function.name`, 'must be 1 to 128 letters, digits, underscores, dots or dashes');
  }
  if (!isUnset(description) && typeof description !== 'string')
    throw fault(`${param}.function.description`, 'must be a string');
  if (!isUnset(parameters) && !isObject(parameters))
    throw fault(`${param}.function.parameters`, 'must be a JSON schema');
  return {
    name,
    description: typeof description === 'string' ? description : null,
    parameters: parameters ?? { type: 'object', properties: {} },
    param,
  };
}

function parseChoice(value: unknown, tools: Tool[]): ToolChoice | 'none' {
  if (isUnset(value)) return 'auto';
  if (value === 'auto' || value === 'required' || value === 'none') return value;
  const named = isObject(value) && isObject(value.function) ? value.function.name : null;
  if (typeof named !== 'string')
    throw fault('tool_choice', 'must be auto, required, none, or an object that names a function');
  if (!tools.some(({ name }) => name === named)) {
    throw fault('tool_choice.function.name', `${JSON.stringify(named.slice(0, 128))} is none of the tools`);
  }
  return { name: named };
}
