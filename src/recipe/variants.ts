/** The compatibility matrix: which torch, CUDA and Python go with a board's release. */
import { join } from 'node:path';
import { compareVersions } from '../device/versions.js';
import { recipesDirectory } from './recipe.js';
import { type MatrixRow, matrixSchema } from './schema.js';
import { readYaml } from './yaml-file.js';

export function loadMatrix(path = join(recipesDirectory, 'matrix.yaml')): MatrixRow[] {
  return readYaml(path, () => matrixSchema);
}

/**
 * The row of a machine; null: its release is older or newer than all that are known, or not told.
 * `l4t`: Jetson Linux, `36.4.4`; `isJetson` for a board that hides it.
 */
export function rowFor({ l4t, isJetson }: { l4t: string | null; isJetson: boolean }, rows: MatrixRow[]) {
  const fits = (row: MatrixRow) => {
    if (!isJetson || l4t === null) return row.l4t === null && !isJetson;
    return row.l4t !== null && compareVersions(row.l4t[0], l4t) <= 0 && compareVersions(l4t, `${row.l4t[1]}.99`) <= 0;
  };
  return rows.find(fits) ?? null;
}
