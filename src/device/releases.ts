/** What each Jetson Linux (L4T) release is: its JetPack and the libraries that came with it. Data, and looking it up. */
import { compareVersions } from './versions.js';

/**
 * L4T -> JetPack, newest first. Sources: NVIDIA's apt index and boards first, then jetson_stats (f41d5cad) and
 * jetson-containers (dd206bfe), whose 36.5.0 is wrong and left out. `6.2.x`: the L4T tells no more than that.
 */
const JETPACKS: readonly (readonly [l4t: string, jetpack: string])[] = [
  ['39.2.1', '7.2.1'],
  ['39.2.0', '7.2'],
  ['39.1.0', '7.2'],
  ['39.0.0', '7.2 EA'],
  ['38.4.0', '7.1'],
  ['38.2.2', '7.0'],
  ['38.2.1', '7.0'],
  ['38.2.0', '7.0'],
  ['38.1.0', '7.0 EA'],
  ['36.5.2', '6.2.x'],
  ['36.5.1', '6.2.x'],
  ['36.5.0', '6.2.2'],
  ['36.4.7', '6.2.1'],
  ['36.4.4', '6.2.1'],
  ['36.4.3', '6.2'],
  ['36.4.2', '6.1'],
  ['36.4.0', '6.1'],
  ['36.3.0', '6.0'],
  ['36.2.0', '6.0 DP'],
  ['36.0.0', '6.0 EA'],
  ['35.6.4', '5.1.6'],
  ['35.6.3', '5.1.5'],
  ['35.6.2', '5.1.5'],
  ['35.6.1', '5.1.5'],
  ['35.6.0', '5.1.4'],
  ['35.5.0', '5.1.3'],
  ['35.4.1', '5.1.2'],
  ['35.3.1', '5.1.1'],
  ['35.3.0', '5.1.1 PRE'],
  ['35.2.1', '5.1'],
  ['35.1.0', '5.0.2'],
  ['34.1.1', '5.0.1 DP'],
  ['34.1.0', '5.0 DP'],
  ['34.0.1', '5.0 PRE-DP'],
  ['32.7.6', '4.6.6'],
  ['32.7.5', '4.6.5'],
  ['32.7.4', '4.6.4'],
  ['32.7.3', '4.6.3'],
  ['32.7.2', '4.6.2'],
  ['32.7.1', '4.6.1'],
  ['32.6.1', '4.6'],
  ['32.5.2', '4.5.1'],
  ['32.5.1', '4.5.1'],
  ['32.5.0', '4.5'],
  ['32.4.4', '4.4.1'],
  ['32.4.3', '4.4'],
  ['32.4.2', '4.4 DP'],
  ['32.3.1', '4.3'],
  ['32.2.3', '4.2.3'],
  ['32.2.1', '4.2.2'],
  ['32.2.0', '4.2.1'],
  ['32.1.0', '4.2'],
  ['31.1.0', '4.1.1'],
  ['28.4.0', '3.3.3'],
  ['28.2.1', '3.3'],
];

/** The libraries of a line of releases. Null: sources do not agree, so nothing is judged by it. */
export interface Stack {
  /** The first L4T of the line. */
  from: string;
  cuda: string | null;
  cudnn: string | null;
  tensorrt: string | null;
  ubuntu: string;
  python: string;
  /** Compute capabilities that the release's libraries are compiled for. */
  archs: readonly number[];
}

const STACKS: readonly Stack[] = [
  { from: '39.0', cuda: '13.2', cudnn: '9.20', tensorrt: '10.16', ubuntu: '24.04', python: '3.12', archs: [87, 110] },
  { from: '38.0', cuda: '13.0', cudnn: '9.12', tensorrt: '10.13', ubuntu: '24.04', python: '3.12', archs: [110] },
  { from: '36.4', cuda: '12.6', cudnn: '9.3', tensorrt: '10.3', ubuntu: '22.04', python: '3.10', archs: [87] },
  { from: '36.0', cuda: null, cudnn: null, tensorrt: null, ubuntu: '22.04', python: '3.10', archs: [87] },
  { from: '34.0', cuda: '11.4', cudnn: null, tensorrt: null, ubuntu: '20.04', python: '3.8', archs: [72, 87] },
  { from: '32.6', cuda: '10.2', cudnn: '8.2', tensorrt: null, ubuntu: '18.04', python: '3.6', archs: [53, 62, 72] },
  { from: '32.4', cuda: '10.2', cudnn: '8.0', tensorrt: '7.1', ubuntu: '18.04', python: '3.6', archs: [53, 62, 72] },
  { from: '31.0', cuda: '10.0', cudnn: null, tensorrt: null, ubuntu: '18.04', python: '3.6', archs: [53, 62, 72] },
  { from: '28.0', cuda: '9.0', cudnn: null, tensorrt: null, ubuntu: '16.04', python: '3.5', archs: [53, 62] },
];

export interface KnownRelease {
  l4t: string;
  jetpack: string;
}

const RELEASES: readonly KnownRelease[] = JETPACKS.map(([l4t, jetpack]) => ({ l4t, jetpack }));

/** The release of exactly this L4T; `32.5` is `32.5.0`. Null: not known, and no other stands in for it. */
export function findRelease(l4t: string): KnownRelease | null {
  return RELEASES.find((known) => compareVersions(known.l4t, l4t) === 0) ?? null;
}

/** The newest known release that is older than this one; the oldest known where there is none. */
export function nearestRelease(l4t: string): KnownRelease {
  const older = RELEASES.find((known) => compareVersions(known.l4t, l4t) < 0);
  return older ?? (RELEASES[RELEASES.length - 1] as KnownRelease);
}

/** The libraries of this L4T's line; null for a line that is not known. */
export function stackOf(l4t: string): Stack | null {
  const stack = STACKS.find(({ from }) => compareVersions(from, l4t) <= 0);
  const sameMajor = stack !== undefined && RELEASES.some((known) => major(known.l4t) === major(l4t));
  return sameMajor ? stack : null;
}

/** The newest L4T of a JetPack version: what its metapackage belongs to. */
export function l4tOfJetpack(version: string): string | null {
  return RELEASES.find((known) => known.jetpack.split(' ')[0] === version)?.l4t ?? null;
}

const major = (version: string) => Number.parseInt(version, 10);

/** The L4T lines that a JetPack generation is made of: 7 is R38 and R39. */
export function isOfGeneration(jetpack: string, l4t: string): boolean {
  const lines: Record<number, number[]> = { 3: [28], 4: [31, 32], 5: [34, 35], 6: [36], 7: [38, 39] };
  return lines[major(jetpack)]?.includes(major(l4t)) ?? false;
}
