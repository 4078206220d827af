/** The keys that open the server, compared in constant time, never logged; they can be replaced while it runs. */
import { createHash, timingSafeEqual } from 'node:crypto';

/** What is known of the sender of a request. */
export interface Caller {
  /**
   * A number of its own for each key, 0 where none is asked for. What callers must not see of each other (cached prefixes,
   * stored responses) is kept apart by it. The same key has the same number in every server, so that a session file finds
   * its callers again.
   */
  namespace: number;
}

const ANYONE: Caller = { namespace: 0 };

const digest = (key: string) => createHash('sha256').update(key).digest();

interface KnownKey {
  digest: Buffer;
  caller: Caller;
}

export class ApiKeys {
  #known: KnownKey[] = [];

  /** No keys: none is asked for. */
  constructor(keys: readonly string[] = []) {
    this.replace(keys);
  }

  get count(): number {
    return this.#known.length;
  }

  replace(keys: readonly string[]): void {
    this.#known = [...new Set(keys)].map((key) => {
      const hash = digest(key);
      return { digest: hash, caller: { namespace: namespaceOf(key) } };
    });
  }

  /** Who sends this key; null: nobody that may. */
  check(key: string | undefined): Caller | null {
    if (this.#known.length === 0) return ANYONE;
    if (key === undefined) return null;
    const given = digest(key);
    let found: Caller | null = null;
    // Every key is compared: which one matched must not show in the time taken.
    for (const known of this.#known) if (timingSafeEqual(known.digest, given)) found = known.caller;
    return found;
  }
}

/** 52 bits of a hash: from 1 on, below 2^53. */
function namespaceOf(key: string): number {
  return 1 + Number(digest(`namespace of ${key}`).readBigUInt64BE() >> 12n);
}
