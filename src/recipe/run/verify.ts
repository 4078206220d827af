/** Proves what a build has made: the file, its contents, and that a clean interpreter takes it. Each check tells what it saw. */
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { execa } from 'execa';
import { readWheelEntries } from '../../device/wheel-file.js';
import { parseWheelName } from '../../device/wheel-name.js';
import type { Check } from '../plan.js';
import { newestMatch } from './files.js';

/** `unknown`: the check is not one that this part of the runner can make. */
export interface Verdict {
  check: Check;
  status: 'passed' | 'failed' | 'unknown';
  /** What was seen: `demo-0.2.0-py3-none-any.whl, 3.2 MB`. */
  detail: string;
}

const TIMEOUT_MS = 5 * 60_000;
const TAGS = "from pip._vendor.packaging.tags import sys_tags; print(*sys_tags(), sep='\\n')";

/** `venv`: whose Python is asked. Never throws for what an artefact is like. */
export async function verify(checks: Check[], build: string, venv: string): Promise<Verdict[]> {
  const verdicts: Verdict[] = [];
  for (const check of checks) {
    const fault = await examine(check, build, venv).catch((error: unknown) => failed(String(error)));
    verdicts.push({ check, ...fault });
  }
  return verdicts;
}

type Finding = Omit<Verdict, 'check'>;
const passed = (detail: string): Finding => ({ status: 'passed', detail });
const failed = (detail: string): Finding => ({ status: 'failed', detail });

async function examine(check: Check, build: string, venv: string): Promise<Finding> {
  if (check.kind === 'wheel') return examineWheel(check, build, venv);
  if (check.kind === 'contents') return examineContents(check, build);
  if (check.kind === 'import') return examineImport(check, venv);
  return { status: 'unknown', detail: `${check.kind}: not looked at` };
}

async function examineWheel({ file, minBytes }: Extract<Check, { kind: 'wheel' }>, build: string, venv: string) {
  const path = newestMatch(build, file);
  if (path === null) return failed(`no file matches ${file}`);
  const name = parseWheelName(basename(path));
  if (name === null || readWheelEntries(path) === null) return failed(`${path} is no whole wheel`);
  const bytes = statSync(path).size;
  if (bytes < minBytes)
    return failed(`${path} has ${bytes} bytes, at least ${minBytes} are expected: it is not complete`);
  const asked = await python(venv, TAGS);
  if (asked.exitCode !== 0) return failed(`its Python does not tell what it takes: ${asked.tail}`);
  const supported = new Set(asked.stdout.split('\n'));
  if (!name.tags.some((tag) => supported.has(tag))) {
    return failed(`${path} is for ${name.tags.join(', ')}, which this Python or machine does not take`);
  }
  return passed(`${path}, ${bytes} bytes`);
}

function examineContents({ file, prefix, count }: Extract<Check, { kind: 'contents' }>, build: string): Finding {
  const path = newestMatch(build, file);
  if (path === null) return failed(`no file matches ${file}`);
  const entries = readWheelEntries(path);
  if (entries === null) return failed(`${path} is no whole wheel`);
  const found = entries.filter(({ name }) => name.startsWith(prefix) && !name.endsWith('/')).length;
  const detail = `${found} files under ${prefix} in ${path}`;
  return found >= count ? passed(detail) : failed(`${detail}, at least ${count} are expected`);
}

async function examineImport({ module, version }: Extract<Check, { kind: 'import' }>, venv: string): Promise<Finding> {
  // By argument, so that no name of a module is taken for code.
  const code =
    "import importlib, sys; m = importlib.import_module(sys.argv[1]); print('\\n' + str(getattr(m, '__version__', '')))";
  const { exitCode, stdout, tail } = await python(venv, code, module);
  if (exitCode !== 0) return failed(`import ${module}: ${tail}`);
  const found = stdout.trimEnd().split('\n').at(-1) ?? '';
  // Many packages have no __version__; a local part (+cu126) is no other version.
  const isOther = version !== null && found !== '' && found.split('+')[0] !== version.split('+')[0];
  return isOther ? failed(`${module} is ${found}, not ${version}`) : passed(`${module} ${found}`.trim());
}

/** Isolated from the user's packages and variables, in an empty folder: nothing of the build can be imported by accident. */
async function python(venv: string, code: string, ...args: string[]) {
  const cwd = mkdtempSync(join(tmpdir(), 'jsg-verify-'));
  try {
    const result = await execa(join(venv, 'bin', 'python'), ['-I', '-c', code, ...args], {
      cwd,
      env: { LC_ALL: 'C' },
      stdin: 'ignore',
      timeout: TIMEOUT_MS,
      forceKillAfterDelay: 1000,
      maxBuffer: 2 ** 22,
      reject: false,
    });
    const tail = result.timedOut ? 'no answer in time' : (`${result.stderr}`.trimEnd().split('\n').at(-1) ?? '');
    return { exitCode: result.exitCode ?? null, stdout: `${result.stdout}`, tail };
  } finally {
    rmSync(cwd, { recursive: true, force: true });
  }
}
