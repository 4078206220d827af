/** Versions of Python packages and what is required of them (PEP 440, PEP 508), as far as installed wheels use them. */
import { compareVersions, isPreRelease, parseVersion, publicVersion, type Version } from './python-version.js';

export interface Requirement {
  /** Normalised name. */
  name: string;
  /** `==2.8.0,!=2.8.1`; empty: any version. */
  specifier: string;
}

/** `Sgl_Kernel.x` -> `sgl-kernel-x` (PEP 503). */
export function normaliseName(name: string): string {
  return name.toLowerCase().replace(/[-_.]+/g, '-');
}

/** The tag behind `+`, which says how it was built: `cu126`, `cpu`, `nv24.08`. */
export function localTag(version: string): string | null {
  return /\+([\w.-]+)\s*$/.exec(version)?.[1]?.toLowerCase() ?? null;
}

/** Whether a version meets `>=2.0,<3`. Clauses that are not understood are met. */
export function meets(version: string, specifier: string): boolean {
  const parsed = parseVersion(version);
  if (parsed === null) return true;
  // NVIDIA's builds are named after the release that they lead to: 2.8.0a0+34c6371d24.nv25.08.
  const isNvidias = isPreRelease(parsed) && /\bnv\d/.test(localTag(version) ?? '');
  const own = isNvidias ? { ...parsed, pre: null, post: null, dev: null } : parsed;
  return specifier
    .split(',')
    .filter((clause) => clause.trim() !== '')
    .every((clause) => meetsClause(own, clause));
}

/** Unlike pip's own rules (registry/specifier.ts): what an older wheel wrote loosely, `>=3.6.*`, is read as it was meant. */
function meetsClause(version: Version, clause: string): boolean {
  const [, operator, wanted = ''] = /^\s*(~=|===?|!=|<=|>=|<|>)\s*(.+?)\s*$/.exec(clause) ?? [];
  const isPrefix = wanted.endsWith('.*');
  const other = parseVersion(isPrefix ? wanted.slice(0, -2) : wanted);
  if (operator === undefined || other === null) return true;
  const order = compareVersions(publicVersion(version), publicVersion(other));
  const startsWith = (length: number) =>
    other.release.slice(0, length).every((part, i) => part === (version.release[i] ?? 0));
  const sameLocal = other.local === null || other.local.join('.') === version.local?.join('.');
  const equal = isPrefix ? startsWith(other.release.length) : order === 0 && sameLocal;
  switch (operator) {
    case '==':
    case '===':
      return equal;
    case '!=':
      return !equal;
    case '~=':
      return order >= 0 && startsWith(other.release.length - 1);
    case '<':
      return order < 0;
    case '>':
      return order > 0;
    case '<=':
      return order <= 0;
    default:
      return order >= 0;
  }
}

export interface MarkerFacts {
  /** `3.10` */
  pythonVersion: string | null;
  /** `aarch64`, `x86_64` */
  machine: string;
  /** Extras that are asked for, normalised; default: none. */
  extras?: string[];
}

/**
 * `torch==2.8.0; platform_machine == "aarch64"`. Null for what is not required here: another machine, another extra, an address
 * instead of a version, or a condition that is not understood.
 */
export function parseRequirement(line: string, facts: MarkerFacts): Requirement | null {
  const [, name, , rest = '', marker] =
    /^\s*([A-Za-z0-9][\w.-]*)\s*(\[[^\]]*\])?\s*([^;]*?)\s*(?:;\s*(.+?)\s*)?$/.exec(line) ?? [];
  if (name === undefined || rest.startsWith('@')) return null;
  if (marker !== undefined && !holds(marker, facts)) return null;
  const specifier = rest.replace(/^\(|\)$/g, '').trim();
  // It is shown in commands to be copied.
  return /^[\w.,<>=!~*+ -]*$/.test(specifier) ? { name: normaliseName(name), specifier } : null;
}

/** Conditions joined by `and` alone, or by `or` alone. */
function holds(marker: string, facts: MarkerFacts): boolean {
  const text = marker.replace(/[()]/g, ' ');
  const alternatives = text.split(/\bor\b/);
  if (alternatives.length > 1 && /\band\b/.test(text)) return false;
  return alternatives.some((part) => part.split(/\band\b/).every((condition) => conditionHolds(condition, facts)));
}

function conditionHolds(condition: string, { pythonVersion, machine, extras = [] }: MarkerFacts): boolean {
  const [, name, operator = '', value = ''] =
    /^\s*(\w+)\s*(==|!=|<=|>=|<|>)\s*["']([^"']*)["']\s*$/.exec(condition) ?? [];
  const known: Record<string, string | null> = {
    platform_machine: machine,
    platform_system: 'Linux',
    sys_platform: 'linux',
    os_name: 'posix',
    platform_python_implementation: 'CPython',
    implementation_name: 'cpython',
  };
  if (name === 'python_version' || name === 'python_full_version') {
    return pythonVersion !== null && meets(pythonVersion, `${operator}${value}`);
  }
  if (name === 'extra') return operator === '==' && extras.includes(normaliseName(value));
  const own = name === undefined ? undefined : known[name];
  if (own === undefined || own === null) return false;
  return operator === '==' ? own === value : operator === '!=' ? own !== value : false;
}
