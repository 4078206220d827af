import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { SHARED } from '../../../../src/engine/sglang/command.js';
import { checkArguments, type InstalledSglang } from '../../../../src/engine/sglang/known-flags.js';

const flag = (names: string, choices: string[] | null = null, takes_value = true) => ({
  names: names.split(' '),
  choices,
  takes_value,
});

const installed: InstalledSglang = {
  version: '0.5.23',
  torchao: null,
  flags: [
    flag('--model-path --model'),
    flag('--context-length'),
    flag('--attention-backend', ['flashinfer', 'triton', 'torch_native', 'fa3']),
    flag('--cuda-graph-bs'),
    flag('--enable-metrics', null, false),
  ],
  missing_torchao: null,
};

describe('arguments for the SGLang that is installed', () => {
  it.each([
    [['--model', 'm', '--attention-backend', 'fa3', '--enable-metrics', '--context-length=8192']],
    [['--cuda-graph-bs', '1', '2', '4']],
    // argparse takes abbreviations.
    [['--attention', 'triton']],
    // A value may begin with one dash.
    [['--context-length', '-1']],
  ])('%j are taken', (args) => {
    expect(() => checkArguments(args, installed)).not.toThrow();
  });

  it.each([
    [['--contxt-length', '1'], 'SGLang 0.5.23 has no flag --contxt-length', 'Did you mean --context-length?'],
    [['--torchao-config', 'int4wo-128'], 'SGLang 0.5.23 has no flag --torchao-config', 'It went with SGLang 0.5.x'],
    [
      ['--attention-backend', 'flash'],
      "SGLang 0.5.23 does not take 'flash'",
      'It takes flashinfer, triton, torch_native, fa3.',
    ],
    [['--attention-backend=tritn'], "does not take 'tritn'", 'Did you mean --attention-backend triton?'],
    [['--quite-unknown'], 'has no flag --quite-unknown', 'Leave it out'],
  ])('%j are explained', (args, message, hint) => {
    expect(faultOf(args, installed)).toMatchObject({ code: 'E_USAGE', message: expect.stringContaining(message) });
    expect(faultOf(args, installed).hint).toContain(hint);
  });

  it('a TorchAO that lacks what this SGLang imports is told before minutes of loading', () => {
    const broken = {
      ...installed,
      flags: [...installed.flags, flag('--torchao-config')],
      torchao: '0.18.0',
      missing_torchao: ['torchao.quantization.int4_weight_only'],
    };
    const fault = faultOf(['--torchao-config', 'int4wo-128'], broken);
    expect(fault.message).toContain('TorchAO 0.18.0 has no torchao.quantization.int4_weight_only');
    expect(fault.hint).toContain('torchao==0.9.0');
    expect(() => checkArguments(['--model', 'm'], broken)).not.toThrow();
  });
});

function faultOf(args: string[], of: InstalledSglang) {
  try {
    checkArguments(args, of);
  } catch (error) {
    return error as { code: string; message: string; hint: string };
  }
  throw new Error(`${args} were taken`);
}

/** Flags of real releases, as test/oracle/sglang_flags.py read them from their own parsers. */
const fixture = (name: string) =>
  JSON.parse(readFileSync(fileURLToPath(new URL(`../../../fixtures/sglang/${name}`, import.meta.url)), 'utf8'));
const released = (version: string): InstalledSglang => ({
  ...fixture(`flags-${version}.json`),
  torchao: '0.9.0',
  missing_torchao: null,
});

describe('the documented launches', () => {
  const lines = Object.entries(fixture('documented.json') as Record<string, string>);
  const argumentsOf = (line: string) => line.split(' ').slice(3);

  it.each(lines)('%s is taken by SGLang 0.4.2', (_, line) => {
    expect(() => checkArguments(argumentsOf(line), released('0.4.2'))).not.toThrow();
  });

  it.each(lines)('%s: SGLang 0.5.23 lacks --torchao-config, and nothing else', (_, line) => {
    const args = argumentsOf(line);
    if (!line.includes('--torchao-config')) {
      expect(() => checkArguments(args, released('0.5.23'))).not.toThrow();
      return;
    }
    expect(faultOf(args, released('0.5.23')).message).toBe('SGLang 0.5.23 has no flag --torchao-config');
    const at = args.indexOf('--torchao-config');
    expect(() => checkArguments(args.toSpliced(at, 2), released('0.5.23'))).not.toThrow();
  });

  it('every flag that jsg passes on is one of 0.4.2 or of 0.5.23', () => {
    const known = ['0.4.2', '0.5.23'].flatMap((version) => released(version).flags.flatMap(({ names }) => names));
    expect(SHARED.map((name) => `--${name}`).filter((name) => !known.includes(name))).toEqual([]);
  });
});
