/** What memory a build may take now. */
import { readFileSync } from 'node:fs';
import { freemem } from 'node:os';
import { cgroupMemory } from '../../device/cgroup.js';
import { type MemoryNow, parseOomKills, parsePressure } from './jobs.js';

/** MemAvailable, less where a cgroup of this process allows less, and the pressure that the kernel tells. */
export function readMemoryNow(): MemoryNow {
  const available = bytesOf('MemAvailable') ?? freemem();
  const left = cgroupMemory(readText)?.availableBytes ?? Number.POSITIVE_INFINITY;
  return {
    availableBytes: Math.min(available, left),
    swapBytes: left < available ? 0 : (bytesOf('SwapFree') ?? 0),
    oomKills: parseOomKills(readText('/proc/vmstat')),
    pressurePercent: parsePressure(readText('/proc/pressure/memory')),
  };
}

/** A field of /proc/meminfo, in bytes. */
function bytesOf(field: string): number | null {
  const value = new RegExp(`^${field}:\\s*(\\d+) kB`, 'm').exec(readText('/proc/meminfo') ?? '')?.[1];
  return value === undefined ? null : Number(value) * 1024;
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}
