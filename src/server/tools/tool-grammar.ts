/** The structural tag of an answer that may or must call tools. */
import { schemaText } from '../grammar/format-source.js';
import { withinWork } from '../grammar/work-limit.js';
import type { ToolFormat } from './tool-formats.js';
import type { Tool, ToolUse } from './tools.js';

type TagFormat = Record<string, unknown>;

/** `auto`: text, and calls where their beginning is written. Otherwise nothing but calls: of any tool, or of one, once. */
export function toolCallsFormat(format: ToolFormat, { tools, choice, isParallel }: ToolUse): TagFormat {
  const isNamed = typeof choice === 'object';
  const called = isNamed ? tools.filter(({ name }) => name === choice.name) : tools;
  const tags = withinWork('tools', () => called.map((tool) => callTag(format, tool)));
  const once = isNamed || !isParallel;
  if (choice === 'auto' && format.open === '') {
    return { type: 'triggered_tags', triggers: triggersOf(format), tags, stop_after_first: once };
  }
  const calls: TagFormat = {
    type: 'tags_with_separator',
    tags,
    separator: format.separator,
    at_least_one: true,
    stop_after_first: once,
  };
  if (format.open === '') return calls;
  const wrapped = { type: 'tag', begin: format.open, content: calls, end: format.shut };
  if (choice !== 'auto') return wrapped;
  return { type: 'triggered_tags', triggers: triggersOf(format), tags: [wrapped], stop_after_first: true };
}

/** A trigger has to begin the tags. */
function triggersOf(format: ToolFormat): string[] {
  const begins = format.open === '' ? format.begin('x') : format.open;
  return format.triggers.filter((trigger) => begins.startsWith(trigger));
}

function callTag(format: ToolFormat, tool: Tool): TagFormat {
  const schema: unknown = JSON.parse(schemaText(tool.parameters, true, tool.param));
  return {
    type: 'tag',
    begin: format.begin(tool.name),
    content: { type: 'json_schema', json_schema: schema },
    end: format.end,
  };
}
