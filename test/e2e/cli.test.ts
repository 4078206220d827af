import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { version } from '../../src/version.js';
import { jsg } from './jsg.js';

let scratch = '';
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'jsg-e2e-'));
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

describe('jsg', () => {
  it('--help shows the commands and never loads the addon', async () => {
    const trap = 'data:text/javascript,process.dlopen = () => process.exit(99)';
    const { code, stdout, stderr } = await jsg(['--help'], { env: { NODE_OPTIONS: `--import "${trap}"` } });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    for (const command of ['launch', 'chat', 'bench', 'profiles', 'doctor']) expect(stdout).toContain(command);
    expect(stdout).toContain('Exit codes');
  });

  it('launch --help documents every flag and the limits on requests', async () => {
    const { stdout } = await jsg(['launch', '--help']);
    for (const flag of ['--model-path', '--mem-fraction-static', '--torchao-config', '--drain-timeout']) {
      expect(stdout).toContain(flag);
    }
    expect(stdout).toContain('body 4 MiB');
  });

  it('--version', async () => {
    expect(await jsg(['--version'])).toMatchObject({ code: 0, stdout: `${version()}\n` });
  });

  it('faults go to stderr, in two lines, with the exit code of the table', async () => {
    const { code, stdout, stderr } = await jsg(['launch', '--modle-path', 'x']);
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toBe('jsg: unknown flag --modle-path for jsg launch\n     Did you mean --model-path?\n');
  });

  it('shows a stack trace only when asked to', async () => {
    const { stderr } = await jsg(['launch', '--profile', 'nope'], { env: { JSG_DEBUG: '1' } });
    expect(stderr).toMatch(/^\s+at /m);
  });

  it('a CUDA profile is refused before anything is loaded or fetched', async () => {
    const { code, stderr } = await jsg(['launch', '--profile', 'flashinfer-int4wo-128'], {
      env: { XDG_CACHE_HOME: join(scratch, 'cache'), HF_HOME: join(scratch, 'hf') },
    });
    expect(code).toBe(5);
    expect(stderr).toMatch(/^jsg: profile flashinfer-int4wo-128 needs CUDA: .*jsg launch --profile smollm2.*\n$/);
    expect(existsSync(join(scratch, 'cache')) || existsSync(join(scratch, 'hf'))).toBe(false);
  });

  it("a user's profile with a typo is refused with its line", async () => {
    const path = join(scratch, 'mine.yaml');
    writeFileSync(path, 'description: mine\nmodel-path: smollm2\ncontext_length: 100\n');
    const { code, stderr } = await jsg(['launch', '--profile', path]);
    expect(code).toBe(2);
    expect(stderr).toContain(`${path}:3: unknown key 'context_length': did you mean 'context-length'?`);
  });

  it.each([
    ['a missing path', ['--model-path', './no/such/model'], 3],
    ['a directory without a model', ['--model-path', '.'], 3],
  ])('%s ends in one line and exit code 3', async (_, args, exit) => {
    const { code, stderr } = await jsg(['launch', '--port', '0', ...args]);
    expect(code).toBe(exit);
    expect(stderr.split('\n').filter((line) => line.startsWith('jsg: '))).toHaveLength(1);
    expect(stderr).not.toMatch(/^\s+at /m);
  });

  it('chat and bench say when no server answers', async () => {
    for (const args of [
      ['chat', 'http://127.0.0.1:9'],
      ['bench', '--url', 'http://127.0.0.1:9'],
    ]) {
      const { code, stderr } = await jsg(args, { input: 'hi' });
      expect(code).toBe(1);
      expect(stderr).toContain('no server answers at http://127.0.0.1:9');
    }
  });

  it('doctor looks at this machine', async () => {
    const { code, stdout } = await jsg(['doctor', '--json']);
    const report = JSON.parse(stdout);
    const ids = report.checks.map(({ id }: { id: string }) => id);
    for (const id of ['addon', 'cpu', 'gpu', 'memory', 'model-store', 'os', 'pip', 'toolchain'])
      expect(ids).toContain(id);
    const fails = report.checks.some(({ status }: { status: string }) => status === 'fail');
    expect({ code, ok: report.ok }).toEqual({ code: fails ? 1 : 0, ok: !fails });
    for (const check of report.checks)
      if (check.status === 'fail' || check.status === 'warn') expect(check.fix).toBeTruthy();
  });
});
