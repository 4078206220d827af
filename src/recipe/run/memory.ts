/** What memory a build may take now. */
import { readFileSync } from 'node:fs';
import { freemem } from 'node:os';
import { type MemoryNow, parsePressure } from './jobs.js';

/** MemAvailable, less where a cgroup (v2) allows less, and the pressure that the kernel tells. */
export function readMemoryNow(): MemoryNow {
  const available = /^MemAvailable:\s*(\d+) kB/m.exec(readText('/proc/meminfo') ?? '')?.[1];
  const limit = Number.parseInt(readText('/sys/fs/cgroup/memory.max') ?? '', 10);
  const used = Number.parseInt(readText('/sys/fs/cgroup/memory.current') ?? '', 10);
  const left = Number.isFinite(limit) && Number.isFinite(used) ? Math.max(0, limit - used) : Number.POSITIVE_INFINITY;
  return {
    availableBytes: Math.min(available === undefined ? freemem() : Number(available) * 1024, left),
    pressurePercent: parsePressure(readText('/proc/pressure/memory')),
  };
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}
