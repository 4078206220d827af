/** One wheel through the user's own pip, for what an index of wheels lacks: its configuration decides where from. */
import { mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { JsgError } from '../errors.js';
import { sha256OfFile } from '../files.js';
import { supportedPlatforms, type Target } from './tags.js';

export interface PipRequest {
  /** `filelock>=3`, `filelock==3.18.0` */
  requirement: string;
  /** The only one to take; null: pip chooses. */
  sha256: string | null;
  /** A source package instead of a wheel. */
  source?: boolean;
  target: Target;
  /** Into which the file goes. */
  directory: string;
  /** The interpreter whose pip is asked. */
  python: string;
  signal?: AbortSignal;
}

export interface PipFile {
  filename: string;
  sha256: string;
}

/** Of pip's own retries too. */
const TIMEOUT_MS = 30 * 60_000;

/** Throws E_NOT_FOUND (pip finds nothing that fits), E_CHECKSUM_MISMATCH, E_DOWNLOAD_FAILED. */
export async function pipDownload(request: PipRequest): Promise<PipFile> {
  const { requirement, sha256, source = false, directory, python, signal } = request;
  const folder = await mkdtemp(join(directory, '.pip-'));
  try {
    const list = join(folder, 'requirements.txt');
    await writeFile(list, `${requirement}${sha256 === null ? '' : ` --hash=sha256:${sha256}`}\n`);
    const args = ['-m', 'pip', 'download', '--no-deps', '--no-input', '--disable-pip-version-check', '-q'];
    const kind = source ? ['--no-binary', nameOf(requirement)] : ['--only-binary=:all:', ...targetArgs(request.target)];
    const result = await execa(python, [...args, '--progress-bar', 'off', ...kind, '-r', list, '-d', folder], {
      stdin: 'ignore',
      timeout: TIMEOUT_MS,
      env: { LC_ALL: 'C' },
      reject: false,
      ...(signal && { cancelSignal: signal }),
    });
    if (signal?.aborted) throw new JsgError('E_DOWNLOAD_FAILED', `${requirement}: download stopped`);
    if (result.exitCode !== 0) throw pipError(requirement, `${result.stderr}\n${result.shortMessage ?? ''}`);
    const [filename] = (await readdir(folder)).filter((name) => /\.(whl|tar\.gz|zip)$/.test(name));
    if (filename === undefined) throw pipError(requirement, 'pip downloaded nothing');
    const got = await sha256OfFile(join(folder, filename), signal);
    await rename(join(folder, filename), join(directory, filename));
    return { filename, sha256: got };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const nameOf = (requirement: string) => /^[\w.-]+/.exec(requirement)?.[0] ?? requirement;

/** pip is told of another machine tag by tag. */
function targetArgs(target: Target): string[] {
  const python = target.python.replace('.', '');
  return [
    ...['--python-version', target.python, '--implementation', 'cp'],
    ...['--abi', `cp${python}`, '--abi', 'abi3', '--abi', 'none'],
    ...supportedPlatforms(target).flatMap((platform) => ['--platform', platform]),
  ];
}

function pipError(requirement: string, output: string): JsgError {
  const text = output.replace(/\/\/[^/@\s]*@/g, '//***@');
  const lines = text.split('\n').map((line) => line.trim());
  const line = lines.findLast((each) => each.startsWith('ERROR')) ?? lines.find((each) => each !== '') ?? '';
  const what = `${requirement}: ${line.replace(/^ERROR:\s*/, '').slice(0, 300)}`;
  const hint = '`pip config list` shows where pip looks.';
  if (/DO NOT MATCH THE HASHES/.test(text)) {
    return new JsgError('E_CHECKSUM_MISMATCH', `${requirement}: pip has another file than the locked one`, { hint });
  }
  const isAbsent = /No matching distribution|Could not find a version/.test(text);
  return new JsgError(isAbsent ? 'E_NOT_FOUND' : 'E_DOWNLOAD_FAILED', what, { hint });
}
