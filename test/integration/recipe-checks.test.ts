/** Checks of what a build has made: GPU code in wheels, kernels launched, and what cannot be told. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { execaSync } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Check, PlanDevice } from '../../src/recipe/plan.js';
import { runCommand } from '../../src/recipe/run/command.js';
import { removeHalfInstalled } from '../../src/recipe/run/site-packages.js';
import { verify } from '../../src/recipe/run/verify.js';
import { elf, fatbin } from '../unit/device/elf-file.js';
import { planOf } from './recipe-run-spec.js';

const root = mkdtempSync(join(tmpdir(), 'jsg-recipe-checks-'));
const venv = join(root, 'venv');
const python = join(venv, 'bin/python');
let site = '';
beforeAll(() => {
  execaSync('python3', ['-m', 'venv', venv]);
  site = execaSync(python, ['-c', "import sysconfig; print(sysconfig.get_path('purelib'))"]).stdout;
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const write = (path: string, content: string | Buffer) => {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
};

async function examine(checks: Check[], device: Partial<PlanDevice> = {}) {
  const plan = planOf(null, []);
  const told: string[] = [];
  const verdicts = await verify(
    { ...plan, checks, device: { ...plan.device, ...device } },
    {
      build: root,
      python,
      env: process.env,
      tell: (line) => told.push(line),
      run: (command) =>
        runCommand({
          ...command,
          logPath: join(root, 'log'),
          token: 'checks',
          signal: new AbortController().signal,
        }),
    },
  );
  expect(told).toHaveLength(checks.length);
  return verdicts;
}

/** By file name, the architectures of its fat binary; none: a library without code for a GPU. */
type Libraries = Record<string, { sass?: number[]; ptx?: number[]; isCut?: boolean }>;

function makeWheel(name: string, libraries: Libraries) {
  const folder = join(root, name);
  for (const [file, { sass = [], ptx = [], isCut = false }] of Object.entries(libraries)) {
    const entries = [
      ...sass.map((arch) => ({ kind: 'sass' as const, arch })),
      ...ptx.map((arch) => ({ kind: 'ptx' as const, arch })),
    ];
    const code = fatbin(entries);
    const sections: Record<string, Buffer> =
      entries.length === 0 ? {} : { '.nv_fatbin': isCut ? code.subarray(0, code.length - 8) : code };
    write(join(folder, 'kernels', file), elf({ sections }));
  }
  write(join(folder, 'kernels/__init__.py'), '');
  const wheel = `${name}-1.0-cp310-abi3-linux_aarch64.whl`;
  // It deflates, as wheels are.
  execaSync('python3', ['-m', 'zipfile', '-c', join(root, wheel), 'kernels'], { cwd: folder });
  return { kind: 'sm', file: `${name}-*.whl`, sm: 87 } as const;
}

describe('GPU code in a wheel', () => {
  const orin = { sm: 87, isJetson: true };

  it.each<[string, Libraries, string, string]>([
    ['machine code for the GPU', { 'a.so': { sass: [80, 87] } }, 'passed', 'a.so for sm_80 sm_87; this GPU is sm_87'],
    ['PTX that its driver compiles', { 'a.so': { ptx: [80] } }, 'passed', 'a.so for compute_80'],
    ['code for its discrete relative only', { 'a.so': { sass: [80] } }, 'failed', 'a.so for sm_80; this GPU is sm_87'],
    ['code in one of two', { 'a.so': { sass: [87] }, 'b.so': { sass: [90] } }, 'passed', 'not for it: b.so for sm_90'],
    ['no code at all', { 'a.so': {} }, 'failed', 'has no library with code for a GPU'],
    ['a library that is damaged', { 'a.so': { sass: [80], isCut: true } }, 'unknown', 'not all was read'],
  ])('%s', async (name, libraries, status, detail) => {
    const [verdict] = await examine([makeWheel(name.replace(/\W+/g, '_'), libraries)], orin);
    expect(verdict).toMatchObject({ status, detail: expect.stringContaining(detail) });
  });

  it('is not looked for in a file that is no wheel', async () => {
    write(join(root, 'broken-1.0-py3-none-any.whl'), 'PK but not for long');
    const [verdict] = await examine([{ kind: 'sm', file: 'broken-*.whl', sm: 87 }], orin);
    expect(verdict).toMatchObject({ status: 'failed', detail: expect.stringContaining('is no whole wheel') });
  });
});

describe('a kernel', () => {
  const check = (code: string): Check => ({ kind: 'kernel', title: 'a product', code });
  const torch = (isAvailable: string) => `
class cuda:
    is_available = staticmethod(lambda: ${isAvailable})
    synchronize = staticmethod(lambda: None)
    get_device_name = staticmethod(lambda: 'Orin')
__version__ = '2.8.0'
`;

  it('is skipped without torch, which is said', async () => {
    const [verdict] = await examine([check('pass')]);
    expect(verdict).toMatchObject({ status: 'skipped', detail: expect.stringContaining('jsg build torch') });
  });

  it('passes only where it is launched and its result holds', async () => {
    write(join(site, 'torch/__init__.py'), torch('True'));
    const verdicts = await examine([
      check('import torch\nassert torch.__version__'),
      check("assert False, 'the GPU computes something else'"),
    ]);
    expect(verdicts.map(({ status, detail }) => [status, detail])).toEqual([
      ['passed', 'a product, on Orin'],
      ['failed', 'a product: AssertionError: the GPU computes something else'],
    ]);
    write(join(site, 'torch/__init__.py'), torch('False'));
    const [verdict] = await examine([check('pass')]);
    expect(verdict).toMatchObject({ status: 'failed', detail: expect.stringContaining('finds no GPU') });
    rmSync(join(site, 'torch'), { recursive: true });
  });
});

it('installs again what a killed pip has left half-installed, and leaves alone what is whole', () => {
  const whole = { 'whole/__init__.py': '', 'whole-1.0.dist-info/METADATA': '', 'whole-1.0.dist-info/INSTALLER': 'pip' };
  const record = (name: string) =>
    `${name}/__init__.py,sha256=x,0\n${name}/__pycache__/a.pyc,,\n${name}-1.0.dist-info/RECORD,,\n`;
  for (const [path, text] of Object.entries(whole)) write(join(site, path), text);
  write(join(site, 'whole-1.0.dist-info/RECORD'), record('whole'));
  // Its files were written, and pip had not finished.
  write(join(site, 'half-1.0.dist-info/METADATA'), '');
  write(join(site, 'half-1.0.dist-info/RECORD'), record('half'));
  // It was being replaced: its module lies aside.
  write(join(site, 'aside-1.0.dist-info/INSTALLER'), 'pip');
  write(join(site, 'aside-1.0.dist-info/RECORD'), record('aside'));
  write(join(site, '~side/__init__.py'), '');
  expect(removeHalfInstalled(venv).sort()).toEqual(['aside-1.0', 'half-1.0']);
  expect(removeHalfInstalled(venv)).toEqual([]);
  expect(execaSync(python, ['-m', 'pip', '--version']).exitCode).toBe(0);
});
