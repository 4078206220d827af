/** Files in and out of the kernel's page cache, without root. */
import { createReadStream } from 'node:fs';
import type { Source } from '../device/source.js';

/** Reads them all, so that they are in the cache as far as they fit. */
export async function warmCache(files: readonly string[], signal: AbortSignal): Promise<void> {
  for (const file of files) {
    const stream = createReadStream(file, { highWaterMark: 4 << 20, signal });
    for await (const _ of stream);
  }
}

/** Asks the kernel to forget them, as GNU dd does for `iflag=nocache`. False: there is no such dd. */
export async function dropCache({ run }: Pick<Source, 'run'>, files: readonly string[]): Promise<boolean> {
  for (const file of files) {
    const done = await run('dd', [`if=${file}`, 'iflag=nocache', 'count=0', 'status=none'], 60_000);
    if (done?.code !== 0) return false;
  }
  return true;
}

/** Share of the files' bytes that is in the cache, by util-linux's fincore; null: it is not there. */
export async function cachedShare({ run }: Pick<Source, 'run'>, files: readonly string[]): Promise<number | null> {
  const said = await run('fincore', ['--bytes', '--noheadings', '--raw', '--output', 'RES,SIZE', ...files], 60_000);
  return said?.code === 0 ? parseFincore(said.stdout) : null;
}

/** `98304 105454144`, a line a file. Null: no such text. */
export function parseFincore(text: string): number | null {
  let [resident, size] = [0, 0];
  for (const [, res, all] of text.matchAll(/^\s*(\d+)\s+(\d+)\s*$/gm)) {
    resident += Number(res);
    size += Number(all);
  }
  // Whole pages are counted.
  return size === 0 ? null : Math.min(1, resident / size);
}
