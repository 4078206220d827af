/** Which versions a requirement takes (PEP 440): `>=2.4,<3`, `~=2.5.0`, `==2.8.*`, `===2.8.0+cu126`. */
import {
  compareRelease,
  compareVersions,
  isPreRelease,
  parseVersion,
  publicVersion,
  type Version,
} from '../device/python-version.js';

const OPERATORS = ['~=', '===', '==', '!=', '<=', '>=', '<', '>'] as const;

export interface Specifier {
  operator: (typeof OPERATORS)[number];
  /** As written, for `===`, which compares texts. */
  text: string;
  /** Null: a text that only `===` takes. */
  version: Version | null;
  /** Ends in `.*`. */
  isPrefix: boolean;
}

/** Null where a part is not a specifier; an empty text is an empty list, which takes every version. */
export function parseSpecifiers(text: string): Specifier[] | null {
  const parts = text
    .split(',')
    .map((part) => part.trim())
    .filter(Boolean)
    .map(parseSpecifier);
  return parts.every((part) => part !== null) ? parts : null;
}

function parseSpecifier(text: string): Specifier | null {
  const match = /^(~=|={2,3}|!=|<=|>=|<|>)\s*(\S+)$/.exec(text);
  if (match === null) return null;
  const [, operator, written = ''] = match as unknown as [string, Specifier['operator'], string];
  const isPrefix = operator !== '===' && written.endsWith('.*');
  const version = parseVersion(isPrefix ? written.slice(0, -2) : written);
  const specifier = { operator, text: written, version, isPrefix };
  return operator === '===' || isLegal(specifier) ? specifier : null;
}

/** Only == and != know prefixes and local versions; a prefix is a plain release; ~= needs a part to let go. */
function isLegal({ operator, version, isPrefix }: Specifier): boolean {
  if (version === null) return false;
  const isEquality = operator === '==' || operator === '!=';
  if (!isEquality && (isPrefix || version.local !== null)) return false;
  if (isPrefix) return !isPreRelease(version) && version.post === null && version.local === null;
  return operator !== '~=' || version.release.length > 1;
}

/** Whether all of them take the version. Says nothing about whether pre-releases are wanted. */
export const satisfies = (version: Version, specifiers: Specifier[], text = '') =>
  specifiers.every((specifier) => takes(specifier, version, text));

/** Whether one of them names a pre-release, so that pre-releases are wanted. */
export const namesPreRelease = (specifiers: Specifier[]) =>
  specifiers.some(({ operator, version }) => operator !== '!=' && version !== null && isPreRelease(version));

function takes(specifier: Specifier, candidate: Version, text: string): boolean {
  const { operator, version } = specifier;
  if (operator === '===') return specifier.text.toLowerCase() === text.trim().toLowerCase();
  if (version === null) return false;
  const order = compareVersions(candidate, version);
  const publicOrder = compareVersions(publicVersion(candidate), version);
  switch (operator) {
    case '==':
      return equals(specifier, candidate);
    case '!=':
      return !equals(specifier, candidate);
    case '>=':
      return publicOrder >= 0;
    case '<=':
      return publicOrder <= 0;
    case '~=':
      return publicOrder >= 0 && hasPrefix(candidate, { ...version, release: version.release.slice(0, -1) });
    // 3.0rc1 comes before 3.0, but who asks for <3.0 does not mean it.
    case '<':
      return compareVersions(candidate, isPreRelease(version) ? version : { ...version, dev: 0 }) < 0;
    // Nor does >2.0 mean 2.0.post1 or 2.0+cu126.
    case '>':
      return (
        order > 0 &&
        compareVersions(version.post === null ? withoutPost(candidate) : publicVersion(candidate), version) !== 0
      );
  }
}

function equals({ version, isPrefix }: Specifier, candidate: Version): boolean {
  if (version === null) return false;
  if (isPrefix) return hasPrefix(candidate, version);
  return compareVersions(version.local === null ? publicVersion(candidate) : candidate, version) === 0;
}

function hasPrefix(candidate: Version, { epoch, release }: Version): boolean {
  const head = release.map((_, i) => candidate.release[i] ?? 0);
  return candidate.epoch === epoch && compareRelease(head, release) === 0;
}

/** The version that a post-release mends, or that a local version is a build of. */
const withoutPost = (version: Version): Version =>
  publicVersion(version.post === null ? version : { ...version, post: null, dev: null });
