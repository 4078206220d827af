/** Dotted version numbers. */

const parts = (version: string) => (/\d+(?:\.\d+)*/.exec(version)?.[0] ?? '0').split('.').map(Number);

/** Negative: a is older. Missing parts count as 0: `32.5` is `32.5.0`. What follows the number is not looked at. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [parts(a), parts(b)];
  for (let i = 0; i < Math.max(left.length, right.length); i += 1) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Whether a version belongs to a line, as far as both tell: `12.6.68` to `12.6`, `9.3.0` to `9.3`. */
export function isOfLine(version: string, line: string): boolean {
  const wanted = parts(line);
  return parts(version)
    .slice(0, wanted.length)
    .every((part, i) => part === wanted[i]);
}

/** The dotted number of a Debian version: `1:9.3.0.75-1+cuda12.6` -> `9.3.0.75`. */
export function upstreamVersion(version: string): string {
  return /^(?:\d+:)?(\d+(?:\.\d+)*)/.exec(version.trim())?.[1] ?? version.trim();
}
