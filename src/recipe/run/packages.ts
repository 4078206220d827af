/** Packages of an index that are fetched, and verified, before the steps that install them. */
import type { PackageSource } from '../plan.js';

export interface FetchedPackage {
  name: string;
  version: string;
  sha256: string;
}

export interface FetchContext {
  /** Absolute; where the wheels go, with those that they require, and nothing else stays. */
  directory: string;
  /** The interpreter that is to import them. */
  python: string;
  signal: AbortSignal;
  tell: (line: string, share: number | null) => void;
}

/** Handed in by the command: a recipe does not know the index. `isCached`: all was here. */
export type FetchPackage = (
  source: PackageSource,
  context: FetchContext,
) => Promise<{ packages: FetchedPackage[]; isCached: boolean }>;
