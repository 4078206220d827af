/** `jsg plan` as it is typed: exit codes, and errors that a script can read. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { run } from '../../../src/cli.js';

let stdout = '';
let stderr = '';
beforeEach(() => {
  [stdout, stderr] = ['', ''];
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    stdout += text;
    return true;
  });
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    stderr += text;
    return true;
  });
});
afterEach(() => vi.restoreAllMocks());

const plan = (line: string) => run(['node', 'jsg', 'plan', ...line.split(' ').filter(Boolean)]);

it.each([
  ['--profile flashinfer-fp16 --board agx-orin-64gb', 0],
  ['--profile flashinfer-fp16 --board orin-nano-8gb', 1],
  ['--profile flashinfer-int4wo-128 --board orin-nx-16gb --context-length 4096 --streams 2', 0],
  ['--profile flashinfer-int4wo-128 --board orin-nx-16gb --quant none', 1],
  ['--profile flashinfer-int4wo-128 --board orin-nano-8gb --lm-head-dtype int8 --no-desktop', 1],
  ['--model-path meta-llama/Llama-3.2-1B-Instruct --board orin-nano-8gb-super --power-mode 15W', 0],
])('%s: exit %i', async (line, code) => {
  expect(await plan(line)).toBe(code);
  expect(stdout).toMatch(code === 0 ? /\nIt fits: / : /\nIt does not fit: /);
  expect(stderr).toBe('');
});

it.each([
  ['--board orin-nanno-8gb', /is not known/, 'Did you mean --board orin-nano-8gb?'],
  ['--model-path nobody/nothing --board thor', /its shape is not known/, 'config.json'],
  ['--board thor --this', /exclude each other/, ''],
  ['--power-mode MAXN', /--power-mode goes with --board/, ''],
  ['--board thor --power-mode 25W', /has no mode '25W'/, ''],
  ['--board thor --quant int4wo-12', /--quant: 'int4wo-12' is not one of none, /, 'Did you mean --quant int4wo-128?'],
  ['--board thor --lm-head-dtype int9', /--lm-head-dtype: 'int9' is not one of auto, bf16, int8, int4/, ''],
  ['--board thor --streams 0', /--streams: '0' is not a whole number/, ''],
  ['--board thor --streams 1e9', /--streams/, ''],
  ['--profile triton --board thor --context-length 200000', /more than the 131072/, ''],
  ['--root /no/such/folder', /there is no folder/, ''],
])('%s: cannot be told', async (line, message, hint) => {
  expect(await plan(line)).toBe(2);
  expect(stdout).toBe('');
  expect(stderr).toMatch(message);
  expect(stderr).toContain(hint);
});

it('--json of what cannot be told', async () => {
  expect(await plan('--board thor --model-path nobody/nothing --json')).toBe(2);
  expect(JSON.parse(stdout)).toMatchObject({ verdict: 'unknown', fits: null, error: { code: 'E_MODEL_NOT_FOUND' } });
});

it('--json of a plan', async () => {
  expect(await plan('--board orin-nano-8gb --profile triton --json')).toBe(1);
  expect(JSON.parse(stdout)).toMatchObject({ verdict: 'does not fit', board: 'orin-nano-8gb', backend: 'cuda' });
});

it('this machine, without a board', async () => {
  expect(await plan('--profile smollm2 --json')).toBe(0);
  const { board, backend, memory } = JSON.parse(stdout);
  expect([board, backend]).toEqual([null, 'cpu']);
  expect(memory.available).toBeGreaterThan(0);
});
