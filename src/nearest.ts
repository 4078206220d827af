/** The known name a person most likely meant, for "did you mean" hints. */

/** Edits (insert, delete, replace, swap of neighbours) between two strings: optimal string alignment distance. */
export function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replace = (last[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      let cost = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, replace);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) cost = Math.min(cost, (beforeLast[j - 2] ?? 0) + 1);
      row.push(cost);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length] ?? 0;
}

const normalise = (name: string) => name.toLowerCase().replaceAll('_', '-').slice(0, 64);

/**
 * The candidate nearest to `name`, or null when none resembles it. A candidate that begins with the typed name (or the
 * other way round) counts as half an edit; case and `_` for `-` count as none.
 */
export function nearest(name: string, candidates: Iterable<string>): string | null {
  const typed = normalise(name);
  let best: { candidate: string; distance: number } | null = null;
  for (const candidate of candidates) {
    const known = normalise(candidate);
    const isPrefix = typed.length >= 2 && (known.startsWith(typed) || typed.startsWith(known));
    const distance = isPrefix ? Math.min(0.5, Math.abs(known.length - typed.length)) : editDistance(typed, known);
    if (best === null || distance < best.distance) best = { candidate, distance };
  }
  if (best === null) return null;
  return best.distance <= Math.max(1, Math.floor(typed.length / 2)) ? best.candidate : null;
}
