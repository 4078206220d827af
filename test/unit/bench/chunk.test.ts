import { describe, expect, it } from 'vitest';
import { parseChunk } from '../../../src/bench/chunk.js';
import { SseParser } from '../../../src/bench/sse.js';

/** Events of `text`, cut into chunks of `size` bytes. */
function events(text: string, size: number): string[] {
  const seen: string[] = [];
  const parser = new SseParser((data) => seen.push(data));
  const bytes = Buffer.from(text);
  for (let i = 0; i < bytes.length; i += size) parser.push(bytes.subarray(i, i + size));
  parser.end();
  return seen;
}

describe('SseParser', () => {
  const stream =
    ': a comment\r\n\r\ndata: {"a":"grün 🙂"}\n\nevent: x\ndata:no space\r\nid: 3\r\n\r\ndata: one\ndata: two\n\n\n\ndata: [DONE]';

  it.each([1, 2, 3, 5, 7, 1000])('in chunks of %i bytes', (size) => {
    expect(events(stream, size)).toEqual(['{"a":"grün 🙂"}', 'no space', 'one\ntwo', '[DONE]']);
  });

  it('of nothing', () => {
    expect(events('', 1)).toEqual([]);
    expect(events('\n\n: ping\n\n', 1)).toEqual([]);
  });
});

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
