/** How many compilers run side by side, so that a board of 8 GB does not run out of memory. Pure. */
import type { Jobs } from '../plan.js';

export interface MemoryNow {
  /** MemAvailable, or what the cgroup leaves where that is less. */
  availableBytes: number;
  /** Swap that is free. Compilers in it are slow, so jobs are not counted by it. */
  swapBytes: number;
  /** Processes that the kernel has ended for want of memory since boot; null: it does not tell. */
  oomKills: number | null;
  /** Of the last 10 s, percent of the time in which some process waited for memory; null: the kernel does not tell. */
  pressurePercent: number | null;
}

/** Above it the machine swaps more than it compiles. */
const HIGH_PRESSURE_PERCENT = 20;

/** Never more than the plan's; at least 1. */
export function chooseJobs(planned: Jobs, memory: MemoryNow): number {
  const fitting = Math.floor(memory.availableBytes / Math.max(1, planned.memoryBytesPerJob));
  const jobs = Math.max(1, Math.min(planned.count, fitting));
  return isUnderPressure(memory) ? fewerJobs(jobs) : jobs;
}

export const fewerJobs = (jobs: number): number => Math.max(1, Math.floor(jobs / 2));

export const isUnderPressure = ({ pressurePercent }: MemoryNow): boolean =>
  (pressurePercent ?? 0) >= HIGH_PRESSURE_PERCENT;

/** `some avg10=1.53 avg60=…` of /proc/pressure/memory. */
export function parsePressure(text: string | null): number | null {
  const value = /^some avg10=(\d+(?:\.\d+)?)\b/m.exec(text ?? '')?.[1];
  return value === undefined ? null : Number(value);
}

/** How many processes the kernel has ended for want of memory since boot, as /proc/vmstat counts them; null: not told. */
export function parseOomKills(text: string | null): number | null {
  const value = /^oom_kill (\d+)$/m.exec(text ?? '')?.[1];
  return value === undefined ? null : Number(value);
}

/** What compilers and their callers say when the kernel has ended one of them. */
const KILLED =
  /Killed signal terminated program|fatal error: Killed|died due to signal (?:9|11)\b|virtual memory exhausted|Cannot allocate memory|out of memory allocating|Error 137\b|^Killed$/im;

/** Whether a failed build was out of memory: fewer jobs may get it through. */
export const wasOutOfMemory = (output: string, signal: string | null): boolean =>
  signal === 'SIGKILL' || KILLED.test(output);
