/** Which Jetson Linux and JetPack are installed. */
import type { Packages } from './packages.js';
import { findRelease, isOfGeneration, nearestRelease } from './releases.js';
import { upstreamVersion } from './versions.js';

export interface Release {
  /** `36.4.4`; null: no file and no package tells. */
  l4t: string | null;
  /** Whether only the package nvidia-l4t-core told it: so in most containers. */
  isFromPackage: boolean;
  /** `6.2.1`; `unknown` for an L4T that is not in the table and a board without the metapackage. */
  jetpack: string | null;
  /** The version of the metapackage nvidia-jetpack, whole: `6.2.1+b38`. */
  jetpackPackage: string | null;
  /** For an L4T that is not in the table: the newest one before it that is. */
  nearest: { l4t: string; jetpack: string } | null;
}

/** Any of them carries the JetPack version; the first one is what people install. */
const METAPACKAGES = ['nvidia-jetpack', 'nvidia-jetpack-runtime', 'nvidia-jetpack-dev'];

export function identifyRelease(tegraRelease: string | null, packages: Packages): Release {
  const fromFile = parseTegraRelease(tegraRelease ?? '');
  const fromPackage = packages.get('nvidia-l4t-core');
  const l4t = fromFile ?? (fromPackage === undefined ? null : upstreamVersion(fromPackage));
  const jetpackPackage =
    METAPACKAGES.map((name) => packages.get(name)).find((version) => version !== undefined) ?? null;
  const known = l4t === null ? null : findRelease(l4t);
  return {
    l4t,
    isFromPackage: fromFile === null && l4t !== null,
    jetpack: jetpackOf(l4t, known?.jetpack ?? null, jetpackPackage),
    jetpackPackage,
    nearest: l4t === null || known !== null ? null : nearestRelease(l4t),
  };
}

/** The L4T decides; where it leaves the version open, the metapackage of the same generation does. */
function jetpackOf(l4t: string | null, known: string | null, jetpackPackage: string | null): string | null {
  if (known !== null && !known.endsWith('.x')) return known;
  const packaged = jetpackPackage === null ? null : upstreamVersion(jetpackPackage);
  if (packaged !== null && (l4t === null || isOfGeneration(packaged, l4t))) return packaged;
  return known ?? (l4t === null ? null : 'unknown');
}

/**
 * The line `# R36 (release), REVISION: 4.4, GCID: ...` of /etc/nv_tegra_release -> `36.4.4`. `BOARD:` in it is not the board.
 * A revision that the text breaks off in is not taken for a shorter one.
 */
export function parseTegraRelease(text: string): string | null {
  const match = /^\s*#?\s*R(\d{1,4})\s*\(\w+\)\s*,\s*REVISION:\s*(\d{1,4}(?:\.\d{1,4}){0,3})(\s*[,\n])?/im.exec(text);
  const [, line, revision = '', end] = match ?? [];
  return line !== undefined && (end !== undefined || revision.includes('.')) ? `${line}.${revision}` : null;
}
