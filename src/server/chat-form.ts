/** What form a chat's answer takes: the grammar it follows, and how its text is told apart into thoughts, text and calls. */
import type { ServerContext } from './context.js';
import type { AnswerFormat } from './grammar/format-source.js';
import { structuralTag } from './grammar/structural-tag.js';
import type { AnswerShape } from './tools/answer-parser.js';
import { beginsInside, type ReasoningParserName, THINK_BEGIN, THINK_END } from './tools/reasoning.js';
import { formatOfTemplate, TOOL_FORMATS, type ToolFormat } from './tools/tool-formats.js';
import { toolCallsFormat } from './tools/tool-grammar.js';
import type { ToolUse } from './tools/tools.js';

/** What a request says of the form. */
export interface FormRequest {
  /** The form that the answer is to have; null: any. */
  asked: AnswerFormat | null;
  toolUse: ToolUse | null;
  /** What the answer begins with, where that is given. */
  prefill?: string;
  /** Thoughts are told apart from the answer, where the server knows how the model writes them. */
  separatesReasoning: boolean;
  /** Thoughts go out as they come, not in one piece. */
  streamsReasoning: boolean;
}

export interface ChatForm {
  format: AnswerFormat | null;
  shape: AnswerShape;
  /** Tokens of which the text is wanted though they are special: those that begin and end calls and thoughts. */
  keepsSpecialTokens: boolean;
}

/** The format of tool calls: as the server was told, or as the model's chat template has it. */
export function toolFormatOf(server: Pick<ServerContext, 'model' | 'options'>): ToolFormat {
  const name = server.options.toolCallParser ?? formatOfTemplate(server.model.chatTemplate?.text ?? '');
  return TOOL_FORMATS[name];
}

/** Throws E_INVALID_REQUEST, E_GRAMMAR_INVALID or E_GRAMMAR_LIMIT naming the field. */
export function chatForm(server: ServerContext, request: FormRequest, prompt: string): ChatForm {
  const { asked, toolUse } = request;
  const toolFormat = toolFormatOf(server);
  // An answer whose beginning is given is past its thoughts.
  const parser = request.prefill === undefined ? (server.options.reasoningParser ?? null) : null;
  const isInside = parser !== null && beginsInside(parser, prompt);
  const format = withTools(asked, toolUse, toolFormat, server.grammars != null);
  const isSplit = parser !== null && request.separatesReasoning;
  const tokens = [...(toolUse ? toolFormat.tokens : []), ...(parser ? [THINK_BEGIN, THINK_END] : [])];
  return {
    format: format && parser ? afterThoughts(format, parser, isInside) : format,
    shape: {
      reasoning: isSplit ? { isInside, isStreamed: request.streamsReasoning } : null,
      tools: toolUse && { format: toolFormat, names: new Set(toolUse.tools.map(({ name }) => name)) },
    },
    keepsSpecialTokens: tokens.some((token) => isSpecialToken(server, token)),
  };
}

function isSpecialToken({ model: { tokenizer } }: ServerContext, token: string): boolean {
  const id = tokenizer?.tokenId(token);
  return id !== undefined && tokenizer?.isSpecial(id) === true;
}

/** Where the model may call tools or answer in a form, one or the other. */
function withTools(
  asked: AnswerFormat | null,
  toolUse: ToolUse | null,
  format: ToolFormat,
  hasGrammars: boolean,
): AnswerFormat | null {
  if (toolUse === null) return asked;
  // Without grammars the model may still call tools; nothing makes sure that what it writes is a call.
  if (toolUse.choice === 'auto' && asked === null && !hasGrammars) return null;
  const param = toolUse.choice === 'auto' ? 'tools' : 'tool_choice';
  if (asked === null || toolUse.choice !== 'auto') return structuralTag(toolCallsFormat(format, toolUse), param);
  const calls = toolCallsFormat(format, { ...toolUse, choice: 'required' });
  return structuralTag({ type: 'or', elements: [calls, tagFormat(asked)] }, asked.param);
}

/** The form is that of the answer alone: it begins after `</think>`. */
function afterThoughts(format: AnswerFormat, parser: ReasoningParserName, isInside: boolean): AnswerFormat {
  const thoughts = { type: 'tag', begin: isInside ? '' : THINK_BEGIN, content: { type: 'any_text' }, end: THINK_END };
  const mayThink = isInside || parser === 'deepseek-r1' ? thoughts : { type: 'optional', content: thoughts };
  const gap = { type: 'regex', pattern: '\\n{0,2}' };
  return structuralTag({ type: 'sequence', elements: [mayThink, gap, tagFormat(format)] }, format.param);
}

function tagFormat({ kind, text, strict }: AnswerFormat): unknown {
  switch (kind) {
    case 'json_schema': {
      const schema: unknown = JSON.parse(text);
      // Inside of tags, what a schema does not name is never allowed.
      const isAnyObject = !strict && text === '{"type":"object"}';
      return {
        type: 'json_schema',
        json_schema: isAnyObject ? { type: 'object', additionalProperties: true } : schema,
      };
    }
    case 'regex':
      return { type: 'regex', pattern: text };
    case 'ebnf':
      return { type: 'grammar', grammar: text };
    case 'structural_tag':
      return (JSON.parse(text) as { format: unknown }).format;
  }
}
