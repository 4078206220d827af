/** Swap: how much, and of what kind. */
import type { ReadText } from './source.js';

export interface Swap {
  totalBytes: number;
  /** Part of it that is compressed RAM: it gives no room to a model, whose weights do not compress. */
  zramBytes: number;
  /** Part of it on disk: what a build may spill to. */
  diskBytes: number;
}

/** Null: not told. /proc/swaps tells the kinds; without it only the sum is known, and counts as disk. */
export function probeSwap(read: ReadText): Swap | null {
  const areas = parseSwaps(read('/proc/swaps') ?? '');
  const total = /^SwapTotal:\s+(\d+) kB/m.exec(read('/proc/meminfo') ?? '')?.[1];
  if (areas === null && total === undefined) return null;
  const sum = (isZram: boolean) =>
    (areas ?? []).filter((area) => area.isZram === isZram).reduce((bytes, area) => bytes + area.bytes, 0);
  const totalBytes = areas === null ? Number(total) * 1024 : sum(true) + sum(false);
  return { totalBytes, zramBytes: sum(true), diskBytes: totalBytes - sum(true) };
}

/** `/dev/zram0  partition  2684928  0  5`: sizes in KiB. Null: no such text. */
export function parseSwaps(text: string): { isZram: boolean; bytes: number }[] | null {
  if (!/^Filename\s/m.test(text)) return null;
  return [...text.matchAll(/^(\/\S+)\s+\w+\s+(\d+)\s/gm)].map(([, path = '', kib]) => ({
    isZram: path.startsWith('/dev/zram'),
    bytes: Number(kib) * 1024,
  }));
}
