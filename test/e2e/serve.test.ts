/** The embedded default served: from `jsg launch` to tokens, and to an orderly end. Needs pip for the first time. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Jsg, jsg } from './jsg.js';

const LAUNCH = ['launch', '--profile', 'smollm2', '--port', '0', '--context-length', '1024'];
const ANNOUNCED = /is served at (http:\/\/127\.0\.0\.1:(\d+))/;

const hasPip = spawnSync('python3', ['-m', 'pip', '--version']).status === 0;
if (!hasPip) console.log('skipped: test/e2e/serve.test.ts needs python3 with pip to fetch smollm2');

interface Answer {
  choices: { message: { content: string }; finish_reason: string }[];
  usage: { prompt_tokens: number; completion_tokens: number };
}

async function launch(extra: string[] = []): Promise<{ server: Jsg; url: string; port: string }> {
  const server = new Jsg([...LAUNCH, ...extra]);
  const [, url = '', port = ''] = await server.waitFor(ANNOUNCED);
  return { server, url, port };
}

const question = {
  messages: [{ role: 'user', content: 'What is the capital of France?' }],
  temperature: 0,
  max_tokens: 24,
};

async function ask(url: string, body: object): Promise<Response> {
  const headers = { 'content-type': 'application/json' };
  return fetch(`${url}/v1/chat/completions`, { method: 'POST', headers, body: JSON.stringify(body) });
}

describe.skipIf(!hasPip)('jsg launch --profile smollm2', () => {
  let server: Jsg;
  let url = '';
  let port = '';
  beforeAll(async () => {
    ({ server, url, port } = await launch());
  });
  afterAll(async () => {
    await server?.end('SIGKILL');
  });

  it('prints a curl line that works', async () => {
    const line = /^ {2}(curl [\s\S]*?)\n\n/m.exec(server.stdout)?.[1] ?? '';
    const { stdout, status } = spawnSync('bash', ['-c', line], { encoding: 'utf8' });
    expect(status).toBe(0);
    expect((JSON.parse(stdout) as Answer).choices[0]?.message.content).toContain('Paris');
  });

  it('answers, streams the same, and takes any model name', async () => {
    const whole = (await (await ask(url, question)).json()) as Answer;
    const text = whole.choices[0]?.message.content ?? '';
    expect(text).toContain('Paris');
    const streamed = await (await ask(url, { ...question, model: 'another/model', stream: true })).text();
    const pieces = streamed
      .split('\n\n')
      .filter((event) => event.startsWith('data: {'))
      .map((event) => JSON.parse(event.slice(6)).choices[0]?.delta.content ?? '');
    expect(pieces.join('')).toBe(text);
    expect(streamed.trimEnd().endsWith('data: [DONE]')).toBe(true);
  });

  it('serves two clients at the same time', async () => {
    const answers = await Promise.all([ask(url, question), ask(url, question)]);
    const texts = await Promise.all(
      answers.map(async (answer) => ((await answer.json()) as Answer).choices[0]?.message),
    );
    expect(texts[0]).toEqual(texts[1]);
  });

  it('writes results to stdout and logs to stderr', () => {
    expect(server.stderr).toMatch(/\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\] /);
    expect(server.stdout).not.toMatch(/^\[\d{4}/m);
  });

  it('a second server on its port is refused before anything is loaded', async () => {
    const { code, stderr, elapsedMs } = await jsg([...LAUNCH, '--port', port]);
    expect(code).toBe(7);
    expect(stderr).toMatch(new RegExp(`^jsg: port ${port} on 127\\.0\\.0\\.1 is taken\\n     .*--port`));
    expect(elapsedMs).toBeLessThan(3000);
  });

  it('jsg chat answers on a pipe', async () => {
    const { code, stdout } = await jsg(['chat', url, '--temperature', '0', '--max-tokens', '24'], {
      input: 'What is the capital of France?',
    });
    expect(code).toBe(0);
    expect(stdout).toContain('Paris');
  });

  it('jsg bench measures it', async () => {
    const args = [
      'bench',
      '--url',
      url,
      '--batch',
      '1,2',
      '--max-tokens',
      '16',
      '--prompt-tokens',
      '64',
      '--repeats',
      '1',
    ];
    const { code, stdout } = await jsg([...args, '--json']);
    expect(code).toBe(0);
    const report = JSON.parse(stdout);
    expect(report.decode.map(({ batch }: { batch: number }) => batch)).toEqual([1, 2]);
    for (const row of report.decode) {
      expect(row.tokensPerSecond).toBeGreaterThan(0);
      expect(row.share).toBeGreaterThan(0);
    }
    expect(report.prefill.tokensPerSecond).toBeGreaterThan(0);
    expect(report.notes).toEqual([]);
  });

  const LOAD = ['--random-input-len', '32', '--random-output-len', '8', '--no-model-hash'];

  it('jsg bench serve: exact lengths, saved, compared, on a card and on a page', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'jsg-bench-'));
    const [file, page] = [join(folder, 'result.json'), join(folder, 'page.html')];
    const level = ['--num-prompts', '6', '--max-concurrency', '2', '--goodput', 'ttft:60000', 'itl:60000'];
    const files = ['--output-file', file, '--report', page];
    const { code, stdout } = await jsg(['bench', 'serve', '--url', url, ...level, ...LOAD, ...files]);
    expect(code).toBe(0);
    expect(stdout).toContain('6 done, 0 failed');
    const saved = JSON.parse(readFileSync(file, 'utf8'));
    expect(saved).toMatchObject({ version: 1, kind: 'serve', status: 'complete', server: 'jsg', notes: [] });
    expect(saved.serve[0]).toMatchObject({ inputTokens: 6 * 32, outputTokens: 6 * 8, goodput: { share: 1 } });
    expect(readFileSync(page, 'utf8')).toMatch(/^<!doctype html>[\s\S]*<svg[\s\S]*<\/html>\n$/);

    const compared = await jsg(['bench', 'compare', file, file]);
    expect(compared.code).toBe(0);
    expect(compared.stdout).toMatch(/2 at a time: output .* 1\.000 .* within noise/);
    const card = await jsg(['bench', 'card', file]);
    expect(card.stdout).toContain(`| workload | ${JSON.stringify(saved.workload)} |`);
  });

  it('jsg bench load starts a server of its own, and leaves none behind', async () => {
    const args = [
      '--profile',
      'smollm2',
      '--context-length',
      '512',
      '--cache',
      'warm',
      '--repeats',
      '1',
      '--no-model-hash',
    ];
    const { code, stdout } = await jsg(['bench', 'load', ...args, '--json']);
    expect(code).toBe(0);
    const { load, url: started } = JSON.parse(stdout);
    expect(load[0]).toMatchObject({ cache: 'warm', bytes: expect.any(Number) });
    expect(load[0].firstTokenS).toBeGreaterThan(load[0].readyS);
    expect(load[0].bytesPerSecond).toBeCloseTo(load[0].bytes / load[0].loadS, 0);
    await expect(fetch(`${started}/health`)).rejects.toThrow();
  });

  it('jsg bench serve that is ended shows what it has, and exits 130', async () => {
    const bench = new Jsg([
      'bench',
      'serve',
      '--url',
      url,
      '--duration',
      '100',
      '--max-concurrency',
      '1',
      ...LOAD,
      '--json',
    ]);
    while (!/[1-9]\d* answered/.test(bench.stderr)) await new Promise((resolve) => setTimeout(resolve, 50));
    const { code, stdout } = await bench.end('SIGINT');
    expect(code).toBe(130);
    const { status, serve } = JSON.parse(stdout);
    expect(status).toBe('partial');
    expect(serve[0].completed).toBeGreaterThan(0);
    expect(serve[0].failed).toBe(0);
  });

  it('finishes a running stream after SIGTERM, takes no new request, and exits 0', async () => {
    const stream = await ask(url, { ...question, max_tokens: 200, ignore_eos: true, stream: true });
    const reader = stream.body?.getReader();
    await reader?.read();
    server.child.kill('SIGTERM');
    await new Promise((resolve) => setTimeout(resolve, 50));
    const refused = await ask(url, question).then(
      (response) => response.status,
      () => 'closed',
    );
    expect([503, 'closed']).toContain(refused);
    let last = '';
    for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) {
      last = new TextDecoder().decode(part.value);
    }
    expect(last).toContain('[DONE]');
    expect((await server.finished).code).toBe(0);
  });

  it('a second signal ends it at once', async () => {
    const other = await launch(['--drain-timeout', '60']);
    const stream = await ask(other.url, { ...question, max_tokens: 900, ignore_eos: true, stream: true });
    expect(stream.status).toBe(200);
    other.server.child.kill('SIGTERM');
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect((await other.server.end('SIGTERM')).code).toBe(143);
    await stream.body?.cancel().catch(() => {});
  });

  it('refuses what does not fit in memory, with the bytes', async () => {
    const { code, stderr } = await jsg([...LAUNCH, '--mem-fraction-static', '0.01', '--max-total-tokens', '100000000']);
    expect(code).toBe(5);
    expect(stderr).toMatch(/KV cache, 100000000 tokens +[\d.]+ MiB/);
  });
});
