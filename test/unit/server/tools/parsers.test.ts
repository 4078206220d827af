import { describe, expect, it } from 'vitest';
import { AnswerParser, type AnswerShape } from '../../../../src/server/tools/answer-parser.js';
import { beginsInside } from '../../../../src/server/tools/reasoning.js';
import type { Part } from '../../../../src/server/tools/tool-call-parser.js';
import { formatOfTemplate, TOOL_FORMATS, type ToolFormatName } from '../../../../src/server/tools/tool-formats.js';

const shape = (name: ToolFormatName): AnswerShape => ({
  reasoning: null,
  tools: { format: TOOL_FORMATS[name], names: new Set(['add', 'get_weather']) },
});

/** What a client puts together from the parts. */
function collect(parts: Part[]) {
  let text = '';
  let reasoning = '';
  const calls: { name: string; args: string }[] = [];
  for (const part of parts) {
    if (part.kind === 'text') text += part.text;
    else if (part.kind === 'reasoning') reasoning += part.text;
    else if (part.kind === 'call') calls[part.index] = { name: part.name, args: '' };
    else (calls[part.index] as { args: string }).args += part.text;
  }
  return { text, reasoning, calls };
}

/** In pieces of every length, which must all come to the same. */
function parse(answer: string, of: AnswerShape) {
  const results = [1, 2, 3, 7, 1000].map((length) => {
    const parser = new AnswerParser(of);
    const parts: Part[] = [];
    for (let at = 0; at < answer.length; at += length) parts.push(...parser.push(answer.slice(at, at + length)));
    parts.push(...parser.end());
    return collect(parts);
  });
  for (const result of results) expect(result).toEqual(results[0]);
  return results[0];
}

const ARGS = '{"city": "Par}is \\"{", "n": [1, {"a": 2}]}';

describe('tool calls', () => {
  it.each<[ToolFormatName, string]>([
    [
      'qwen25',
      `Let me see.\n<tool_call>\n{"name": "get_weather", "arguments": ${ARGS}}\n</tool_call>\n<tool_call>\n{"name": "add", "arguments": {}}\n</tool_call>`,
    ],
    ['llama3', `{"name": "get_weather", "parameters": ${ARGS}}; {"name": "add", "parameters": {}}`],
    ['llama3', `<|python_tag|>{"name": "get_weather", "parameters": ${ARGS}}; {"name": "add", "parameters": {}}`],
    [
      'mistral',
      `Let me see.[TOOL_CALLS] [{"name": "get_weather", "arguments": ${ARGS}}, {"name": "add", "arguments": {}}]`,
    ],
    [
      'deepseek',
      `Let me see.\n<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>get_weather\n\`\`\`json\n${ARGS}\n\`\`\`<｜tool▁call▁end｜>\n` +
        '<｜tool▁call▁begin｜>function<｜tool▁sep｜>add\n```json\n{}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>',
    ],
  ])('of %s: %s', (name, answer) => {
    const result = parse(answer, shape(name));
    expect(result?.calls).toEqual([
      { name: 'get_weather', args: ARGS },
      { name: 'add', args: '{}' },
    ]);
    expect(result?.text).toBe(name === 'llama3' ? '' : 'Let me see.');
  });

  it.each<[ToolFormatName, string]>([
    ['qwen25', 'no call at all, <tool or <tool_cal'],
    ['qwen25', '<tool_call>\n{"name": "unknown", "arguments": {}}\n</tool_call>'],
    ['qwen25', '<tool_call>nonsense'],
    ['llama3', 'text first {"name": "add", "parameters": {}}'],
    ['mistral', 'a list [1, 2] is no call  '],
    ['deepseek', 'a < b'],
  ])('are not made of other text (%s: %s)', (name, answer) => {
    expect(parse(answer, shape(name))).toEqual({ text: answer, reasoning: '', calls: [] });
  });

  it('stay what they are as far as they came', () => {
    const result = parse('<tool_call>\n{"name": "add", "arguments": {"a": 1', shape('qwen25'));
    expect(result?.calls).toEqual([{ name: 'add', args: '{"a": 1' }]);
  });

  it('come with text behind them', () => {
    const result = parse('<tool_call>\n{"name": "add", "arguments": {}}\n</tool_call>\n\nDone.', shape('qwen25'));
    expect(result).toEqual({ text: 'Done.', reasoning: '', calls: [{ name: 'add', args: '{}' }] });
  });

  it('are written as the chat template says', () => {
    expect(formatOfTemplate('... <tool_call> ...')).toBe('qwen25');
    expect(formatOfTemplate("{{ '[TOOL_CALLS] [' }}")).toBe('mistral');
    expect(formatOfTemplate('<｜tool▁calls▁begin｜>')).toBe('deepseek');
    expect(formatOfTemplate("'<|python_tag|>'")).toBe('llama3');
    expect(formatOfTemplate('{{ messages }}')).toBe('qwen25');
  });
});

describe('reasoning', () => {
  const thinks = (isInside: boolean, isStreamed = true): AnswerShape => ({
    reasoning: { isInside, isStreamed },
    tools: null,
  });

  it.each([
    ['<think>\nHm, 2 < 3.\n</think>\n\nIt is so.', false],
    ['Hm, 2 < 3.\n</think>\n\nIt is so.', true],
    ['<think>\nHm, 2 < 3.\n</think>\n\nIt is so.', true],
  ])('is told apart: %j', (answer, isInside) => {
    expect(parse(answer, thinks(isInside))).toEqual({ text: 'It is so.', reasoning: 'Hm, 2 < 3.', calls: [] });
    expect(parse(answer, thinks(isInside, false))).toEqual({ text: 'It is so.', reasoning: 'Hm, 2 < 3.', calls: [] });
  });

  it('may be missing, or not come to an end', () => {
    expect(parse('It is so.', thinks(false))).toEqual({ text: 'It is so.', reasoning: '', calls: [] });
    expect(parse('<think>Hm', thinks(false))).toEqual({ text: '', reasoning: 'Hm', calls: [] });
  });

  it('may end in a call', () => {
    const both = { ...shape('qwen25'), reasoning: { isInside: true, isStreamed: true } };
    expect(parse('Hm.</think>\n\n<tool_call>\n{"name": "add", "arguments": {}}\n</tool_call>', both)).toEqual({
      text: '',
      reasoning: 'Hm.',
      calls: [{ name: 'add', args: '{}' }],
    });
  });

  it('begins where the prompt leaves off', () => {
    expect(beginsInside('qwen3', 'user\nhi\nassistant\n')).toBe(false);
    expect(beginsInside('qwen3', 'assistant\n<think>\n')).toBe(true);
    expect(beginsInside('deepseek-r1', '<｜Assistant｜>')).toBe(true);
    expect(beginsInside('deepseek-r1', '<｜Assistant｜><think>\n\n</think>\n\n')).toBe(false);
  });
});
