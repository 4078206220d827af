/** `jsg launch --engine sglang` over a stand-in that plays SGLang's starts, ends and faults (test/fixtures/sglang). */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Jsg, jsg } from './jsg.js';

const STANDIN = fileURLToPath(new URL('../fixtures/sglang', import.meta.url));

let scratch = '';
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'jsg-sglang-'));
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const environment = (behaviour: string, more: Record<string, string> = {}) => ({
  PYTHONPATH: STANDIN,
  STANDIN: behaviour,
  STANDIN_STATE: mkdtempSync(join(scratch, 'state-')),
  XDG_STATE_HOME: join(scratch, 'logs'),
  ...more,
});

/** A board that is not here is what --force is for. */
const LAUNCH = ['launch', '--engine', 'sglang', '--profile', 'flashinfer-fp16', '--python', 'python3', '--force'];
const launch = (behaviour: string, flags: string[] = [], env: Record<string, string> = {}) =>
  new Jsg([...LAUNCH, '--port', '0', ...flags], environment(behaviour, env));

const urlOf = async (running: Jsg) => (await running.waitFor(/served at (\S+)/))[1] as string;
const metricsOf = (running: Jsg) => /\/metrics of its lines at (\S+)/.exec(running.stderr)?.[1] as string;
const logOf = (running: Jsg) => readFileSync(/log is kept in (\S+);/.exec(running.stderr)?.[1] as string, 'utf8');

/** Stand-ins of this file that are alive. */
const standIns = () =>
  readdirSync('/proc').filter((pid) => {
    try {
      return (
        /^\d+$/.test(pid) &&
        readFileSync(`/proc/${pid}/environ`, 'latin1').includes(`STANDIN_STATE=${scratch}/`) &&
        !readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('bin/jsg.js')
      );
    } catch {
      return false;
    }
  });
afterEach(() => expect(standIns()).toEqual([]));

