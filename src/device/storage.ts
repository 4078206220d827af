/** The disk that / is on: models load from it, builds and swap live on it. */
import { statfsSync } from 'node:fs';
import type { Source } from './source.js';

export type DiskKind = 'nvme' | 'emmc' | 'sd' | 'usb or sata' | 'network' | 'other';

export interface Storage {
  /** `/dev/nvme0n1p1` */
  device: string | null;
  kind: DiskKind | null;
  /** Null: not known (the files of another machine). */
  freeBytes: number | null;
  totalBytes: number | null;
}

export function probeStorage({ read, isHere }: Source): Storage {
  const device = parseRootDevice(read('/proc/mounts') ?? '');
  const space = isHere ? spaceOf('/') : { freeBytes: null, totalBytes: null };
  return { device, kind: device === null ? null : diskKind(device, read), ...space };
}

/** The last mount on / is the one that is seen. */
export function parseRootDevice(mounts: string): string | null {
  return [...mounts.matchAll(/^(\S+) \/ (\S+) /gm)].filter(([, , type]) => type !== 'rootfs').at(-1)?.[1] ?? null;
}

function diskKind(device: string, read: Source['read']): DiskKind {
  const name = device.replace(/^\/dev\//, '');
  if (name.startsWith('nvme')) return 'nvme';
  const card = /^mmcblk\d+/.exec(name)?.[0];
  // The kernel writes MMC for soldered memory and SD for a card.
  if (card !== undefined) return read(`/sys/block/${card}/device/type`)?.trim() === 'SD' ? 'sd' : 'emmc';
  if (/^sd[a-z]/.test(name)) return 'usb or sata';
  return /^(?:\/\/|[\w.-]+:\/)/.test(device) ? 'network' : 'other';
}

function spaceOf(path: string): { freeBytes: number | null; totalBytes: number | null } {
  try {
    const { bavail, blocks, bsize } = statfsSync(path);
    return { freeBytes: bavail * bsize, totalBytes: blocks * bsize };
  } catch {
    return { freeBytes: null, totalBytes: null };
  }
}
