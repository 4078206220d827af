/**
 * A server in a process of its own for the time of a bench: client and server do not share an event loop. It ends with the
 * bench, whatever ends that.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { ERRORS, type ErrorCode, JsgError } from '../errors.js';
import { packageRoot } from '../version.js';

export interface ServerProcess {
  url: string;
  /** When the process was started, on the clock of `performance`. */
  startedMs: number;
  /** When it said that it serves. */
  readyMs: number;
  stop(): Promise<void>;
}

export interface StartServer {
  /** Arguments of `jsg launch`. */
  args: string[];
  /** It goes by the environment: a command line can be seen by others. */
  apiKey: string | null;
  /** Told the lines that the server writes to stderr. */
  onLine(line: string): void;
  signal: AbortSignal;
}

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

const KILL_AFTER_MS = 10_000;

/** Resolves when the server answers; throws what it failed with, or E_INTERRUPTED. */
export async function startServer({ args, apiKey, onLine, signal }: StartServer): Promise<ServerProcess> {
  if (signal.aborted) throw new JsgError('E_INTERRUPTED', 'the start was given up');
  const startedMs = performance.now();
  const child = spawn(
    process.execPath,
    [join(packageRoot, 'bin', 'jsg.js'), 'launch', ...args, '--port', '0', '--stop-with-stdin'],
    {
      stdio: ['pipe', 'pipe', 'pipe'],
      // A group of its own: Ctrl-C is for the bench, which ends the server when it is done with it.
      detached: true,
      env: { ...process.env, NO_COLOR: '1', ...(apiKey === null ? {} : { JSG_API_KEY: apiKey }) },
    },
  );
  const ended = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)));
  const stop = () => endServer(child, ended);
  try {
    const url = await Promise.race([announced(child), failed(child, ended, onLine), interrupted(signal)]);
    return { url, startedMs, readyMs: performance.now(), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function announced(child: Child): Promise<string> {
  return new Promise((resolve) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      const url = / is served at (http\S+)$/.exec(line)?.[1];
      if (url !== undefined) resolve(url);
    });
  });
}

/** Rejects when the process ends, with what it said. */
async function failed(child: Child, ended: Promise<number | null>, onLine: (line: string) => void): Promise<never> {
  const last: string[] = [];
  createInterface({ input: child.stderr }).on('line', (line) => {
    if (line.startsWith('jsg: ') || (last.length > 0 && line.startsWith('     '))) last.push(line.slice(5));
    else onLine(line);
  });
  const code = await ended;
  const [message = `the server ended with exit code ${code} before it answered`, ...hint] = last;
  const known = (Object.keys(ERRORS) as ErrorCode[]).find((each) => ERRORS[each].exit === code && code !== 1);
  throw new JsgError(known ?? 'E_ENGINE_FAILED', message, hint.length > 0 ? { hint: hint.join('\n') } : {});
}

function interrupted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const give = () => reject(new JsgError('E_INTERRUPTED', 'the start was given up'));
    signal.addEventListener('abort', give, { once: true });
  });
}

async function endServer(child: Child, ended: Promise<number | null>): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), KILL_AFTER_MS);
  await ended;
  clearTimeout(timer);
}
