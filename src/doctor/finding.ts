export const WORST_FIRST = ['fail', 'warn', 'pass', 'skip'] as const;
export type Status = (typeof WORST_FIRST)[number];

/** Headings of the report, in its order. */
export const GROUPS = ['machine', 'performance', 'memory', 'software', 'python', 'runtime'] as const;
export type Group = (typeof GROUPS)[number];

/** One thing that was looked at. */
export interface Finding {
  id: string;
  group: Group;
  status: Status;
  found: string;
  expected: string;
  /** What it matters for. */
  why: string;
  /** The command that mends it, or what to do next; null where nothing is to be done. */
  fix: string | null;
}
