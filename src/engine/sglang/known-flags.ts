/** Does the SGLang that is installed have the flags of a command? Pure. */
import { JsgError } from '../../errors.js';
import { nearest } from '../../nearest.js';

export interface KnownFlag {
  names: string[];
  choices: string[] | null;
  takes_value: boolean;
}

export interface InstalledSglang {
  /** Null: installed without metadata, as from a checkout. */
  version: string | null;
  torchao: string | null;
  flags: KnownFlag[];
  /** What SGLang imports from TorchAO and the installed one lacks; null: nothing, or nobody asked. */
  missing_torchao: string[] | null;
}

/** Flags that went away, with what came instead. */
const GONE: Record<string, string> = {
  '--torchao-config':
    'It went with SGLang 0.5.x: take an SGLang that has it (0.4.2 is the one of the guide), the native engine, or a quantised checkpoint.',
};

/** Throws E_USAGE naming the first argument that this SGLang would refuse, or would fail on later. */
export function checkArguments(args: string[], installed: InstalledSglang): void {
  const sglang = `SGLang ${installed.version ?? '(of a checkout)'}`;
  const byName = new Map(installed.flags.flatMap((flag) => flag.names.map((name) => [name, flag] as const)));
  for (let index = 0; index < args.length; index++) {
    const argument = args[index] as string;
    if (!argument.startsWith('--')) continue;
    const [name = '', inline] = splitOnce(argument);
    const flag = byName.get(name) ?? abbreviated(name, byName);
    if (flag === null) throw unknown(name, sglang, [...byName.keys()]);
    if (!flag.takes_value) continue;
    const values = inline === undefined ? valuesAfter(args, index) : [inline];
    if (values.length === 0) continue;
    for (const value of values) requireChoice(name, value, flag, sglang);
    if (inline === undefined) index += values.length;
  }
  requireTorchao(args, installed, sglang);
}

const splitOnce = (argument: string) => {
  const at = argument.indexOf('=');
  return at < 0 ? [argument] : [argument.slice(0, at), argument.slice(at + 1)];
};

const valuesAfter = (args: string[], index: number) => {
  const rest = args.slice(index + 1);
  const end = rest.findIndex((argument) => argument.startsWith('--'));
  return end < 0 ? rest : rest.slice(0, end);
};

/** argparse takes the beginning of a name where it is the beginning of one only. */
function abbreviated(name: string, byName: Map<string, KnownFlag>): KnownFlag | null {
  const flags = new Set([...byName].filter(([known]) => known.startsWith(name)).map(([, flag]) => flag));
  return flags.size === 1 ? ([...flags][0] ?? null) : null;
}

function unknown(name: string, sglang: string, known: string[]): JsgError {
  const near = nearest(name, known);
  const hint = GONE[name] ?? (near === null ? undefined : `Did you mean ${near}?`);
  return new JsgError('E_USAGE', `${sglang} has no flag ${name}`, {
    hint: hint ?? 'Leave it out, or take another SGLang.',
  });
}

function requireChoice(name: string, value: string, { choices }: KnownFlag, sglang: string): void {
  if (choices === null || choices.includes(value)) return;
  const near = nearest(value, choices);
  const hint =
    near === null ? `It takes ${choices.join(', ')}.` : `Did you mean ${name} ${near}? It takes ${choices.join(', ')}.`;
  throw new JsgError('E_USAGE', `${name}: ${sglang} does not take '${value}'`, { hint });
}

function requireTorchao(args: string[], { torchao, missing_torchao: missing }: InstalledSglang, sglang: string): void {
  if (missing === null || !args.some((argument) => argument.split('=')[0] === '--torchao-config')) return;
  const what = torchao === null ? 'TorchAO is not installed' : `TorchAO ${torchao} has no ${missing.join(', ')}`;
  throw new JsgError('E_USAGE', `--torchao-config does not work with this ${sglang}: ${what}`, {
    hint: "Take the TorchAO of that SGLang's time: python -m pip install --no-deps 'torchao==0.9.0' (torch 2.6; 0.7 for 2.5, 0.11 for 2.7).",
  });
}
