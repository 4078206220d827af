/** Runs one command of a build: own process group, closed input, full log on disk, its last lines and its progress told live. */
import { createWriteStream, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { finished } from 'node:stream/promises';
import { StringDecoder } from 'node:string_decoder';
import { stripVTControlCharacters } from 'node:util';
import { execa } from 'execa';
import { endProcessesOf, RUN_TOKEN } from '../../processes.js';
import { shareOf } from './progress.js';

export interface Command {
  argv: string[];
  cwd: string;
  /** All of it: nothing else is inherited. */
  env: NodeJS.ProcessEnv;
  timeoutMs: number;
  /** The whole output is appended here. */
  logPath: string;
  /** Of the run: how its processes are found. */
  token: string;
  signal: AbortSignal;
  onProgress?: (progress: { line: string; share: number | null }) => void;
}

export interface CommandResult {
  exitCode: number | null;
  /** The signal that ended it. */
  signal: string | null;
  timedOut: boolean;
  /** The run was interrupted. */
  isAborted: boolean;
  /** Why it could not be started. */
  startError: string | null;
  /** The last lines of its output, without colours. */
  tail: string[];
}

const TAIL_LINES = 400;
const MAX_LINE_CHARS = 2000;

/** Returns when the command and all that it has started are gone. */
export async function runCommand(command: Command): Promise<CommandResult> {
  const { argv, cwd, env, logPath, token, signal } = command;
  mkdirSync(dirname(logPath), { recursive: true });
  const log = createWriteStream(logPath, { flags: 'a' });
  // A full disk ends the command, which tells it better.
  log.on('error', () => {});
  log.write(`$ ${argv.join(' ')}\n`);
  const [program = '', ...args] = argv;
  const child = execa(program, args, {
    cwd,
    env: { ...env, [RUN_TOKEN]: token },
    extendEnv: false,
    stdin: 'ignore',
    all: true,
    buffer: false,
    reject: false,
    // A process group of its own: a Ctrl-C in the terminal reaches jsg alone, which then ends all in order.
    detached: true,
  });
  const decoder = new StringDecoder('utf8');
  const tail = new Tail((line) => command.onProgress?.({ line, share: shareOf(line) }));
  child.all?.on('data', (chunk: Buffer) => {
    log.write(chunk);
    tail.push(decoder.write(chunk));
  });
  let timedOut = false;
  let ending: Promise<void> | null = null;
  const end = () => {
    // Just forked, a child does not carry the token yet.
    endGroup(child.pid);
    ending ??= endProcessesOf(token);
  };
  const timer = setTimeout(() => {
    timedOut = true;
    end();
  }, command.timeoutMs);
  signal.addEventListener('abort', end, { once: true });
  // What it leaves running may hold its output open, which would be waited for.
  child.once('exit', () => {
    ending ??= endProcessesOf(token);
  });
  if (signal.aborted) end();
  const result = await child;
  clearTimeout(timer);
  signal.removeEventListener('abort', end);
  // A command that failed may leave compilers behind, and one that was told to end may have just forked.
  await (ending ?? Promise.resolve());
  await endProcessesOf(token);
  log.end();
  await finished(log).catch(() => {});
  return {
    exitCode: result.exitCode ?? null,
    signal: result.signal ?? null,
    timedOut,
    isAborted: signal.aborted,
    startError:
      result.exitCode === undefined && !result.signal ? result.shortMessage || 'it could not be started' : null,
    tail: tail.lines(),
  };
}

function endGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGTERM');
  } catch {
    // It has just ended.
  }
}

/** The last lines of an output. A carriage return ends a line that the next one is written over, as progress bars do. */
class Tail {
  readonly #lines: string[] = [];
  #rest = '';

  constructor(readonly onLine: (line: string) => void) {}

  push(text: string): void {
    const parts = (this.#rest + text).split(/(\r?\n|\r(?!$))/);
    this.#rest = (parts.pop() ?? '').slice(0, MAX_LINE_CHARS);
    for (let i = 0; i + 1 < parts.length; i += 2) this.#add(parts[i] ?? '', parts[i + 1] !== '\r');
  }

  lines(): string[] {
    this.#add(this.#rest, true);
    this.#rest = '';
    return [...this.#lines];
  }

  #add(raw: string, isKept: boolean): void {
    const line = stripVTControlCharacters(raw).trimEnd().slice(0, MAX_LINE_CHARS);
    if (line === '') return;
    if (isKept) this.#lines.push(line);
    if (this.#lines.length > TAIL_LINES) this.#lines.shift();
    this.onLine(line);
  }
}
