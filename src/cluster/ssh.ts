/** One machine of a cluster, over the user's own ssh: asked, and made to launch. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { JsgError } from '../errors.js';
import { quoteWord } from '../shell.js';

export interface SshOptions {
  /** For `ssh -F`; null: the user's own. */
  config: string | null;
}

export interface Answer {
  exitCode: number | null;
  stdout: string;
  stderr: string;
}

/** Never asks a question; notices within 15 s that a machine is gone. */
const OPTIONS = [
  'BatchMode=yes',
  'ConnectTimeout=10',
  'ServerAliveInterval=5',
  'ServerAliveCountMax=3',
  'LogLevel=ERROR',
];

export function sshWords(destination: string, { config }: SshOptions, command: string): string[] {
  const file = config === null ? [] : ['-F', config];
  return ['ssh', ...file, '-T', ...OPTIONS.flatMap((option) => ['-o', option]), destination, command];
}

export const shellCommand = (jsg: string, words: string[]) => [jsg, ...words.map(quoteWord)].join(' ');

/** Whatever shell the user has there. */
export const inSh = (script: string) => `exec sh -c ${quoteWord(script)}`;

/** How often a process there gets a sign of life, and after how long without one it ends. */
const SIGN_OF_LIFE_MS = 5000;
export const SILENCE_SECONDS = 30;

/** Runs a command there to its end. Throws E_UNAVAILABLE where ssh itself fails. */
export async function ask(destination: string, options: SshOptions, command: string): Promise<Answer> {
  const child = start(destination, options, command);
  child.stdin.end();
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const exitCode = await ended(child);
  if (exitCode === SSH_FAILED || exitCode === null) throw sshFault(destination, stderr);
  return { exitCode, stdout, stderr };
}

/** What ssh itself exits with when it cannot do its work. */
const SSH_FAILED = 255;

export function sshFault(destination: string, stderr: string): JsgError {
  const said = stderr.trim().split('\n').at(-1) ?? '';
  const hint = /Host key verification failed/.test(stderr)
    ? `Look at its key and take it once by hand: ssh ${destination}`
    : /Permission denied/.test(stderr)
      ? `It takes none of your keys: ssh-copy-id ${destination}`
      : `ssh -o BatchMode=yes ${destination} true   # must work first`;
  return new JsgError('E_UNAVAILABLE', `${destination}: ${said || 'the connection was lost'}`, { hint });
}

function start(destination: string, options: SshOptions, command: string): ChildProcessWithoutNullStreams {
  const [program = '', ...args] = sshWords(destination, options, command);
  // A Ctrl-C in the terminal is for jsg, which ends the machines in order.
  return spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], detached: true });
}

function ended(child: ChildProcessWithoutNullStreams): Promise<number | null> {
  return new Promise((resolve, reject) => {
    child.once('error', (error) =>
      reject(
        new JsgError('E_USAGE', `ssh could not be started: ${error.message}`, {
          hint: 'sudo apt install openssh-client',
        }),
      ),
    );
    child.once('close', (code) => resolve(code));
  });
}

/** A command that runs there for as long as its stdin is open and brings signs of life. */
export class RemoteProcess {
  readonly ended: Promise<number | null>;
  readonly #child: ChildProcessWithoutNullStreams;

  /** `input` is the first thing it reads. */
  constructor(
    destination: string,
    options: SshOptions,
    command: string,
    input: string,
    onLine: (line: string, stream: 'stdout' | 'stderr') => void,
  ) {
    this.#child = start(destination, options, command);
    this.#child.stdin.on('error', () => {}); // it may have ended before it read
    this.#child.stdin.write(input);
    const alive = setInterval(() => this.#child.stdin.writable && this.#child.stdin.write('\n'), SIGN_OF_LIFE_MS);
    createInterface({ input: this.#child.stdout }).on('line', (line) => onLine(line, 'stdout'));
    createInterface({ input: this.#child.stderr }).on('line', (line) => onLine(line, 'stderr'));
    this.ended = ended(this.#child).finally(() => clearInterval(alive));
  }

  /** Closes its stdin, by which it ends in order; after `timeoutMs` the connection is cut, which closes it too. */
  async stop(timeoutMs: number): Promise<void> {
    this.#child.stdin.end();
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), timeoutMs);
    await this.ended.catch(() => null);
    clearTimeout(timer);
  }
}
