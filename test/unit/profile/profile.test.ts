import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { JsgError } from '../../../src/errors.js';
import {
  findProfile,
  listProfiles,
  loadProfile,
  parseProfile,
  profileDirectories,
} from '../../../src/profile/profile.js';

/** What a thrown JsgError says. */
function faultOf(act: () => unknown): { code: string; message: string; hint: string | undefined } {
  try {
    act();
  } catch (error) {
    if (error instanceof JsgError) return { code: error.code, message: error.message, hint: error.hint };
    throw error;
  }
  throw new Error('nothing was thrown');
}

const parse = (text: string) => parseProfile(text, 'p.yaml');

describe('parseProfile', () => {
  it('takes flags by name', () => {
    const profile = parse('description: mine\nmodel-path: smollm2\nport: 8000\nskip-tokenizer-init: true\n');
    expect(profile).toMatchObject({ name: 'p', description: 'mine', reference: null });
    expect(profile.settings).toEqual({ 'model-path': 'smollm2', port: 8000, 'skip-tokenizer-init': true });
  });

  it.each([
    [
      'an unknown key',
      'description: x\nmodle-path: y\n',
      "p.yaml:2: unknown key 'modle-path': did you mean 'model-path'?",
    ],
    [
      'an underscore',
      'description: x\n\nmem_fraction_static: 0.8\n',
      "p.yaml:3: unknown key 'mem_fraction_static': did you mean 'mem-fraction-static'?",
    ],
    [
      'a nested unknown key',
      'description: x\nreference:\n  board: b\n  gen_throughput: 1\n  source: s\n  sauce: t\n',
      "p.yaml:6: unknown key 'reference.sauce': did you mean 'source'?",
    ],
    [
      'a wrong type',
      'description: x\nport: "30000"\n',
      `p.yaml:2: 'port': "30000" is not a whole number from 0 to 65535`,
    ],
    ['a fraction', 'description: x\nport: 1.5\n', "p.yaml:2: 'port': 1.5 is not a whole number from 0 to 65535"],
    [
      'a value out of range',
      'description: x\nmem-fraction-static: 1.2\n',
      "p.yaml:2: 'mem-fraction-static': 1.2 is not a number from 0.01 to 1",
    ],
    [
      'an unknown choice',
      'description: x\ndtype: fp16\n',
      `p.yaml:2: 'dtype': "fp16" is not one of auto, half, float16, bfloat16, float32`,
    ],
    [
      'a wrong group size',
      'description: x\ntorchao-config: int4wo-100\n',
      '\'torchao-config\': "int4wo-100" is not one of int4wo-32, int4wo-64, int4wo-128, int4wo-256, int8wo, int8dq, fp8wo, fp8dq-per_row; int4wo groupsize needs to be one of [32, 64, 128, 256] but got 100',
    ],
    ['a null', 'description: x\nhost:\n', "p.yaml:2: 'host': null is not some text"],
    ['no description', 'model-path: x\n', "p.yaml:1: 'description' is missing"],
    [
      'a reference without a source',
      'description: x\nreference:\n  board: b\n  gen_throughput: 1\n',
      "p.yaml:2: 'reference.source' is missing",
    ],
    [
      'a reference that is no figure',
      'description: x\nreference:\n  board: b\n  gen_throughput: fast\n  source: s\n',
      `p.yaml:4: 'reference.gen_throughput': "fast" is not a number above 0`,
    ],
    ['a list', '- a\n- b\n', 'p.yaml:1: a profile is a mapping of keys to values'],
    ['nothing', '', 'p.yaml:1: a profile is a mapping'],
    ['a key twice', 'description: x\nport: 1\nport: 2\n', 'p.yaml:3: Map keys must be unique'],
    ['broken YAML', 'description: "x\n', 'p.yaml:'],
  ])('refuses %s', (_, text, message) => {
    const fault = faultOf(() => parse(text));
    expect(fault.code).toBe('E_PROFILE_INVALID');
    expect(fault.message).toContain(message);
  });

  it('tells all faults, each on its line', () => {
    const { message } = faultOf(() => parse('description: x\nport: no\ndevise: cpu\n'));
    expect(message.split('\n')).toHaveLength(2);
    expect(message).toContain('p.yaml:2:');
    expect(message).toContain("p.yaml:3: unknown key 'devise': did you mean 'device'?");
  });

  it('does not expand aliases without bound', () => {
    const levels = 'abcdefgh'.split('').map((letter, i, all) => {
      const inner = i === 0 ? '"x"' : `*${all[i - 1]}`;
      return `${letter}: &${letter} [${Array(9).fill(inner).join(',')}]`;
    });
    expect(faultOf(() => parse(levels.join('\n'))).code).toBe('E_PROFILE_INVALID');
  });

  it('never repeats a key that is secret', () => {
    expect(faultOf(() => parse('description: x\napi-key: 12345678\n')).message).not.toContain('12345678');
  });
});

