import { describe, expect, it } from 'vitest';
import { parseChunk } from '../../../src/bench/chunk.js';

describe('parseChunk', () => {
  const text = (chunk: object) => parseChunk(JSON.stringify(chunk)).text;

  it('finds the text of either route, thoughts and arguments included', () => {
    expect(text({ choices: [{ text: 'a' }] })).toBe('a');
    expect(text({ choices: [{ delta: { content: 'b' } }] })).toBe('b');
    expect(text({ choices: [{ delta: { content: '', reasoning_content: 'c' } }] })).toBe('c');
    expect(text({ choices: [{ delta: { content: null, reasoning: 'd' } }] })).toBe('d');
    expect(text({ choices: [{ delta: { tool_calls: [{ index: 0 }] } }] })).toContain('index');
    expect(text({ choices: [{ delta: { role: 'assistant', content: '' } }] })).toBe('');
    expect(text({ choices: [] })).toBe('');
    expect(text({})).toBe('');
  });

  it('finds the end, the usage and errors', () => {
    const end = { choices: [{ delta: {}, finish_reason: 'stop' }], usage: null };
    expect(parseChunk(JSON.stringify(end))).toMatchObject({ finishReason: 'stop', usage: null, error: null });
    const usage = { prompt_tokens: 3, completion_tokens: 4, prompt_tokens_details: { cached_tokens: 2 } };
    expect(parseChunk(JSON.stringify({ usage })).usage).toEqual({
      promptTokens: 3,
      completionTokens: 4,
      cachedTokens: 2,
    });
    expect(parseChunk('{"usage":{}}').usage?.completionTokens).toBeNull();
    expect(parseChunk('{"error":{"message":"out of memory"}}').error).toBe('out of memory');
    expect(parseChunk('{"error":"busy"}').error).toBe('busy');
    expect(() => parseChunk('{')).toThrow(SyntaxError);
  });
});
