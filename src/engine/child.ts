/**
 * A server in a process tree of its own: started, read line by line, asked to end, ended. Its processes are found by a token
 * in their environment, so that none is left behind, whatever group or session they have moved to.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { StringDecoder } from 'node:string_decoder';
import { stripVTControlCharacters } from 'node:util';
import { endProcessesOf, processesOf, RUN_TOKEN } from '../processes.js';

export interface ChildSpec {
  argv: string[];
  env: NodeJS.ProcessEnv;
  /** Written to its stdin, which is then closed; null: it gets none. */
  input: string | null;
  /** Each line that it writes to stdout or stderr, without colours. A carriage return ends a line, as progress bars use it. */
  onLine: (line: string) => void;
}

export interface ChildEnd {
  exitCode: number | null;
  signal: NodeJS.Signals | null;
  /** Why it could not be started. */
  startError: string | null;
}

const MAX_LINE_CHARS = 4096;
const SETPRIV = '/usr/bin/setpriv';
/** What has ended has this long to hand over its last lines: a child that holds the pipe open must not keep us waiting. */
const LAST_LINES_MS = 2000;

export class Child {
  /** Resolves when its first process has ended and its output is read. Never rejects. */
  readonly ended: Promise<ChildEnd>;
  readonly #process: ChildProcess;
  readonly #token = randomUUID();
  readonly #onExit = () => this.#killNow();

  constructor({ argv, env, input, onLine }: ChildSpec) {
    // Should jsg itself be killed, the kernel tells the server to end.
    const [program = '', ...args] = existsSync(SETPRIV) ? [SETPRIV, '--pdeathsig', 'TERM', ...argv] : argv;
    this.#process = spawn(program, args, {
      env: { ...env, [RUN_TOKEN]: this.#token },
      stdio: [input === null ? 'ignore' : 'pipe', 'pipe', 'pipe'],
      // A group of its own: a Ctrl-C in the terminal reaches jsg alone, which then ends all in order.
      detached: true,
    });
    if (input !== null) {
      this.#process.stdin?.on('error', () => {}); // it may have ended before it read
      this.#process.stdin?.end(input);
    }
    const reading = [this.#process.stdout, this.#process.stderr].map((stream) => readLines(stream, onLine));
    this.ended = new Promise((resolve) => {
      this.#process.once('error', (error) => resolve({ exitCode: null, signal: null, startError: error.message }));
      this.#process.once('exit', async (exitCode, signal) => {
        const late = new Promise((wake) => setTimeout(wake, LAST_LINES_MS).unref());
        await Promise.race([Promise.all(reading), late]);
        resolve({ exitCode, signal, startError: null });
      });
    });
    process.on('exit', this.#onExit);
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  /** Asks its first process to end in its own way. */
  terminate(): void {
    if (this.#process.exitCode === null && this.#process.signalCode === null) this.#process.kill('SIGTERM');
  }

  /** Ends every process of it: asks, kills what is still there after a while. Resolves when none is left. */
  async endAll(): Promise<void> {
    await endProcessesOf(this.#token);
    process.off('exit', this.#onExit);
  }

  /** jsg is about to be gone: there is no time left to ask. */
  #killNow(): void {
    for (const pid of processesOf(this.#token)) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It has just ended.
      }
    }
  }
}

function readLines(stream: NodeJS.ReadableStream | null, onLine: (line: string) => void): Promise<void> {
  if (stream === null) return Promise.resolve();
  const decoder = new StringDecoder('utf8');
  let rest = '';
  const tell = (raw: string) => {
    const line = stripVTControlCharacters(raw).trimEnd().slice(0, MAX_LINE_CHARS);
    if (line !== '') onLine(line);
  };
  stream.on('data', (chunk: Buffer) => {
    const parts = (rest + decoder.write(chunk)).split(/[\r\n]+/);
    rest = (parts.pop() ?? '').slice(0, MAX_LINE_CHARS);
    for (const part of parts) tell(part);
  });
  return new Promise((resolve) => {
    stream.once('close', () => {
      tell(rest);
      resolve();
    });
  });
}
