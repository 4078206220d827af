import { describe, expect, it } from 'vitest';
import { normaliseUrl } from '../../src/client.js';
import { readEvents } from '../../src/server-events.js';

describe('normaliseUrl', () => {
  it.each([
    ['http://127.0.0.1:30000', 'http://127.0.0.1:30000'],
    ['http://127.0.0.1:30000/', 'http://127.0.0.1:30000'],
    ['http://127.0.0.1:30000/v1', 'http://127.0.0.1:30000'],
    ['https://host/prefix/v1/', 'https://host/prefix'],
    ['localhost:8000', 'http://localhost:8000'],
    ['http://[::1]:8000', 'http://[::1]:8000'],
  ])('%s -> %s', (text, url) => {
    expect(normaliseUrl(text)).toBe(url);
  });

  it.each(['', 'ftp://host', 'http://', 'not a url'])('refuses %j', (text) => {
    expect(() => normaliseUrl(text)).toThrow(expect.objectContaining({ code: 'E_USAGE' }));
  });
});

async function events(...chunks: (string | Uint8Array)[]): Promise<string[]> {
  const encoder = new TextEncoder();
  async function* bytes() {
    for (const chunk of chunks) yield typeof chunk === 'string' ? encoder.encode(chunk) : chunk;
  }
  const seen = [];
  for await (const event of readEvents(bytes())) seen.push(event);
  return seen;
}

describe('readEvents', () => {
  it('puts together what the network cut, and stops at [DONE]', async () => {
    expect(await events('data: {"a"', ':1}\n', '\ndata: 2\n\nda', 'ta: [DONE]\n\ndata: 3\n\n')).toEqual([
      '{"a":1}',
      '2',
    ]);
  });

  it('never breaks a character', async () => {
    const bytes = new TextEncoder().encode('data: é\n\n');
    expect(await events(bytes.slice(0, 7), bytes.slice(7))).toEqual(['é']);
  });

  it('skips comments and empty events, takes CRLF and data of several lines', async () => {
    expect(await events(': ping\n\ndata: 1\r\n\r\nevent: x\ndata: a\ndata: b\n\n')).toEqual(['1', 'a\nb']);
  });
});
