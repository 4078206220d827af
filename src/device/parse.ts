/** Pure parsers of the texts that describe a machine. Each takes a file's content; unreadable parts come out as null. */
import type { Gpu, Os } from './device.js';
import { oneValue } from './source.js';

/** /etc/os-release: shell assignments, values bare or quoted. */
export function parseOsRelease(text: string): Os | null {
  const fields = new Map<string, string>();
  for (const line of text.split('\n')) {
    const match = /^([A-Z_]+)=(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|(\S*))\s*$/.exec(line);
    if (match?.[1]) fields.set(match[1], (match[2] ?? match[3] ?? match[4] ?? '').replace(/\\(.)/g, '$1'));
  }
  const id = fields.get('ID');
  if (!id) return null;
  const versionId = fields.get('VERSION_ID') ?? '';
  return {
    id,
    versionId,
    name: oneValue(fields.get('PRETTY_NAME') ?? `${fields.get('NAME') ?? id} ${versionId}`) ?? id,
  };
}

/** /etc/lsb-release, which some images have in place of os-release. */
export function parseLsbRelease(text: string): Os | null {
  const field = (name: string) => new RegExp(`^DISTRIB_${name}="?([^"\\n]+?)"?\\s*$`, 'm').exec(text)?.[1];
  const [id, versionId] = [field('ID'), field('RELEASE') ?? ''];
  return id === undefined
    ? null
    : { id: id.toLowerCase(), versionId, name: oneValue(field('DESCRIPTION') ?? `${id} ${versionId}`) ?? id };
}

/** /proc/cpuinfo: the flags (x86 `flags`, Arm `Features`) and name of the first core, and how many cores there are. */
export function parseCpuInfo(text: string): { model: string | null; flags: string[]; numCores: number } {
  const field = (name: string) => new RegExp(`^${name}\\s*:\\s*(.*)$`, 'm').exec(text)?.[1] ?? null;
  return {
    model: oneValue(field('model name') ?? field('Model')),
    flags: (field('flags') ?? field('Features') ?? '').split(/\s+/).filter(Boolean),
    numCores: text.match(/^processor\s*:/gm)?.length ?? 0,
  };
}

/** /proc/meminfo, bytes. MemAvailable is missing on kernels before 3.14. */
export function parseMemInfo(text: string): { totalBytes: number | null; availableBytes: number | null } {
  const bytes = (name: string) => {
    const kib = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1];
    return kib === undefined ? null : Number(kib) * 1024;
  };
  return { totalBytes: bytes('MemTotal'), availableBytes: bytes('MemAvailable') };
}

/** Path of this process in a cgroup tree, from /proc/self/cgroup. `controller` is '' for cgroup v2. */
export function parseCgroupPath(text: string, controller: '' | 'memory' | 'cpu'): string | null {
  for (const line of text.split('\n')) {
    const match = /^\d+:([^:]*):(\/.*)$/.exec(line);
    if (!match) continue;
    if (controller === '' ? match[1] === '' : match[1]?.split(',').includes(controller)) return match[2] ?? null;
  }
  return null;
}

/** memory.max (v2) or memory.limit_in_bytes (v1); v1 writes "no limit" as a number near 2^63. */
export function parseMemoryLimit(text: string): number | null {
  const bytes = Number.parseInt(text.trim(), 10);
  return Number.isNaN(bytes) || bytes >= 2 ** 60 ? null : bytes;
}

/** cpu.max (v2): `quota period` or `max period`. Cores, or null for no limit. */
export function parseCpuMax(text: string): number | null {
  const [quota, period] = text.trim().split(/\s+/).map(Number);
  return quota && period ? quota / period : null;
}

/** cpu.cfs_quota_us and cpu.cfs_period_us (v1); a quota of -1 is no limit. */
export function parseCfsQuota(quotaText: string, periodText: string): number | null {
  const quota = Number.parseInt(quotaText, 10);
  const period = Number.parseInt(periodText, 10);
  return quota > 0 && period > 0 ? quota / period : null;
}

/** The table that `nvidia-smi` prints without arguments: first GPU, driver, memory (null where it is shared). */
export function parseNvidiaSmi(text: string): Gpu | null {
  const row = /^\|\s+\d+\s+(\S.*?)\s+(?:On|Off|N\/A)\s*\|/m.exec(text);
  if (!row?.[1]) return null;
  const mib = /\/\s*(\d+)MiB\s*\|/.exec(text)?.[1];
  return {
    name: oneValue(row[1]) ?? 'NVIDIA GPU',
    driver: /Driver Version:\s*([\d.]+)/.exec(text)?.[1] ?? null,
    cudaVersion: /CUDA Version:\s*([\d.]+)/.exec(text)?.[1] ?? null,
    memoryBytes: mib === undefined ? null : Number(mib) * 1024 * 1024,
  };
}

/** The first dotted number of a `--version` text. */
export function parseVersion(text: string): string | null {
  return /\d+(?:\.\d+)+/.exec(text)?.[0] ?? null;
}
