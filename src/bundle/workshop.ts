/** Where a bundle is put together: its folder, the commands that fill it, and what is told of them. */
import { existsSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { JsgError } from '../errors.js';
import { makeDirectory } from '../files.js';
import { type CommandResult, runCommand } from '../recipe/run/command.js';
import type { OnEvent } from '../recipe/run/events.js';
import { acquireLock, type Lock } from '../recipe/run/lock.js';
import { MANIFEST } from './manifest.js';

/** Of the bundle, while it is not finished: clones, logs, the lock against a second run. */
export const WORK = '.jsg-bundle';
const COMMAND_TIMEOUT_MS = 60 * 60_000;

export class Workshop {
  private constructor(
    readonly directory: string,
    readonly signal: AbortSignal,
    private readonly onEvent: OnEvent,
    private readonly lock: Lock,
  ) {}

  /** Throws E_UNAVAILABLE while another run fills the folder, E_USAGE where something else is in it. */
  static async open(directory: string, signal: AbortSignal, onEvent: OnEvent): Promise<Workshop> {
    requireOwn(directory);
    makeDirectory(join(directory, WORK));
    return new Workshop(directory, signal, onEvent, await acquireLock(join(directory, WORK)));
  }

  /** What lies here is removed when the bundle is finished. */
  scratch(name: string): string {
    const path = join(this.directory, WORK, name);
    mkdirSync(path, { recursive: true });
    return path;
  }

  /** `isFinished`: nothing is left to go on with. */
  close(isFinished: boolean): void {
    this.lock.release();
    if (isFinished) rmSync(join(this.directory, WORK), { recursive: true, force: true });
  }

  /** One part of the work, as it is shown. */
  async task<T>(id: string, work: (tell: (line: string, share: number | null) => void) => Promise<T>): Promise<T> {
    if (this.signal.aborted) throw interrupted();
    const beganAt = Date.now();
    const elapsedMs = () => Date.now() - beganAt;
    this.onEvent({ kind: 'begin', id, title: id, logPath: null });
    const result = await work((line, share) =>
      this.onEvent({ kind: 'progress', id, line, share, elapsedMs: elapsedMs() }),
    );
    this.onEvent({ kind: 'end', id, isCached: false, elapsedMs: elapsedMs() });
    return result;
  }

  note(text: string): void {
    this.onEvent({ kind: 'note', text });
  }

  /** A command's end, whatever it is. */
  async run(argv: string[], cwd: string, env: NodeJS.ProcessEnv = {}): Promise<CommandResult> {
    const result = await runCommand({
      argv,
      cwd,
      env: { ...process.env, LC_ALL: 'C', GIT_TERMINAL_PROMPT: '0', ...env },
      timeoutMs: COMMAND_TIMEOUT_MS,
      logPath: join(this.scratch('logs'), `${(argv[0] ?? '').replace(/\W/g, '_')}.log`),
      token: this.lock.token,
      signal: this.signal,
    });
    if (result.isAborted) throw interrupted();
    return result;
  }

  /** Throws E_IO_FAILED where it fails. */
  async must(argv: string[], cwd: string, env: NodeJS.ProcessEnv = {}): Promise<CommandResult> {
    const result = await this.run(argv, cwd, env);
    if (result.exitCode !== 0) throw this.failure(argv, result);
    return result;
  }

  failure(argv: string[], { exitCode, startError, tail }: CommandResult): JsgError {
    const how = startError ?? `exit code ${exitCode}`;
    const lines = [`${argv.join(' ')}: ${how}`, ...tail.slice(-8).map((line) => `  | ${line}`)];
    return new JsgError('E_DOWNLOAD_FAILED', lines.join('\n'), { hint: RESUME });
  }
}

/** Wheels that are not of the bundle are removed from it, so it must be nothing else. */
function requireOwn(directory: string): void {
  const stat = statSync(directory, { throwIfNoEntry: false });
  if (stat === undefined) return;
  const isOwn = stat.isDirectory() && [WORK, MANIFEST].some((name) => existsSync(join(directory, name)));
  if (isOwn || (stat.isDirectory() && readdirSync(directory).length === 0)) return;
  throw new JsgError('E_USAGE', `--output: ${directory} is there, and is no bundle`, {
    hint: 'Give a folder that is empty or not there, or a file that ends in .tar.',
  });
}

const RESUME = 'The same command goes on from here: what was gathered is kept.';

export const interrupted = () => new JsgError('E_DOWNLOAD_FAILED', 'jsg bundle was interrupted', { hint: RESUME });