describe('profiles in folders', () => {
  let base = '';
  let directories: string[] = [];
  beforeAll(() => {
    base = mkdtempSync(join(tmpdir(), 'jsg-profiles-'));
    directories = profileDirectories({ XDG_CONFIG_HOME: base });
    mkdirSync(join(base, 'jsg', 'profiles'), { recursive: true });
    writeFileSync(join(base, 'jsg', 'profiles', 'smollm2.yaml'), 'description: my own\nport: 1\n');
    writeFileSync(join(base, 'jsg', 'profiles', 'notes.txt'), 'not a profile');
  });
  afterAll(() => rmSync(base, { recursive: true, force: true }));

  it("finds the shipped ones, and a user's own first", () => {
    const names = listProfiles(directories).map((path) => path.split('/').at(-1));
    expect(names).toEqual([
      'flashinfer-fp16.yaml',
      'flashinfer-int4wo-128.yaml',
      'smollm2.yaml',
      'torch-native.yaml',
      'triton.yaml',
      'two-orin-tp2.yaml',
      'xgrammar-int4wo-128.yaml',
    ]);
    expect(loadProfile('smollm2', directories).description).toBe('my own');
  });

  it('takes a path', () => {
    const path = join(base, 'jsg', 'profiles', 'smollm2.yaml');
    expect(findProfile(path, [])).toBe(path);
  });

  it('names the nearest where there is none', () => {
    const fault = faultOf(() => findProfile('flashinfer-f16', directories));
    expect(fault).toMatchObject({ code: 'E_PROFILE_NOT_FOUND', hint: 'Did you mean flashinfer-fp16?' });
    expect(faultOf(() => findProfile('./none.yaml', directories)).message).toMatch(/no profile file \/.*none\.yaml/);
  });
});

/** The launches of the source document, flag by flag. */
const DEEPSEEK = 'deepseek-ai/DeepSeek-R1-Distill-Llama-8B';
const LLAMA = 'meta-llama/Meta-Llama-3.1-8B-Instruct';
const COMMON = { device: 'cuda', 'mem-fraction-static': 0.8, 'context-length': 8192 };

describe('the documented profiles', () => {
  const INT4 = { ...COMMON, 'model-path': LLAMA, dtype: 'bfloat16', 'torchao-config': 'int4wo-128' };
  it.each([
    ['flashinfer-fp16', { ...COMMON, 'model-path': DEEPSEEK, dtype: 'half', 'attention-backend': 'flashinfer' }, 11.19],
    ['torch-native', { ...COMMON, 'model-path': DEEPSEEK, 'attention-backend': 'torch_native' }, 8.04],
    ['triton', { ...COMMON, 'model-path': DEEPSEEK, 'attention-backend': 'triton' }, 11.34],
    ['flashinfer-int4wo-128', { ...INT4, 'attention-backend': 'flashinfer' }, 30.84],
    ['xgrammar-int4wo-128', { ...INT4, 'attention-backend': 'triton', 'grammar-backend': 'xgrammar' }, undefined],
  ])('%s launches exactly as documented', (name, settings, throughput) => {
    const profile = loadProfile(name, profileDirectories({ XDG_CONFIG_HOME: '/nonexistent' }));
    expect(profile.settings).toEqual(settings);
    expect(profile.reference?.gen_throughput).toBe(throughput);
  });
});
