/** Which wheels go together on a Jetson: wheels/jetson.yaml, read once. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { indexUrl, platformPath } from '../../device/wheel-index.js';
import { packageRoot } from '../../version.js';

const tableSchema = z.strictObject({
  pairs: z.array(
    z.strictObject({
      package: z.string(),
      with: z.string(),
      why: z.string(),
      versions: z.record(z.string(), z.string()),
    }),
  ),
  same: z.array(z.tuple([z.string(), z.string()])),
  twins: z.array(z.strictObject({ module: z.string(), packages: z.array(z.string()) })),
  extras: z.record(z.string(), z.array(z.string())),
  numpy2: z.strictObject({ torch: z.string(), nvidia: z.string() }),
});

export type WheelTable = z.infer<typeof tableSchema>;

let table: WheelTable | undefined;

export function wheelTable(): WheelTable {
  table ??= tableSchema.parse(parse(readFileSync(join(packageRoot, 'wheels/jetson.yaml'), 'utf8')));
  return table;
}

/** What pip is given on a board with this L4T; null: the index has nothing for it. */
export function jetsonIndexUrl(l4t: string | null): string | null {
  const path = platformPath({ l4t, isJetson: true, hasGpu: true, machine: 'aarch64', cuda: null });
  return path === null ? null : indexUrl(path);
}
