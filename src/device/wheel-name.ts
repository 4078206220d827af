/** The name of a wheel's file, which says what it is and for whom (PEP 427). */
import { normaliseName } from './wheels-versions.js';

export interface WheelName {
  /** Normalised. */
  name: string;
  version: string;
  /** `1`, `2abc`; empty: none. */
  build: string;
  /** Every tag that the name's compressed sets stand for. */
  tags: string[];
}

/** The parts of `torch-2.8.0-1-cp310-cp310-linux_aarch64.whl`; null where it is not the name of a wheel. */
export function parseWheelName(filename: string): WheelName | null {
  const match = /^([^-]+)-([^-]+)(?:-(\d[^-]*))?-([^-]+)-([^-]+)-([^-]+)\.whl$/i.exec(filename);
  if (match === null) return null;
  const [, name = '', version = '', build = '', pythons = '', abis = '', platforms = ''] = match;
  const split = (set: string) => set.toLowerCase().split('.');
  const tags = split(pythons).flatMap((python) =>
    split(abis).flatMap((abi) => split(platforms).map((platform) => `${python}-${abi}-${platform}`)),
  );
  return { name: normaliseName(name), version: version.replaceAll('_', '-'), build, tags };
}
