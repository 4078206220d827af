/**
 * One run at a time in a build folder. Locks are numbered files, `lock.7`; the highest number counts, and only one process can
 * link the next one, so that two runs that both find a dead owner cannot both take over. Numbers never go back: a released
 * lock stays, with no owner, until the next owner removes it.
 */
import { randomUUID } from 'node:crypto';
import { linkSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { JsgError } from '../../errors.js';
import { writeAtomically } from '../../files.js';
import { endProcessesOf, startTimeOf } from '../../processes.js';

interface Owner {
  pid: number;
  /** Of the process, in clock ticks after boot: a pid is used again. */
  startTime: string | null;
  bootId: string | null;
  /** In the environment of all that the run starts. */
  token: string;
}

export interface Lock {
  /** Goes into RUN_TOKEN of each child, so that a later run finds the children of one that was killed. */
  token: string;
  release(): void;
}

const NAME = /^lock\.(\d{1,15})$/;

/** Takes the folder; throws E_UNAVAILABLE while another run has it. Ends what a killed run has left running. */
export async function acquireLock(folder: string): Promise<Lock> {
  mkdirSync(folder, { recursive: true });
  const token = randomUUID();
  const mine: Owner = { pid: process.pid, startTime: startTimeOf(process.pid), bootId: bootId(), token };
  for (;;) {
    const last = lastNumber(folder);
    const owner = last === 0 ? null : readOwner(join(folder, `lock.${last}`));
    if (owner !== null && isAlive(owner)) {
      throw new JsgError('E_UNAVAILABLE', `another build (pid ${owner.pid}) is at work in ${folder}`, {
        hint: `Wait for it, or end it with: kill ${owner.pid}`,
      });
    }
    const path = join(folder, `lock.${last + 1}`);
    if (!link(folder, path, mine)) continue;
    if (lastNumber(folder) !== last + 1) {
      rmSync(path, { force: true });
      continue;
    }
    if (owner !== null) await endProcessesOf(owner.token);
    for (const number of numbersIn(folder)) if (number <= last) rmSync(join(folder, `lock.${number}`), { force: true });
    return { token, release: () => writeAtomically(path, '{}') };
  }
}

/** Whether this process was the first to make `path`; it appears with its content. */
function link(folder: string, path: string, owner: Owner): boolean {
  const temporary = join(folder, `.lock-${owner.token}`);
  writeFileSync(temporary, JSON.stringify(owner));
  try {
    linkSync(temporary, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    rmSync(temporary, { force: true });
  }
}

const numbersIn = (folder: string) =>
  readdirSync(folder)
    .flatMap((name) => NAME.exec(name)?.[1] ?? [])
    .map(Number);
const lastNumber = (folder: string) => Math.max(0, ...numbersIn(folder));

/** Null: released, or no lock of ours. */
function readOwner(path: string): Owner | null {
  try {
    const owner = JSON.parse(readFileSync(path, 'utf8')) as Partial<Owner> | null;
    const isOwner = Number.isSafeInteger(owner?.pid) && (owner?.pid ?? 0) > 0 && typeof owner?.token === 'string';
    return isOwner ? (owner as Owner) : null;
  } catch {
    return null;
  }
}

function isAlive({ pid, startTime, bootId: boot }: Owner): boolean {
  if (boot !== bootId()) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
  return startTime === null || startTimeOf(pid) === startTime;
}

function bootId(): string | null {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return null;
  }
}
