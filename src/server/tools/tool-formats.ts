/**
 * How models write calls of tools, one entry a format: what begins them in the text, how one call is put together, and the
 * structural tag that holds an answer to it. Names are those of SGLang's `--tool-call-parser`.
 */

export const TOOL_FORMAT_NAMES = ['llama3', 'qwen25', 'mistral', 'deepseek'] as const;
export type ToolFormatName = (typeof TOOL_FORMAT_NAMES)[number];

export interface ToolFormat {
  /** Texts that begin calls. */
  triggers: readonly string[];
  /** Calls begin only where the answer does. */
  onlyAtStart: boolean;
  /** From the trigger (or the end of the call before) to the arguments; the first group is the name, as JSON if `quoted`. */
  head: RegExp;
  quoted: boolean;
  /** From the end of the arguments to the end of the call. */
  tail: RegExp;
  /** What may follow the last call and belongs to none; the text goes on behind it. */
  close: RegExp;
  /** Around one call and around all of them, as the grammar wants it. */
  begin(name: string): string;
  end: string;
  open: string;
  separator: string;
  shut: string;
  /** Tokens that stand for parts of all this; where they are special, they count as their text. */
  tokens: readonly string[];
}

const NAME = String.raw`"((?:[^"\\]|\\.){1,200})"`;
const quote = (name: string) => JSON.stringify(name);

export const TOOL_FORMATS: Record<ToolFormatName, ToolFormat> = {
  // Hermes' format, which Qwen 2.5 and 3 were trained on.
  qwen25: {
    triggers: ['<tool_call>'],
    onlyAtStart: false,
    head: new RegExp(String.raw`^\s*(?:<tool_call>)?\s*\{\s*"name"\s*:\s*${NAME}\s*,\s*"arguments"\s*:\s*`),
    quoted: true,
    tail: /^\s*\}\s*<\/tool_call>/,
    close: /^/,
    begin: (name) => `<tool_call>\n{"name": ${quote(name)}, "arguments": `,
    end: '}\n</tool_call>',
    open: '',
    separator: '\n',
    shut: '',
    tokens: ['<tool_call>', '</tool_call>'],
  },
  llama3: {
    triggers: ['<|python_tag|>', '{"name":', '{ "name":'],
    onlyAtStart: true,
    head: new RegExp(
      String.raw`^\s*(?:<\|python_tag\|>)?\s*;?\s*\{\s*"name"\s*:\s*${NAME}\s*,\s*"(?:parameters|arguments)"\s*:\s*`,
    ),
    quoted: true,
    tail: /^\s*\}/,
    close: /^/,
    begin: (name) => `{"name": ${quote(name)}, "parameters": `,
    end: '}',
    open: '',
    separator: '; ',
    shut: '',
    tokens: ['<|python_tag|>'],
  },
  mistral: {
    triggers: ['[TOOL_CALLS]'],
    onlyAtStart: false,
    head: new RegExp(String.raw`^\s*(?:\[TOOL_CALLS\])?\s*[[,]?\s*\{\s*"name"\s*:\s*${NAME}\s*,\s*"arguments"\s*:\s*`),
    quoted: true,
    tail: /^\s*\}/,
    close: /^\s*\]/,
    begin: (name) => `{"name": ${quote(name)}, "arguments": `,
    end: '}',
    open: '[TOOL_CALLS] [',
    separator: ', ',
    shut: ']',
    tokens: ['[TOOL_CALLS]'],
  },
  deepseek: {
    triggers: ['<｜tool▁calls▁begin｜>'],
    onlyAtStart: false,
    head: /^\s*(?:<｜tool▁calls▁begin｜>)?\s*<｜tool▁call▁begin｜>function<｜tool▁sep｜>([^\n]{1,200})\n```json\n\s*/,
    quoted: false,
    tail: /^\s*```\s*<｜tool▁call▁end｜>/,
    close: /^\s*<｜tool▁calls▁end｜>/,
    begin: (name) => `<｜tool▁call▁begin｜>function<｜tool▁sep｜>${name}\n\`\`\`json\n`,
    end: '\n```<｜tool▁call▁end｜>',
    open: '<｜tool▁calls▁begin｜>',
    separator: '\n',
    shut: '<｜tool▁calls▁end｜>',
    tokens: [
      '<｜tool▁calls▁begin｜>',
      '<｜tool▁calls▁end｜>',
      '<｜tool▁call▁begin｜>',
      '<｜tool▁call▁end｜>',
      '<｜tool▁sep｜>',
    ],
  },
};

/** The format that a chat template writes calls in; Hermes' where it says nothing of tools. */
export function formatOfTemplate(template: string): ToolFormatName {
  if (template.includes('<｜tool▁calls▁begin｜>')) return 'deepseek';
  if (template.includes('[TOOL_CALLS]')) return 'mistral';
  if (template.includes('<|python_tag|>') || /"parameters": ?'/.test(template)) return 'llama3';
  return 'qwen25';
}
