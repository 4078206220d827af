/** Of a project's files, those that fit a Python and a requirement, best first. Pure. */
import { compareVersions, isPreRelease, parseVersion, type Version } from '../device/python-version.js';
import { parseWheelName } from '../device/wheel-name.js';
import { normaliseName } from '../device/wheels-versions.js';
import type { ProjectFile } from './project-page.js';
import { namesPreRelease, parseSpecifiers, type Specifier, satisfies } from './specifier.js';
import { supportedTags, type Target } from './tags.js';

export interface Requirement {
  /** Normalised. */
  name: string;
  specifiers: Specifier[];
}

export interface Candidate extends ProjectFile {
  /** Normalised. */
  name: string;
  version: string;
  /** Where its best tag stands among those supported; 0 is best. Infinity: a source package. */
  rank: number;
}

/** `torch>=2.4,<3`, `sglang[srt]==0.4.2`; null where it is no requirement. Markers are the caller's. */
export function parseRequirement(text: string): Requirement | null {
  const match = /^\s*([a-z0-9](?:[\w.-]*[a-z0-9])?)\s*(?:\[[^\]]*\])?\s*\(?([^;()]*)\)?\s*(?:;.*)?$/i.exec(text);
  const specifiers = match === null ? null : parseSpecifiers(match[2] ?? '');
  return match === null || specifiers === null ? null : { name: normaliseName(match[1] ?? ''), specifiers };
}

export interface SelectOptions {
  /** Source packages too, behind every wheel of the same version. */
  sources?: boolean;
  /** Files without a sha256 too. */
  unhashed?: boolean;
}

interface Judged {
  candidate: Candidate;
  parsed: Version;
  build: [number, string];
}

/**
 * Candidates, best first: the newest version, then the best tag, then the highest build number. Pre-releases come in only
 * when they are asked for or there is nothing else; a withdrawn file only where the requirement names its exact version.
 */
export function selectFiles(
  files: ProjectFile[],
  { name, specifiers }: Requirement,
  target: Target,
  options: SelectOptions = {},
): Candidate[] {
  const ranks = new Map(supportedTags(target).map((tag, i) => [tag, i]));
  const judged = files.flatMap((file) => {
    const found = judge(file, name, ranks, target, options);
    return found === null || !satisfies(found.parsed, specifiers, found.candidate.version) ? [] : found;
  });
  const usable = judged.filter(({ candidate }) => candidate.yanked === null || pinsOne(specifiers));
  const finals = usable.filter(({ parsed }) => !isPreRelease(parsed));
  const chosen = finals.length > 0 && !namesPreRelease(specifiers) ? finals : usable;
  return chosen.sort(better).map(({ candidate }) => candidate);
}

const pinsOne = (specifiers: Specifier[]) =>
  specifiers.some(({ operator, isPrefix }) => operator === '===' || (operator === '==' && !isPrefix));

function judge(
  file: ProjectFile,
  name: string,
  ranks: Map<string, number>,
  target: Target,
  { sources = false, unhashed = false }: SelectOptions,
): Judged | null {
  const wheel = parseWheelName(file.filename);
  const version = wheel?.name === name ? wheel.version : sources && wheel === null ? sourceVersion(file, name) : null;
  const parsed = version === null ? null : parseVersion(version);
  if (version === null || parsed === null || (file.sha256 === null && !unhashed)) return null;
  if (file.requiresPython !== null && !takesPython(file.requiresPython, target.python)) return null;
  const rank =
    wheel === null
      ? Number.POSITIVE_INFINITY
      : Math.min(...wheel.tags.map((tag) => ranks.get(tag) ?? NaN).filter((n) => !Number.isNaN(n)));
  if (wheel !== null && rank === Number.POSITIVE_INFINITY) return null;
  const [, number = '', rest = ''] = /^(\d*)(.*)$/.exec(wheel?.build ?? '') ?? [];
  return { candidate: { ...file, name, version, rank }, parsed, build: [number === '' ? -1 : Number(number), rest] };
}

/** A text that cannot be read forbids nothing, as with pip. */
function takesPython(requires: string, python: string): boolean {
  const specifiers = parseSpecifiers(requires);
  // An index tells minor versions apart by .0: `>=3.10.1` is rare, and a Python 3.10 is then taken as the newest 3.10.
  const version = parseVersion(python.split('.').length > 2 ? python : `${python}.99`);
  return specifiers === null || version === null || satisfies(version, specifiers);
}

/** `flashinfer_python-0.2.5.tar.gz` -> `0.2.5`. */
function sourceVersion({ filename }: ProjectFile, name: string): string | null {
  const stem = /^(.+)\.(?:tar\.gz|tgz|zip|tar\.bz2)$/i.exec(filename)?.[1];
  const at = [...(stem ?? '').matchAll(/-/g)].find(({ index }) => normaliseName((stem ?? '').slice(0, index)) === name);
  return stem === undefined || at === undefined ? null : stem.slice(at.index + 1);
}

function better(a: Judged, b: Judged): number {
  const byVersion = compareVersions(b.parsed, a.parsed);
  if (byVersion !== 0) return byVersion;
  if (a.candidate.rank !== b.candidate.rank) return a.candidate.rank - b.candidate.rank;
  return b.build[0] - a.build[0] || (a.build[1] < b.build[1] ? 1 : a.build[1] > b.build[1] ? -1 : 0);
}
