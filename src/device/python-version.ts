/** Versions of Python packages (PEP 440): the whole grammar, in the order that pip has. */

export interface Version {
  epoch: number;
  release: number[];
  pre: { stage: 'a' | 'b' | 'rc'; number: number } | null;
  post: number | null;
  dev: number | null;
  /** Behind the `+`: `cu126`, `nv24.08`; numbers as numbers. */
  local: (number | string)[] | null;
}

const PATTERN =
  /^\s*v?(?:(\d+)!)?(\d+(?:\.\d+)*)(?:[-_.]?(alpha|a|beta|b|preview|pre|c|rc)[-_.]?(\d*))?(?:-(\d+)|[-_.]?(post|rev|r)[-_.]?(\d*))?(?:[-_.]?(dev)[-_.]?(\d*))?(?:\+([a-z0-9]+(?:[-_.][a-z0-9]+)*))?\s*$/i;
const SPELLINGS = { alpha: 'a', a: 'a', beta: 'b', b: 'b', preview: 'rc', pre: 'rc', c: 'rc', rc: 'rc' } as const;
/** Nothing that a project calls its version is longer; a pattern must not chew on more. */
const MAX_LENGTH = 200;

/** Null where the text is no version. */
export function parseVersion(text: string): Version | null {
  const match = text.length > MAX_LENGTH ? null : PATTERN.exec(text);
  if (match === null) return null;
  const [, epoch = '0', release = '', stage, preNumber, dash, post, postNumber, dev, devNumber, local] = match;
  const word = stage?.toLowerCase() as keyof typeof SPELLINGS | undefined;
  return {
    epoch: Number(epoch),
    release: release.split('.').map(Number),
    pre: word === undefined ? null : { stage: SPELLINGS[word], number: Number(preNumber || 0) },
    post: dash !== undefined ? Number(dash) : post !== undefined ? Number(postNumber || 0) : null,
    dev: dev === undefined ? null : Number(devNumber || 0),
    local: local === undefined ? null : local.toLowerCase().split(/[-_.]/).map(localPart),
  };
}

const localPart = (text: string) => (/^\d+$/.test(text) ? Number(text) : text);

/** The normal spelling: `v1.0-alpha.1` -> `1.0a1`. */
export function formatVersion({ epoch, release, pre, post, dev, local }: Version): string {
  return [
    epoch === 0 ? '' : `${epoch}!`,
    release.join('.'),
    pre === null ? '' : `${pre.stage}${pre.number}`,
    post === null ? '' : `.post${post}`,
    dev === null ? '' : `.dev${dev}`,
    local === null ? '' : `+${local.join('.')}`,
  ].join('');
}

export const isPreRelease = ({ pre, dev }: Version) => pre !== null || dev !== null;

/** Without what stands behind the `+`. */
export const publicVersion = (version: Version): Version => ({ ...version, local: null });

/** Negative: a comes before b. */
export function compareVersions(a: Version, b: Version): number {
  return (
    a.epoch - b.epoch ||
    compareRelease(a.release, b.release) ||
    compareLists(stageKey(a), stageKey(b)) ||
    compareLocal(a.local, b.local)
  );
}

/** Missing parts are zeros: 1.0 is 1. */
export function compareRelease(a: number[], b: number[]): number {
  const pad = (release: number[]) => Array.from({ length: Math.max(a.length, b.length) }, (_, i) => release[i] ?? 0);
  return compareLists(pad(a), pad(b));
}

/** Within a release: dev, then a, b, rc, each with its own dev and post, then the release, then its posts. */
function stageKey({ pre, post, dev }: Version): number[] {
  const only = pre === null && post === null && dev !== null;
  const stage = pre !== null ? ['a', 'b', 'rc'].indexOf(pre.stage) : only ? -1 : 3;
  return [stage, pre?.number ?? 0, post ?? -1, dev ?? Number.MAX_VALUE];
}

function compareLists(a: number[], b: number[]): number {
  const at = a.findIndex((part, i) => part !== b[i]);
  return at === -1 ? 0 : (a[at] ?? 0) - (b[at] ?? 0);
}

/** None comes first, words before numbers, and a longer one after its own beginning. */
function compareLocal(a: Version['local'], b: Version['local']): number {
  if (a === null || b === null) return Number(a !== null) - Number(b !== null);
  for (let i = 0; i < Math.max(a.length, b.length); i += 1) {
    const [left, right] = [a[i], b[i]];
    if (left === right) continue;
    if (left === undefined || right === undefined) return left === undefined ? -1 : 1;
    if (typeof left !== typeof right) return typeof left === 'string' ? -1 : 1;
    return left < right ? -1 : 1;
  }
  return 0;
}
