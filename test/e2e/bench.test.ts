/** `jsg bench` against servers that misbehave: what was measured is kept, and what went wrong is said. */
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, statSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, describe, expect, it } from 'vitest';
import { jsg } from './jsg.js';

let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

/** `answer`: of the n-th completion, instead of one token a millisecond. */
async function serve(answer: (n: number, response: ServerResponse) => boolean): Promise<string> {
  let numAsked = 0;
  server = createServer(async (request, response) => {
    if (request.url === '/v1/models') return void response.end('{"data":[{"id":"scripted"}]}');
    if (request.url !== '/v1/completions') return void response.writeHead(404).end();
    const body = await bodyOf(request);
    if (!answer(numAsked++, response)) await stream(response, body);
  });
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

interface Asked {
  prompt: string;
  max_tokens: number;
}

async function bodyOf(request: IncomingMessage): Promise<Asked> {
  return JSON.parse(await text(request));
}

async function stream(response: ServerResponse, { prompt, max_tokens }: Asked): Promise<void> {
  const event = (chunk: object) => response.write(`data: ${JSON.stringify(chunk)}\n\n`);
  for (let i = 0; i < max_tokens; i++) {
    event({ choices: [{ text: 'a' }] });
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  event({ choices: [{ text: '', finish_reason: 'length' }] });
  event({ choices: [], usage: { prompt_tokens: prompt.split(' ').length, completion_tokens: max_tokens } });
  response.end('data: [DONE]\n\n');
}

const files = () => {
  const folder = mkdtempSync(join(tmpdir(), 'jsg-bench-'));
  const [json, html] = [join(folder, 'result.json'), join(folder, 'page.html')];
  return { json, html, flags: ['--output-file', json, '--report', html] };
};

const SMALL = ['--batch', '1,2', '--max-tokens', '16', '--repeats', '2', '--prompt-tokens', '0'];

describe('results', () => {
  it('a file that cannot be written is said before anything is asked of the server', async () => {
    let numAsked = 0;
    const url = await serve(() => {
      numAsked++;
      return false;
    });
    for (const [flag, path] of [
      ['--output-file', tmpdir()],
      ['--report', '/dev/null/page.html'],
    ] as const) {
      const { code, stderr } = await jsg(['bench', '--url', url, ...SMALL, flag, path]);
      expect({ code, stderr }).toMatchObject({
        code: 2,
        stderr: expect.stringContaining(`jsg: ${flag}: ${path} cannot`),
      });
    }
    expect(numAsked).toBe(0);
  });

  it('what is no file takes what is written and stays what it is', async () => {
    const url = await serve(() => false);
    const pipe = join(mkdtempSync(join(tmpdir(), 'jsg-bench-')), 'pipe');
    execFileSync('mkfifo', [pipe]);
    const read = text(spawn('cat', [pipe]).stdout);
    const { code } = await jsg(['bench', '--url', url, ...SMALL, '--output-file', pipe]);
    expect(code).toBe(0);
    expect(JSON.parse(await read)).toMatchObject({ kind: 'decode', status: 'complete' });
    expect(statSync(pipe).isFIFO()).toBe(true);
  });
});

describe('jsg bench decode', () => {
  it('keeps the rows that it has when the server dies, and fails', async () => {
    // One request finds out what the server understands, two learn its words, two measure batch 1.
    const url = await serve((n, response) => {
      if (n < 6) return false;
      response.write('data: {"choices":[{"text":"a"}]}\n\n', () => {
        server?.close();
        server?.closeAllConnections();
      });
      return true;
    });
    const { json, html, flags } = files();
    const { code, stdout, stderr } = await jsg(['bench', 'decode', '--url', url, ...SMALL, ...flags]);
    expect(code).toBe(1);
    expect(stdout).toContain(`PARTIAL: the connection to ${url} was lost`);
    expect(stdout).toMatch(/^batch 1 +\d/m);
    expect(stdout).not.toContain('batch 2');
    expect(stderr).toMatch(new RegExp(`^jsg: the connection to ${url} was lost`, 'm'));
    expect(JSON.parse(readFileSync(json, 'utf8'))).toMatchObject({
      status: 'partial',
      failure: { code: 'E_UNAVAILABLE', message: expect.stringContaining('was lost') },
      decode: [{ batch: 1, tokensPerSecond: expect.any(Number) }],
    });
    expect(readFileSync(html, 'utf8')).toContain('The run was ended early');
  });
  it('gives up what a server does not end, after --timeout', async () => {
    const url = await serve((n, response) => n >= 6 && response.write('data: {"choices":[{"text":"a"}]}\n\n'));
    const { code, stdout, stderr } = await jsg(['bench', 'decode', '--url', url, ...SMALL, '--timeout', '0.5']);
    expect(code).toBe(1);
    expect(stdout).toMatch(/^PARTIAL: .*no whole answer within 0\.5 s[\s\S]*^batch 1 +\d/m);
    expect(stderr).toContain('no whole answer within 0.5 s');
  });
});
