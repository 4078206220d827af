/**
 * Sources by git, as shallow as they can be. A clone is made beside its place and renamed once its commit and its submodules
 * are as wanted, so that a folder of that name is always a whole one. Git's environment and configuration are the user's.
 */
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { JsgError } from '../../errors.js';
import type { GitSource, Submodule } from '../plan.js';
import type { CommandResult } from './command.js';

export interface GitRun {
  /** Runs a command in a folder. */
  run: (argv: string[], cwd: string) => Promise<CommandResult>;
  /** Makes the error of a command that failed. */
  fail: (argv: string[], cwd: string, result: CommandResult) => JsgError;
  /** A tar whose one folder is the clone: it is unpacked, and nothing is fetched. */
  archive?: string;
}

/** Clones, or verifies what is there. Returns the commit, a full hash. */
export async function ensureClone(source: GitSource, build: string, run: GitRun): Promise<string> {
  const target = join(build, source.directory);
  if (!existsSync(target)) await make(source, target, build, run);
  const missing = missingOf(source.submodules, target);
  if (missing.length > 0 && run.archive !== undefined) {
    rmSync(target, { recursive: true, force: true });
    await make(source, target, build, run);
  } else if (missing.length > 0) {
    // Another recipe of the same repository needed fewer, or a kill has left some half-fetched, which git refuses to go on with.
    await git(run, ['submodule', 'deinit', '--force', '--', ...missing.map(({ path }) => path)], target);
    for (const { path } of missing) rmSync(join(target, '.git', 'modules', path), { recursive: true, force: true });
    await fetchSubmodules(missing, target, run);
  }
  return verify(source, target, run);
}

async function make(source: GitSource, target: string, build: string, run: GitRun): Promise<void> {
  const partial = `${target}.partial`;
  rmSync(partial, { recursive: true, force: true });
  if (run.archive === undefined) await clone(source, partial, build, run);
  else {
    mkdirSync(partial);
    // Written by another user it would be another's, which git refuses to read.
    await must(run, ['tar', '-xf', run.archive, '-C', partial, '--strip-components=1', '--no-same-owner'], build);
  }
  await verify(source, partial, run);
  renameSync(partial, target);
}

async function clone({ url, tag, submodules }: GitSource, partial: string, build: string, run: GitRun): Promise<void> {
  const options = ['-c', 'advice.detachedHead=false'];
  const from = ['--depth', '1', '--branch', tag, '--', url, partial];
  await must(run, ['git', ...options, 'clone', '--progress', ...from], build);
  await fetchSubmodules(submodules, partial, run);
}

async function fetchSubmodules(submodules: Submodule[], clone: string, run: GitRun): Promise<void> {
  if (submodules.length === 0) return;
  const paths = submodules.map(({ path }) => path);
  const update = ['submodule', 'update', '--init', '--force', '--progress'];
  const shallow = await git(run, [...update, '--depth', '1', '--', ...paths], clone);
  // Some servers hand out a commit that no branch points to only with its history.
  if (shallow.exitCode !== 0) await must(run, ['git', ...update, '--', ...paths], clone);
}

const missingOf = (submodules: Submodule[], clone: string): Submodule[] =>
  submodules.filter(({ path, holds }) => !existsSync(join(clone, holds.startsWith(path) ? holds : join(path, holds))));

async function verify({ name, url, tag, commit, submodules }: GitSource, target: string, run: GitRun): Promise<string> {
  const found = await commitOf('HEAD', target, run);
  // A branch or a tag: a clone of one commit has the reference that it was made for.
  const wanted =
    commit ??
    (await commitOf(`refs/tags/${tag}`, target, run)) ??
    (await commitOf(`refs/remotes/origin/${tag}`, target, run));
  if (found === null || found !== wanted) {
    throw new JsgError(
      'E_CHECKSUM_MISMATCH',
      `${name}: ${target} is at ${found ?? 'no commit'}, not at ${wanted ?? 'its tag'} (${tag})`,
      {
        hint: `Either ${url} has moved the tag, or the folder holds another version. Look at it, then remove it: rm -r ${target}`,
      },
    );
  }
  const missing = missingOf(submodules, target);
  if (missing.length > 0) {
    const paths = missing.map(({ path }) => path).join(' ');
    throw new JsgError('E_IO_FAILED', `${name}: submodules without their files in ${target}: ${paths}`, {
      hint: `git -C ${target} submodule update --init --depth 1 -- ${paths}`,
    });
  }
  return found;
}

/** Null: there is none of that name. */
async function commitOf(reference: string, clone: string, run: GitRun): Promise<string | null> {
  const { tail } = await git(run, ['rev-parse', '--verify', '--quiet', `${reference}^{commit}`], clone);
  return tail.find((line) => /^[0-9a-f]{40,64}$/.test(line)) ?? null;
}

const git = (run: GitRun, args: string[], cwd: string) => run.run(['git', ...args], cwd);

async function must(run: GitRun, argv: string[], cwd: string): Promise<CommandResult> {
  const result = await run.run(argv, cwd);
  if (result.exitCode !== 0) throw run.fail(argv, cwd, result);
  return result;
}
