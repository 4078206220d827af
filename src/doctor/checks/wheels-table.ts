/** Which wheels go together on a Jetson, and where they come from: wheels/jetson.yaml, read once. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { compareVersions } from '../../device/versions.js';
import { packageRoot } from '../../version.js';

const tableSchema = z.strictObject({
  index: z.strictObject({
    address: z.url(),
    gone: z.array(z.string()),
    paths: z.array(z.strictObject({ from: z.string(), path: z.string().nullable() })),
  }),
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
  if (l4t === null) return null;
  const { address, paths } = wheelTable().index;
  const path = paths.find(({ from }) => compareVersions(from, l4t) <= 0)?.path ?? null;
  return path === null ? null : `${address}/${path}/+simple/`;
}
