/** Settings as the command line of SGLang. Pure. */
import { JsgError } from '../../errors.js';
import type { FlagName, Settings } from '../../profile/flags.js';
import { quoteWord } from '../../shell.js';
import { clientKeyOf } from '../address.js';

/** Flags that SGLang has under the same name, in the order of the guide's launch lines, then by what they are about. */
export const SHARED = [
  'model-path',
  'device',
  'dtype',
  'attention-backend',
  'mem-fraction-static',
  'context-length',
  'torchao-config',
  'quantization',
  'grammar-backend',
  'revision',
  'tokenizer-path',
  'skip-tokenizer-init',
  'load-format',
  'chat-template',
  'served-model-name',
  'tool-call-parser',
  'reasoning-parser',
  'kv-cache-dtype',
  'max-total-tokens',
  'max-running-requests',
  'max-queued-requests',
  'enable-priority-scheduling',
  'schedule-low-priority-values-first',
  'chunked-prefill-size',
  'disable-radix-cache',
  'speculative-algorithm',
  'speculative-num-draft-tokens',
  'speculative-ngram-max-trie-depth',
  'disable-cuda-graph',
  'tp-size',
  'dp-size',
  'nnodes',
  'node-rank',
  'dist-init-addr',
  'host',
  'port',
  'log-level',
] as const satisfies readonly FlagName[];

/** What only the native runtime does: refused where it is asked for, never left out in silence. */
const NATIVE_ONLY = [
  'lm-head-dtype',
  'prefill-dtype',
  'max-queued-tokens',
  'session-file',
  'num-threads',
  'strict-model-name',
  'cors-origin',
  'idle-unload',
  'no-ui',
] as const satisfies readonly FlagName[];

/** What jsg itself must know of a server that it supervises, under every name that SGLang has for it. */
const SUPERVISED: Record<string, FlagName> = {
  '--host': 'host',
  '--port': 'port',
  '--api-key': 'api-key',
  '--model-path': 'model-path',
  '--model': 'model-path',
  '--nnodes': 'nnodes',
  '--node-rank': 'node-rank',
  '--dist-init-addr': 'dist-init-addr',
  '--nccl-init-addr': 'dist-init-addr',
  '--tp-size': 'tp-size',
  '--tp': 'tp-size',
  '--tensor-parallel-size': 'tp-size',
  '--dp-size': 'dp-size',
  '--dp': 'dp-size',
  '--data-parallel-size': 'dp-size',
};

export interface SglangCommand {
  /** After `python -m sglang.launch_server`: never holds a key. */
  args: string[];
  apiKey: string | null;
}

/** What SGLang names otherwise, or does by leaving the flag out. */
function valueFor(name: (typeof SHARED)[number], settings: Settings): string | null {
  const value = settings[name];
  if (value === null) return null;
  // SGLang chooses by itself where no backend is named; `auto` is no value of its.
  if (name === 'attention-backend' && value === 'auto') return null;
  if (name === 'tool-call-parser' && value === 'deepseek') return 'deepseekv3';
  return String(value);
}

/**
 * `given`: the settings that the user or the profile chose; what they left open SGLang decides itself. `extra`: further
 * flags, passed on as they are. Throws E_USAGE for what SGLang cannot be asked for.
 */
export function sglangCommand(settings: Settings, given: ReadonlySet<FlagName>, extra: string[]): SglangCommand {
  for (const name of NATIVE_ONLY) {
    if (given.has(name)) throw new JsgError('E_USAGE', `--${name} is of the native engine: SGLang has nothing like it`);
  }
  requireModelOfSglang(settings['model-path']);
  requireNodes(settings);
  const args = SHARED.filter((name) => given.has(name)).flatMap((name) => {
    const value = valueFor(name, settings);
    if (value === null || value === 'false') return [];
    return value === 'true' ? [`--${name}`] : [`--${name}`, value];
  });
  requireApart(extra, new Set(args));
  return { args: [...args, ...extra], apiKey: clientKeyOf(settings) };
}

function requireModelOfSglang(path: string | null): void {
  if (path === null) {
    throw new JsgError('E_USAGE', '--engine sglang needs a model', {
      hint: 'Add --profile flashinfer-fp16 (`jsg profiles` lists all), or --model-path.',
    });
  }
  if (path === 'smollm2') {
    throw new JsgError('E_USAGE', "`smollm2` is the native engine's embedded model: SGLang does not know it", {
      hint: 'Take --model-path HuggingFaceTB/SmolLM2-135M-Instruct.',
    });
  }
}

/** SGLang itself would wait for ever, or fail an assertion. */
function requireNodes(settings: Settings): void {
  const { nnodes, 'node-rank': rank, 'dist-init-addr': address, 'tp-size': tp, 'dp-size': dp } = settings;
  if (rank >= nnodes) {
    throw new JsgError('E_USAGE', `--node-rank ${rank} is none of the ${nnodes} of --nnodes: they count from 0`);
  }
  if (nnodes > 1 && address === null) {
    throw new JsgError('E_USAGE', `--nnodes ${nnodes} needs --dist-init-addr: where the machines meet`, {
      hint: 'An address of node 0 and a free port there: --dist-init-addr 10.0.0.1:20000',
    });
  }
  if (address !== null) requireAddress(address);
  if (nnodes > 1 && (tp * dp) % nnodes !== 0 && tp % nnodes !== 0) {
    throw new JsgError('E_USAGE', `--tp-size ${tp} cannot be shared by --nnodes ${nnodes}`, {
      hint: `Take --tp-size ${nnodes} where each machine has one GPU.`,
    });
  }
}

function requireAddress(address: string): void {
  const port = Number(/^(?:\[[0-9A-Fa-f:.]+\]|[^\s:]+):(\d{1,5})$/.exec(address)?.[1]);
  if (port >= 1 && port <= 65535) return;
  throw new JsgError('E_USAGE', `--dist-init-addr: '${address}' is not HOST:PORT`, {
    hint: 'For example 10.0.0.1:20000, or [fd00::1]:20000.',
  });
}

/** A flag given twice would leave SGLang with one value and jsg with another. */
function requireApart(extra: string[], passed: ReadonlySet<string>): void {
  const first = extra[0];
  if (first !== undefined && !first.startsWith('-')) {
    throw new JsgError('E_USAGE', `'${first}' after -- is no flag`, { hint: 'For example: -- --enable-metrics' });
  }
  for (const argument of extra) {
    const flag = argument.split('=')[0] ?? '';
    const own = Object.hasOwn(SUPERVISED, flag) ? SUPERVISED[flag] : undefined;
    if (own !== undefined) {
      throw new JsgError('E_USAGE', `${flag} belongs before the --`, { hint: `Write --${own} as a flag of jsg.` });
    }
    if (flag.startsWith('--') && passed.has(flag)) {
      throw new JsgError('E_USAGE', `${flag} is given twice: before and after the --`, {
        hint: 'Leave one of them out.',
      });
    }
  }
}

/** `python`: what stands for it on the line. One flag and its value a line, as the guide writes it. */
export function formatCommand(python: string, { args, apiKey }: SglangCommand): string {
  const lines: string[] = [];
  for (const argument of args) {
    const isValue = !argument.startsWith('--') && lines.length > 0;
    if (isValue) lines[lines.length - 1] += ` ${quoteWord(argument)}`;
    else lines.push(quoteWord(argument));
  }
  // The shell puts the key in its place; here nobody reads it.
  if (apiKey !== null) lines.push('--api-key "$JSG_API_KEY"');
  return [`${quoteWord(python)} -m sglang.launch_server`, ...lines].join(' \\\n  ');
}
