/** `--idle-unload`: a server whose model comes and goes. */
import { cpSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { Jsg } from './jsg.js';

const TINY = fileURLToPath(new URL('../golden/tiny/llama', import.meta.url));

// biome-ignore lint/suspicious/noExplicitAny: answers are checked field by field
type Json = any;

let folder = '';
let server: Jsg | undefined;
let url = '';
afterEach(async () => {
  await server?.end('SIGKILL');
  server = undefined;
  if (folder) rmSync(folder, { recursive: true });
  folder = '';
});

async function launch(flags: string[]): Promise<void> {
  server = new Jsg(['launch', '--port', '0', '--idle-unload', '0.5', ...flags]);
  [, url = ''] = await server.waitFor(/is served at (http:\/\/127\.0\.0\.1:\d+)/);
}

async function get(path: string): Promise<{ status: number; body: Json }> {
  const response = await fetch(url + path);
  const text = await response.text();
  return { status: response.status, body: text.startsWith('{') ? JSON.parse(text) : text };
}

async function generate(fields: object = {}): Promise<{ status: number; body: Json }> {
  const response = await fetch(`${url}/generate`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      input_ids: [1, 2, 3, 4],
      sampling_params: { temperature: 0, max_new_tokens: 8, ignore_eos: true },
      ...fields,
    }),
  });
  return { status: response.status, body: await response.json() };
}

const until = (model: string) =>
  vi.waitFor(async () => expect((await get('/health')).body).toEqual({ status: 'ok', model }), {
    interval: 50,
    timeout: 30_000,
  });

const residentBytes = () =>
  1024 * Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${server?.child.pid}/status`, 'utf8'))?.[1]);

describe('--idle-unload', () => {
  it('serves, unloads, tells, and loads once for several requests; what fails to load is told and tried again', async () => {
    folder = mkdtempSync(join(tmpdir(), 'jsg-idle-'));
    const model = join(folder, 'model');
    cpSync(TINY, model, { recursive: true });
    await launch(['--model-path', model, '--served-model-name', 'tiny']);
    const { status, body: before } = await generate();
    expect(status).toBe(200);
    expect(before.output_ids).toHaveLength(8);

    await until('unloaded');
    expect((await get('/v1/models')).body.data[0].id).toBe('tiny');
    expect((await get('/get_server_info')).body).toMatchObject({ status: 'ready', model: 'unloaded' });
    expect((await get('/metrics')).body).toContain('jsg:model_loaded{model_name="tiny"} 0');
    const answers = await Promise.all([generate(), generate(), generate()]);
    for (const { body } of answers) expect(body.output_ids).toEqual(before.output_ids);
    expect(server?.stderr.match(/loading the model again/g)).toHaveLength(1);
    expect((await get('/metrics')).body).toContain('jsg:model_loaded{model_name="tiny"} 1');

    await until('unloaded');
    const weights = join(model, readdirSync(model).find((name) => name.endsWith('.safetensors')) ?? '');
    renameSync(weights, `${weights}.away`);
    const refused = await generate();
    expect(refused.status).toBe(503);
    expect(refused.body.error.message).toContain('.safetensors is not the file it was at the start');
    expect((await get('/health')).status).toBe(200);
    renameSync(`${weights}.away`, weights);
    expect((await generate()).body.output_ids).toEqual(before.output_ids);

    await until('unloaded');
    const ended = await server?.end();
    expect(ended?.code).toBe(0);
  }, 60_000);

  it('gives the memory back', async () => {
    await launch(['--profile', 'smollm2', '--context-length', '1024']);
    await generate({ input_ids: Array.from({ length: 600 }, (_, i) => 100 + i) });
    const loaded = residentBytes();
    await until('unloaded');
    // Weights of 92 MiB, packed, and the KV cache as far as it was used.
    await vi.waitFor(() => expect(loaded - residentBytes()).toBeGreaterThan(100 * 2 ** 20), {
      interval: 50,
      timeout: 10_000,
    });
    expect((await generate()).status).toBe(200);
  }, 120_000);
});