describe('a start', () => {
  it.each(['0.4.2', '0.5.23'])('shows the phases of %s, serves, counts its lines, and drains', async (version) => {
    const running = launch('ok', [], { STANDIN_LOG: version });
    const url = await urlOf(running);
    for (const phase of ['importing', 'loading weights', 'allocating KV cache', 'capturing graphs', 'warming up']) {
      expect(running.stderr).toContain(`${phase}: `);
    }
    expect(standIns().length).toBeGreaterThanOrEqual(3);
    const answer = fetch(`${url}/generate`, { method: 'POST', body: '{}' });
    await expect.poll(() => running.stderr).toContain('gen throughput (token/s): 11.19');
    const metrics = await (await fetch(metricsOf(running))).text();
    expect(metrics).toMatch(
      /^sglang:gen_throughput\{model_name="deepseek-ai\/DeepSeek-R1-Distill-Llama-8B"\} 11\.19$/m,
    );
    expect(metrics).toMatch(/^sglang:num_running_reqs\{.*\} 1$/m);
    expect(metrics).toMatch(/^sglang:cached_tokens_total\{.*\} 12$/m);
    expect(metrics).toMatch(/^jsg:engine_up\{.*\} 1$/m);
    // The request runs for a second; the end waits for it.
    const { code } = await running.end();
    expect(code).toBe(0);
    expect(await (await answer).json()).toEqual({ text: 'done' });
    expect(logOf(running)).toContain('Gracefully exiting');
  });

  it('that is slow is told phase by phase, and a signal ends it', async () => {
    const running = launch('slow-load');
    await expect.poll(() => running.stderr, { timeout: 10_000 }).toContain('importing: ');
    const { code, stderr } = await running.end('SIGINT');
    expect(code).toBe(130);
    expect(stderr).toContain('SIGINT: the start was given up');
  });

  it('hands flags after -- on, and the command that runs is the documented one', async () => {
    const running = launch('ok', ['--', '--enable-metrics']);
    await urlOf(running);
    const lines = standIns().map((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0'));
    const main = lines.find((line) => line.includes('sglang.launch_server'));
    expect(main?.slice(1, 7)).toEqual([
      '-m',
      'sglang.launch_server',
      '--model-path',
      'deepseek-ai/DeepSeek-R1-Distill-Llama-8B',
      '--device',
      'cuda',
    ]);
    expect(main).toContain('--enable-metrics');
    expect((await running.end()).code).toBe(0);
  });

  it('has its key where no process list and no log shows it', async () => {
    const running = launch('ok', ['--api-key', 's3cret-key']);
    const url = await urlOf(running);
    const shown = [...standIns(), String(running.child.pid)].map((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8'));
    expect(shown.length).toBeGreaterThanOrEqual(4);
    expect(shown.join('\n')).not.toContain('s3cret-key');
    expect((await fetch(`${url}/v1/models`)).status).toBe(401);
    const headers = { authorization: 'Bearer s3cret-key' };
    expect((await fetch(`${url}/v1/models`, { headers })).status).toBe(200);
    await running.end();
    expect(logOf(running)).toContain('api_key=');
    expect(logOf(running)).not.toContain('s3cret-key');
    expect(running.stderr + running.stdout).not.toContain('s3cret-key');
  });

  it('reads a key from a file', async () => {
    const file = join(scratch, 'key');
    writeFileSync(file, 'from-a-file\n');
    const running = launch('ok', ['--api-key-file', file]);
    const url = await urlOf(running);
    expect((await fetch(`${url}/v1/models`, { headers: { authorization: 'Bearer from-a-file' } })).status).toBe(200);
    await running.end();
  });
});

describe('a failed start', () => {
  it.each([
    ['import-crash', 6, ['SGLang cannot be imported', 'libcudart.so.12', 'why: ']],
    ['oom-kill', 5, ['while loading weights (50 %) (SIGKILL)', 'memory ran out, most likely']],
    ['oom-scheduler', 5, ['while loading weights (50 %)', 'Exit code: -9', 'why: ', 'jsg plan --this']],
    ['no-kernel-image', 5, ['no kernel image is available', 'why: ', 'The whole log: ']],
    ['port-taken', 7, ['address already in use', 'why: ']],
  ])('%s ends with exit code %i and the right words', async (behaviour, exitCode, words) => {
    const { code, stderr } = await launch(behaviour).finished;
    expect({ code, stderr }).toMatchObject({ code: exitCode });
    for (const text of words) expect(stderr).toContain(text);
    expect(stderr).not.toMatch(/^\s+at /m);
  });

  it('that hangs at 99 % is noticed by its silence', async () => {
    const { code, stderr } = await launch('hang', ['--startup-timeout', '2']).finished;
    expect(code).toBe(6);
    expect(stderr).toMatch(/showed no progress for \d s while loading weights \(99 %\) and was ended/);
  });

  it('says at once that the port is taken', async () => {
    const server: Server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
    const { port } = server.address() as { port: number };
    const { code, stderr } = await jsg([...LAUNCH, '--port', String(port)], { env: environment('ok') });
    expect(code).toBe(7);
    expect(stderr).toContain(`port ${port} on 127.0.0.1 is taken`);
    server.close();
  });

  it('says what this SGLang does not take', async () => {
    const flags = ['--', '--enable-metrix'];
    const { code, stderr } = await launch('ok', flags).finished;
    expect(code).toBe(2);
    expect(stderr).toContain('jsg: SGLang 0.4.2 has no flag --enable-metrix\n     Did you mean --enable-metrics?');
  });

  it('says that TorchAO is not there for --torchao-config', async () => {
    const flags = [...LAUNCH.with(4, 'flashinfer-int4wo-128'), '--port', '0'];
    const { code, stderr } = await jsg(flags, { env: environment('ok') });
    expect(code).toBe(2);
    expect(stderr).toContain('--torchao-config does not work with this SGLang 0.4.2: TorchAO is not installed');
  });

  it('says what a newer TorchAO lacks, before anything is loaded', async () => {
    const newer = join(scratch, 'torchao-0.18');
    mkdirSync(join(newer, 'torchao', 'quantization'), { recursive: true });
    mkdirSync(join(newer, 'torchao-0.18.0.dist-info'));
    writeFileSync(
      join(newer, 'torchao-0.18.0.dist-info', 'METADATA'),
      'Metadata-Version: 2.1\nName: torchao\nVersion: 0.18.0\n',
    );
    writeFileSync(join(newer, 'torchao', '__init__.py'), '');
    // The functions gave way to classes of configuration.
    writeFileSync(
      join(newer, 'torchao', 'quantization', '__init__.py'),
      'class Int4WeightOnlyConfig: pass\nquantize_ = None\n',
    );
    const flags = [...LAUNCH.with(4, 'flashinfer-int4wo-128'), '--port', '0'];
    const { code, stderr } = await jsg(flags, { env: { ...environment('ok'), PYTHONPATH: `${STANDIN}:${newer}` } });
    expect(code).toBe(2);
    expect(stderr).toMatch(/TorchAO 0\.18\.0 has no .*torchao\.quantization\.int4_weight_only/);
    expect(stderr).toContain('torchao==0.9.0');
  });

  it('says that there is no SGLang in a Python', async () => {
    const { code, stderr } = await jsg([...LAUNCH, '--port', '0'], { env: { ...environment('ok'), PYTHONPATH: '' } });
    expect(code).toBe(5);
    expect(stderr).toContain('python3 has no SGLang');
    expect(stderr).toContain('jsg build sglang');
  });

  it('that does not fit is refused by the plan before SGLang is asked anything', async () => {
    const model = ['--model-path', 'meta-llama/Meta-Llama-3.1-8B-Instruct', '--device', 'cpu', '--port', '0'];
    const args = ['launch', '--engine', 'sglang', '--python', 'python3', ...model, '--max-total-tokens', '40000000'];
    const { code, stderr } = await jsg(args, { env: environment('ok') });
    expect(code).toBe(5);
    expect(stderr).toMatch(
      /jsg: these settings would fail here:\n {5}profile: meta-llama\/Meta-Llama-3\.1-8B-Instruct needs [\d.]+ GiB of the [\d.]+ GiB available/,
    );
    expect(stderr).toContain('fix: jsg plan --this --engine sglang --model-path meta-llama/Meta-Llama-3.1-8B-Instruct');
    expect(stderr).not.toContain('asking SGLang');
  });

  it('without --force and without a GPU never begins', async () => {
    const args = LAUNCH.filter((word) => word !== '--force');
    const { code, stderr } = await jsg(args, { env: environment('ok') });
    expect(code).toBe(5);
    expect(stderr).toContain('profile flashinfer-fp16 needs CUDA');
  });
});

describe('a crash', () => {
  it('while starting is started over with --restart on-failure', async () => {
    const running = launch('crash-once', ['--restart', 'on-failure']);
    const url = await urlOf(running);
    expect(running.stderr).toMatch(/starting it again in 1 s \(1 of 5\)/);
    expect((await fetch(`${url}/health`)).status).toBe(200);
    await running.end();
  });

  it('while serving is started over, and counted', async () => {
    const running = launch('crash-serving', ['--restart', 'on-failure']);
    const url = await urlOf(running);
    await expect.poll(() => running.stderr, { timeout: 10_000 }).toContain('starting it again in 1 s');
    expect(running.stderr).toContain('SGLang ended while serving (exit code 1)');
    await expect
      .poll(
        () =>
          fetch(`${url}/health`).then(
            ({ status }) => status,
            () => 0,
          ),
        { timeout: 10_000 },
      )
      .toBe(200);
    await expect
      .poll(async () => (await fetch(metricsOf(running))).text(), { timeout: 5000 })
      .toMatch(/jsg:engine_starts_total\{.*\} 2\n/);
    await running.end();
  });

  it('while serving ends jsg without it', async () => {
    const running = launch('crash-serving');
    await urlOf(running);
    const { code, stderr } = await running.finished;
    expect(code).toBe(6);
    expect(stderr).toContain('illegal memory access');
  });
});

describe('the end', () => {
  it('reaches a process that left its group and does not hear SIGTERM', async () => {
    const running = launch('stubborn');
    await urlOf(running);
    expect((await running.end()).code).toBe(0);
  });

  it('of jsg by SIGKILL is the end of SGLang too', async (context) => {
    if (!existsSync('/usr/bin/setpriv'))
      return context.skip('setpriv (util-linux) is not here: nothing tells SGLang then');
    const running = launch('ok');
    await urlOf(running);
    await running.end('SIGKILL');
    for (let i = 0; i < 50 && standIns().length > 0; i++) await sleep(100);
  });
});
