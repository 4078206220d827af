import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import type { Device } from '../../../../src/device/device.js';
import { formatCommand, sglangCommand } from '../../../../src/engine/sglang/command.js';
import { FLAG_NAMES, type FlagName, type GivenSettings } from '../../../../src/profile/flags.js';
import { loadProfile } from '../../../../src/profile/profile.js';
import { resolveSettings } from '../../../../src/profile/resolve.js';

const device = { gpu: null } as Device;

function commandOf(profile: string | null, flags: GivenSettings = {}, extra: string[] = []) {
  const { settings, origins } = resolveSettings(profile === null ? null : loadProfile(profile), device, flags);
  const given = new Set<FlagName>(FLAG_NAMES.filter((name) => origins[name] === 'flag' || origins[name] === 'profile'));
  return sglangCommand(settings, given, extra);
}

/** The launch lines of the guide, as it prints them. */
const DOCUMENTED = JSON.parse(
  readFileSync(fileURLToPath(new URL('../../../fixtures/sglang/documented.json', import.meta.url)), 'utf8'),
) as Record<string, string>;

describe('the command of a documented profile', () => {
  it.each(Object.entries(DOCUMENTED))('%s is the documented line, flag for flag and in its order', (profile, line) => {
    const words = formatCommand('python', commandOf(profile)).replaceAll('\\\n', ' ').split(/\s+/);
    expect(words.join(' ')).toBe(line);
  });

  it('is copied as it stands: a flag and its value on a line of its own', () => {
    expect(formatCommand('python', commandOf('triton'))).toBe(
      [
        'python -m sglang.launch_server',
        '--model-path deepseek-ai/DeepSeek-R1-Distill-Llama-8B',
        '--device cuda',
        '--attention-backend triton',
        '--mem-fraction-static 0.8',
        '--context-length 8192',
      ].join(' \\\n  '),
    );
  });
});

describe('a command', () => {
  it('holds what was chosen, not what was left open', () => {
    const { args } = commandOf('triton', { port: 4000, 'max-running-requests': 8, 'disable-cuda-graph': true });
    expect(args.slice(-5)).toEqual(['--max-running-requests', '8', '--disable-cuda-graph', '--port', '4000']);
    expect(args).not.toContain('--chunked-prefill-size');
  });

  it('hands drafts by prompt lookup on under their names', () => {
    const { args } = commandOf('triton', {
      'speculative-algorithm': 'NGRAM',
      'speculative-num-draft-tokens': 8,
      'speculative-ngram-max-trie-depth': 12,
    });
    expect(args.join(' ')).toContain(
      '--speculative-algorithm NGRAM --speculative-num-draft-tokens 8 --speculative-ngram-max-trie-depth 12',
    );
  });

  it('hands the prefix cache and priorities on, and refuses what SGLang has not', () => {
    const { args } = commandOf('triton', {
      'disable-radix-cache': true,
      'enable-priority-scheduling': true,
      'schedule-low-priority-values-first': true,
    });
    for (const name of ['disable-radix-cache', 'enable-priority-scheduling', 'schedule-low-priority-values-first']) {
      expect(args).toContain(`--${name}`);
    }
    expect(() => commandOf('triton', { 'session-file': 'a.kv' })).toThrow('--session-file is of the native engine');
    expect(() => commandOf('triton', { 'max-queued-tokens': 9 })).toThrow(
      '--max-queued-tokens is of the native engine',
    );
  });

  it('ends with the flags that jsg does not know', () => {
    const { args } = commandOf('triton', {}, ['--enable-metrics', '--schedule-policy', 'lpm']);
    expect(args.slice(-3)).toEqual(['--enable-metrics', '--schedule-policy', 'lpm']);
  });

  it('leaves the choice to SGLang where auto is asked for', () => {
    expect(commandOf('triton', { 'attention-backend': 'auto' }).args).not.toContain('--attention-backend');
  });

  it('never holds a key, printed or run', () => {
    const command = commandOf('triton', { 'api-key': 's3cret' });
    expect(command.args.join(' ')).not.toContain('s3cret');
    expect(formatCommand('python', command)).toMatch(/--api-key "\$JSG_API_KEY"$/);
    expect(command.apiKey).toBe('s3cret');
    expect(commandOf('triton', { 'api-key': 'first,second' }).apiKey).toBe('first');
  });

  it('is quoted for a shell where it must be', () => {
    const text = formatCommand('python', commandOf(null, { 'model-path': "/models/it's mine" }));
    expect(text).toContain("--model-path '/models/it'\\''s mine'");
  });

  it('of several nodes has their flags', () => {
    const { args } = commandOf('two-orin-tp2', { 'node-rank': 1, 'dist-init-addr': '10.0.0.1:20000' });
    expect(args.join(' ')).toContain('--tp-size 2 --nnodes 2 --node-rank 1 --dist-init-addr 10.0.0.1:20000');
  });

  it.each<[string, GivenSettings, string[], string]>([
    ['no model', { 'model-path': undefined }, [], '--engine sglang needs a model'],
    ['the embedded model', { 'model-path': 'smollm2' }, [], "native engine's embedded model"],
    ['a flag of the native engine', { 'num-threads': 2 }, [], '--num-threads is of the native engine'],
    ['its page', { 'no-ui': true }, [], '--no-ui is of the native engine'],
    ['a port after --', {}, ['--port=1'], '--port belongs before the --'],
    ['a short name after --', {}, ['--tp', '2'], '--tp belongs before the --'],
    ['a flag given twice', { 'context-length': 1 }, ['--context-length', '2'], '--context-length is given twice'],
    ['a word after --', {}, ['serve'], "'serve' after -- is no flag"],
    ['a rank beyond the nodes', { nnodes: 2, 'node-rank': 2 }, [], '--node-rank 2 is none of the 2'],
    ['nodes without a meeting point', { nnodes: 2 }, [], '--nnodes 2 needs --dist-init-addr'],
    ['half an address', { 'dist-init-addr': '10.0.0.1' }, [], "'10.0.0.1' is not HOST:PORT"],
    ['a port that is none', { 'dist-init-addr': '10.0.0.1:99999' }, [], 'is not HOST:PORT'],
    [
      'GPUs that cannot be shared',
      { nnodes: 2, 'tp-size': 1, 'dist-init-addr': 'a:1' },
      [],
      'cannot be shared by --nnodes 2',
    ],
  ])('is refused: %s', (_, flags, extra, message) => {
    const model = 'model-path' in flags ? {} : { 'model-path': 'org/model' };
    expect(() => commandOf(null, { ...model, ...flags }, extra)).toThrow(message);
  });
});
