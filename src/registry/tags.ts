/** Which wheels a Python takes (PEP 425, PEP 600), best first, as pip orders them. */

/** The Python that is to import the wheel, and the machine that it runs on. */
export interface Target {
  /** CPython's version: `3.10`. */
  python: string;
  /** As the kernel names it: `aarch64`, `x86_64`. */
  machine: string;
  /** Version of the C library: `2.35`. Null: not glibc, or not known; no manylinux wheel then. */
  glibc: string | null;
}

/** First minor version of glibc 2 that manylinux knows, by machine; others begin at 17. */
const FIRST_GLIBC: Record<string, number> = { x86_64: 5, i686: 5 };
/** Older names of manylinux. */
const LEGACY: Record<number, string> = { 17: 'manylinux2014', 12: 'manylinux2010', 5: 'manylinux1' };
/** The first Python with a stable ABI; on aarch64 too. */
const FIRST_ABI3 = 2;

/** `manylinux_2_35_aarch64` down to `manylinux2014_aarch64`, then `linux_aarch64`. */
export function supportedPlatforms({ machine, glibc }: Target): string[] {
  const [major, minor] = (glibc ?? '').split('.').map(Number);
  const platforms: string[] = [];
  for (let i = major === 2 ? (minor ?? 0) : 0; i >= (FIRST_GLIBC[machine] ?? 17); i -= 1) {
    platforms.push(`manylinux_2_${i}_${machine}`);
    const legacy = LEGACY[i];
    if (legacy !== undefined) platforms.push(`${legacy}_${machine}`);
  }
  return [...platforms, `linux_${machine}`];
}

/** `cp310-cp310-linux_aarch64` ... `py30-none-any`: a wheel with an earlier tag is the better one. */
export function supportedTags(target: Target): string[] {
  const [major = 3, minor = 0] = target.python.split('.').map(Number);
  const platforms = supportedPlatforms(target);
  const cpython = `cp${major}${minor}`;
  // Up to 3.7 the ABI's name told how memory is allocated.
  const abi = minor < 8 ? `${cpython}m` : cpython;
  const on = (interpreter: string, kind: string) => platforms.map((platform) => `${interpreter}-${kind}-${platform}`);
  const older = Array.from({ length: minor }, (_, i) => minor - 1 - i);
  const generic = [`py${major}${minor}`, `py${major}`, ...older.map((i) => `py${major}${i}`)];
  return [
    ...on(cpython, abi),
    ...on(cpython, 'abi3'),
    ...on(cpython, 'none'),
    ...older.filter((i) => i >= FIRST_ABI3).flatMap((i) => on(`cp${major}${i}`, 'abi3')),
    ...generic.flatMap((name) => on(name, 'none')),
    `${cpython}-none-any`,
    ...generic.map((name) => `${name}-none-any`),
  ];
}
