/**
 * The processes of a build or a server. All that it starts carries a token in its environment, which finds what has left its
 * process group, or whose jsg was killed.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** The variable that holds the token of a run. */
export const RUN_TOKEN = 'JSG_RUN';
/** Compilers remove their temporary files in less. */
const GRACE_MS = 3000;
const POLL_MS = 50;

/** In clock ticks after boot; null where the process or /proc is not there. */
export function startTimeOf(pid: number): string | null {
  // The name in parentheses may hold spaces; field 22 is the 20th after it.
  return readText(`/proc/${pid}/stat`)?.split(') ').at(-1)?.split(' ')[19] ?? null;
}

/** Running processes with the token, zombies left out. Only those of this user can be read. */
export function processesOf(token: string): number[] {
  const wanted = `${RUN_TOKEN}=${token}`;
  return pids().filter((pid) => readText(`/proc/${pid}/environ`)?.split('\0').includes(wanted) ?? false);
}

/** Ends them all: asks first, kills what is still there after a while, and returns when none is left. */
export async function endProcessesOf(token: string): Promise<void> {
  signal(processesOf(token), 'SIGTERM');
  const deadline = Date.now() + GRACE_MS;
  while (processesOf(token).length > 0 && Date.now() < deadline) await sleep(POLL_MS);
  // A process that forks while it is being looked for is met in the next turn.
  for (let turn = 0; turn < 100; turn++) {
    const left = processesOf(token);
    if (left.length === 0) return;
    signal(left, 'SIGKILL');
    await sleep(POLL_MS);
  }
}

function signal(targets: number[], name: 'SIGTERM' | 'SIGKILL'): void {
  for (const pid of targets) {
    try {
      process.kill(pid, name);
    } catch {
      // It has just ended.
    }
  }
}

function pids(): number[] {
  try {
    return readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) ? [Number(name)] : []));
  } catch {
    return [];
  }
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return null;
  }
}
