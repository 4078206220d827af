/** The messages of a chat with tools, for models whose chat template says nothing of tools: in Hermes' words. */
import type { ChatMessage } from '../../model/model.js';
import type { ToolUse } from './tools.js';

export function describeTools(messages: readonly ChatMessage[], { raw, choice }: ToolUse): ChatMessage[] {
  const must = choice === 'auto' ? 'You may call one or more functions' : 'Call one or more functions';
  const description =
    `# Tools\n\n${must} to assist with the user query.\n\n` +
    'You are provided with function signatures within <tools></tools> XML tags:\n<tools>\n' +
    `${raw.map((tool) => JSON.stringify(tool)).join('\n')}\n</tools>\n\n` +
    'For each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:\n' +
    '<tool_call>\n{"name": <function-name>, "arguments": <args-json-object>}\n</tool_call>';
  const told = spellCalls(messages);
  const [first, ...rest] = told;
  if (first?.role !== 'system') return [{ role: 'system', content: description }, ...told];
  return [{ ...first, content: `${first.content ?? ''}\n\n${description}` }, ...rest];
}

/** Calls and their results as text, as a model sees them that has no other way. */
export function spellCalls(messages: readonly ChatMessage[]): ChatMessage[] {
  return messages.map((message) => {
    if (message.role === 'tool') {
      return { role: 'user', content: `<tool_response>\n${message.content ?? ''}\n</tool_response>` };
    }
    const { tool_calls: calls, ...plain } = message;
    if (!Array.isArray(calls) || calls.length === 0) return message;
    const texts = (calls as { function: unknown }[]).map(
      (call) => `<tool_call>\n${JSON.stringify(call.function)}\n</tool_call>`,
    );
    return { ...plain, content: [plain.content, ...texts].filter((text) => text).join('\n') };
  });
}
