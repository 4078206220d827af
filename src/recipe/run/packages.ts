/** Packages of an index that are fetched, and verified, before the steps that install them. */
import type { PackageSource } from '../plan.js';

export interface FetchedPackage {
  name: string;
  /** The wheel, absolute. */
  path: string;
  sha256: string;
}

/** Handed in by the command: a recipe does not know the index. Null: the step's own command fetches it. */
export type FetchPackage = (
  source: PackageSource,
  tell: (line: string, share: number | null) => void,
) => Promise<FetchedPackage | null>;

/** The words of a command with the files of the packages that are here in place of their names: `torch`, `torch==2.8.0`. */
export function withFetched(argv: string[], fetched: FetchedPackage[]): string[] {
  if (!argv.includes('install')) return argv;
  return argv.map((word) => {
    const found = fetched.find(({ name }) => word === name || word.startsWith(`${name}==`));
    return found === undefined ? word : found.path;
  });
}
