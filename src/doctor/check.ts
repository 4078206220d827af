/** What a check is: a pure function from the facts to what was found. */
import type { Facts } from './facts.js';
import type { Finding, Group, Status } from './finding.js';

/** `expected` and `why` stand in for the check's own where they depend on the facts. */
export type Outcome = Pick<Finding, 'status' | 'found' | 'fix'> & Partial<Pick<Finding, 'expected' | 'why'>>;

export interface Check {
  id: string;
  group: Group;
  expected: string;
  why: string;
  /** Null: does not apply to this machine, so nothing is shown. */
  look: (facts: Facts) => Outcome | null;
}

export const outcome = (status: Status, found: string, fix: string | null = null): Outcome => ({ status, found, fix });
export const notTold = outcome('skip', 'not told by the files');
export const notLooked = outcome('skip', 'not looked at on a copied machine');

export const GIB = 1024 ** 3;
export const gib = (bytes: number) => `${(bytes / GIB).toFixed(1)} GiB`;
