/** Which torch, CUDA and Python go with a board's release: the lines of wheels/index.yaml that there are recipes for. */
import { type IndexTable, indexTable, type JetsonLine, lineOf } from '../device/wheel-index.js';

/** Versions that go together on a machine; null: the machine decides. */
export interface Versions {
  cuda: string | null;
  python: string | null;
  /** Known to work; null: none is. */
  torch: string | null;
  warnings: string[];
}

/**
 * Null: a release that is older or newer than all that are built for, or not told.
 * `l4t`: Jetson Linux, `36.4.4`; `isJetson` for a board that hides it.
 */
export function versionsFor(
  { l4t, isJetson }: { l4t: string | null; isJetson: boolean },
  table: IndexTable = indexTable(),
): Versions | null {
  if (!isJetson) return { cuda: null, python: null, torch: table.other.torch, warnings: [] };
  const line = lineOf(l4t, table);
  return line?.builds ? ofLine(line) : null;
}

const ofLine = ({ cuda, python, torch, warnings }: JetsonLine): Versions => ({
  cuda: cuda[0] ?? null,
  python,
  torch,
  warnings,
});
