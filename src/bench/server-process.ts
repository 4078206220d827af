/**
 * A server in a process of its own for the time of a bench: client and server do not share an event loop. It ends with the
 * bench, whatever ends that.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { ERRORS, type ErrorCode, JsgError } from '../errors.js';
import { packageRoot } from '../version.js';

export interface ServerProcess {
  url: string;
  /** When the process was started, on the clock of `performance`. */
  startedMs: number;
  /** When it said that it serves. */
  readyMs: number;
  stop(): Promise<void>;
  /** What the process ended with by itself; null: it goes on, as far as is to be seen within a second. */
  fault(): Promise<JsgError | null>;
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
type Ended = Promise<{ code: number | null; by: NodeJS.Signals | null }>;

const KILL_AFTER_MS = 10_000;
/** A connection may break a moment before its process is seen to end. */
const FAULT_SHOWS_MS = 1000;

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
  const ended: Ended = new Promise((resolve) => child.once('close', (code, by) => resolve({ code, by })));
  const stop = () => endServer(child, ended);
  const failure = failureOf(child, ended, onLine);
  const failed = failure.then((error) => Promise.reject(error));
  try {
    const url = await Promise.race([announced(child), failed, interrupted(signal)]);
    const fault = () => Promise.race([failure, sleep(FAULT_SHOWS_MS, null, { ref: false })]);
    return { url, startedMs, readyMs: performance.now(), stop, fault };
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

/** What the process said when it ends. */
async function failureOf(child: Child, ended: Ended, onLine: (line: string) => void): Promise<JsgError> {
  const last: string[] = [];
  createInterface({ input: child.stderr }).on('line', (line) => {
    if (line.startsWith('jsg: ') || (last.length > 0 && line.startsWith('     '))) last.push(line.slice(5));
    else onLine(line);
  });
  const { code, by } = await ended;
  const [message = by === null ? `the server ended with exit code ${code}` : `the server was ended by ${by}`, ...hint] =
    last;
  const known = (Object.keys(ERRORS) as ErrorCode[]).find((each) => ERRORS[each].exit === code && code !== 1);
  return new JsgError(known ?? 'E_ENGINE_FAILED', message, hint.length > 0 ? { hint: hint.join('\n') } : {});
}

function interrupted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const give = () => reject(new JsgError('E_INTERRUPTED', 'the start was given up'));
    signal.addEventListener('abort', give, { once: true });
  });
}

async function endServer(child: Child, ended: Ended): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), KILL_AFTER_MS);
  await ended;
  clearTimeout(timer);
}
