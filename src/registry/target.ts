/** Whose wheels: the Python and the machine that are here, or those that a path of the index is for. */
import type { Source } from '../device/source.js';
import { type IndexTable, indexTable, kernelName } from '../device/wheel-index.js';
import type { Target } from './tags.js';

/** What the interpreter says of itself; of the C library too, which decides on manylinux. */
const ASK = `
import json, os, platform, sys
try:
    libc = os.confstr('CS_GNU_LIBC_VERSION')
except (AttributeError, ValueError, OSError):
    libc = None
print(json.dumps({'python': '%d.%d' % sys.version_info[:2], 'machine': platform.machine(), 'libc': libc}))
`;

/** The target of an interpreter (a path, or a name on PATH); null: it does not run. */
export async function targetOfPython({ run }: Source, python = 'python3'): Promise<Target | null> {
  const output = await run(python, ['-B', '-I', '-c', ASK], 5_000);
  try {
    const told = JSON.parse(output?.stdout.trim().split('\n').at(-1) ?? '') as Record<string, unknown>;
    if (typeof told.python !== 'string' || typeof told.machine !== 'string') return null;
    const glibc = /^glibc (\d+\.\d+)/.exec(String(told.libc))?.[1] ?? null;
    return { python: told.python, machine: kernelName(told.machine), glibc };
  } catch {
    return null;
  }
}

/** What a board of this path has by its JetPack: `jp6/cu126` -> Python 3.10 on aarch64 with glibc 2.35. */
export function targetOfPath(path: string, { jetson }: IndexTable = indexTable()): Target {
  const [platform] = path.split('/');
  const line = jetson.find((entry) => entry.path === platform) ?? jetson[0];
  const machine = platform === 'amd64' ? 'x86_64' : 'aarch64';
  return { python: line?.python ?? '3.12', machine, glibc: line?.glibc ?? null };
}
