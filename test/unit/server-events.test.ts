import { ReadableStream } from 'node:stream/web';
import { StringDecoder } from 'node:string_decoder';
import { describe, expect, it } from 'vitest';
import { readEvents, SseParser } from '../../src/server-events.js';

/** `text` in chunks of `size` bytes. */
function chunks(text: string, size: number): Buffer[] {
  const bytes = Buffer.from(text);
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size));
}

/** Events of `text`, cut into chunks of `size` bytes. */
function events(text: string, size: number): string[] {
  const seen: string[] = [];
  const parser = new SseParser((data) => seen.push(data));
  const decoder = new StringDecoder('utf8');
  for (const bytes of chunks(text, size)) parser.push(decoder.write(bytes));
  parser.end();
  return seen;
}

describe('SseParser', () => {
  const stream =
    ': a comment\r\n\r\ndata: {"a":"grün 🙂"}\n\nevent: x\ndata:no space\r\nid: 3\r\n\r\ndata: one\ndata: two\n\n\n\ndata: [DONE]';

  it.each([1, 2, 3, 5, 7, 1000])('in chunks of %i bytes', (size) => {
    expect(events(stream, size)).toEqual(['{"a":"grün 🙂"}', 'no space', 'one\ntwo', '[DONE]']);
  });

  it.each([1, 2, 3, 5, 7, 1000])(
    'and as they are read, to the end that is said, in chunks of %i bytes',
    async (size) => {
      const read: string[] = [];
      for await (const data of readEvents(ReadableStream.from(chunks(`${stream}\n\ndata: late\n\n`, size))))
        read.push(data);
      expect(read).toEqual(['{"a":"grün 🙂"}', 'no space', 'one\ntwo']);
    },
  );

  it('of nothing', () => {
    expect(events('', 1)).toEqual([]);
    expect(events('\n\n: ping\n\n', 1)).toEqual([]);
  });
});
