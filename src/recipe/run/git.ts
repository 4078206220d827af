/**
 * Sources by git, as shallow as they can be. A clone is made beside its place and renamed once its commit and its submodules
 * are as wanted, so that a folder of that name is always a whole one. Git's environment and configuration are the user's.
 */
import { existsSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { JsgError } from '../../errors.js';
import type { GitSource } from '../plan.js';
import type { CommandResult } from './command.js';

/** Runs git with these arguments in a folder. */
export type RunGit = (args: string[], cwd: string) => Promise<CommandResult>;

export interface GitRun {
  git: RunGit;
  /** Makes the error of a git command that failed. */
  fail: (args: string[], cwd: string, result: CommandResult) => JsgError;
}

/** Clones, or verifies what is there. Returns the commit, a full hash. */
export async function ensureClone(source: GitSource, build: string, run: GitRun): Promise<string> {
  const target = join(build, source.directory);
  if (!existsSync(target)) {
    const partial = `${target}.partial`;
    rmSync(partial, { recursive: true, force: true });
    await clone(source, partial, build, run);
    await verify(source, partial, run);
    renameSync(partial, target);
  }
  return verify(source, target, run);
}

async function clone({ url, tag, submodules }: GitSource, target: string, build: string, run: GitRun): Promise<void> {
  const options = ['-c', 'advice.detachedHead=false'];
  await must(run, [...options, 'clone', '--depth', '1', '--branch', tag, '--', url, target], build);
  if (submodules.length === 0) return;
  const paths = submodules.map(({ path }) => path);
  const shallow = await run.git(['submodule', 'update', '--init', '--depth', '1', '--', ...paths], target);
  // Some servers hand out a commit that no branch points to only with its history.
  if (shallow.exitCode !== 0) await must(run, ['submodule', 'update', '--init', '--', ...paths], target);
}

async function verify({ name, url, tag, commit, submodules }: GitSource, target: string, run: GitRun): Promise<string> {
  const { tail } = await must(run, ['rev-parse', '--verify', 'HEAD^{commit}'], target);
  const found = tail.find((line) => /^[0-9a-f]{40,64}$/.test(line)) ?? '';
  if (commit !== null && found !== commit) {
    throw new JsgError(
      'E_CHECKSUM_MISMATCH',
      `${name}: ${target} is at ${found || 'no commit'}, not at ${commit} (${tag})`,
      {
        hint: `Either ${url} has moved the tag, or the folder holds another version. Look at it, then remove it: rm -r ${target}`,
      },
    );
  }
  const missing = submodules.filter(
    ({ path, holds }) => !existsSync(join(target, holds.startsWith(path) ? holds : join(path, holds))),
  );
  if (missing.length > 0) {
    const paths = missing.map(({ path }) => path).join(' ');
    throw new JsgError('E_IO_FAILED', `${name}: submodules without their files in ${target}: ${paths}`, {
      hint: `git -C ${target} submodule update --init --depth 1 -- ${paths}`,
    });
  }
  return found;
}

async function must(run: GitRun, args: string[], cwd: string): Promise<CommandResult> {
  const result = await run.git(args, cwd);
  if (result.exitCode !== 0) throw run.fail(args, cwd, result);
  return result;
}
