/** Limits of this process's cgroup, v2 or v1: the tightest along the path from the process to the root. */
import { parseCfsQuota, parseCgroupPath, parseCpuMax, parseMemoryLimit } from './parse.js';

type ReadText = (path: string) => string | null;

/** `/a/b` -> `/a/b`, `/a`, `` : the group itself, then its parents. Limits of any of them bind. */
function groupAndParents(path: string): string[] {
  const parts = path.split('/').filter(Boolean);
  return Array.from({ length: parts.length + 1 }, (_, i) =>
    parts
      .slice(0, parts.length - i)
      .map((p) => `/${p}`)
      .join(''),
  );
}

function groups(read: ReadText, controller: 'memory' | 'cpu'): { version: 1 | 2; directories: string[] } {
  const own = read('/proc/self/cgroup') ?? '';
  const v1 = parseCgroupPath(own, controller);
  const version = v1 === null ? 2 : 1;
  const mount = version === 1 ? `/sys/fs/cgroup/${controller}` : '/sys/fs/cgroup';
  // A container sees its own group as the root of the mount, whatever /proc/self/cgroup says.
  const paths = groupAndParents(v1 ?? parseCgroupPath(own, '') ?? '/');
  return { version, directories: paths.map((path) => `${mount}${path}`) };
}

/** Cores that the CPU quota allows; null: no quota. */
export function cgroupCpuLimit(read: ReadText): number | null {
  const { version, directories } = groups(read, 'cpu');
  const limits = directories.map((directory) =>
    version === 2
      ? parseCpuMax(read(`${directory}/cpu.max`) ?? '')
      : parseCfsQuota(read(`${directory}/cpu.cfs_quota_us`) ?? '', read(`${directory}/cpu.cfs_period_us`) ?? ''),
  );
  const known = limits.filter((limit) => limit !== null);
  return known.length > 0 ? Math.min(...known) : null;
}

export interface CgroupMemory {
  limitBytes: number;
  /** The limit less what cannot be given back: usage without the page cache that is not in use. */
  availableBytes: number;
}

/** The group on the path with the least memory left; null: no limit anywhere. */
export function cgroupMemory(read: ReadText): CgroupMemory | null {
  const { version, directories } = groups(read, 'memory');
  const [limitFile, usageFile, cacheField] =
    version === 2
      ? ['memory.max', 'memory.current', 'inactive_file']
      : ['memory.limit_in_bytes', 'memory.usage_in_bytes', 'total_inactive_file'];
  let tightest: CgroupMemory | null = null;
  for (const directory of directories) {
    const limitBytes = parseMemoryLimit(read(`${directory}/${limitFile}`) ?? '');
    if (limitBytes === null) continue;
    const usage = Number.parseInt(read(`${directory}/${usageFile}`) ?? '0', 10) || 0;
    const stat = read(`${directory}/memory.stat`) ?? '';
    const cache = Number(new RegExp(`^${cacheField} (\\d+)$`, 'm').exec(stat)?.[1] ?? 0);
    const availableBytes = Math.max(0, limitBytes - Math.max(0, usage - cache));
    if (tightest === null || availableBytes < tightest.availableBytes) tightest = { limitBytes, availableBytes };
  }
  return tightest;
}
