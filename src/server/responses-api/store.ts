/** Responses that clients may ask for again and go on from: in memory, for a time, within bytes; each caller sees its own. */
import type { Caller } from '../api-keys.js';
import { LIMITS } from '../limits.js';
import type { Item } from './conversation.js';

interface Entry {
  /** JSON: what strings hold is what they take. */
  response: string;
  items: string;
  bytes: number;
  expiresAt: number;
}

/** One caller's, the one longest unused first. */
interface Shelf {
  entries: Map<string, Entry>;
  bytes: number;
}

export interface StoreLimits {
  maxBytes: number;
  maxAgeMs: number;
}

const DEFAULTS: StoreLimits = { maxBytes: LIMITS.storedResponsesBytes, maxAgeMs: LIMITS.storedResponseMs };

export class ResponseStore {
  readonly #shelves = new Map<number, Shelf>();
  #bytes = 0;

  constructor(private readonly limits: StoreLimits = DEFAULTS) {}

  get bytes(): number {
    return this.#bytes;
  }

  /** `items`: the whole conversation, the answer included. What does not fit at all is not kept. */
  add({ namespace }: Caller, id: string, response: object, items: readonly Item[]): void {
    const json = JSON.stringify(response);
    const itemsJson = JSON.stringify(items);
    // V8 keeps a character in one byte or two; of what it takes this is the most.
    const bytes = 2 * (json.length + itemsJson.length + id.length);
    if (bytes > this.limits.maxBytes) return;
    const shelf = this.#shelves.get(namespace) ?? { entries: new Map(), bytes: 0 };
    this.#shelves.set(namespace, shelf);
    // Written out: of objects that are spread V8 kept a shape each.
    shelf.entries.set(id, { response: json, items: itemsJson, bytes, expiresAt: Date.now() + this.limits.maxAgeMs });
    shelf.bytes += bytes;
    this.#bytes += bytes;
    this.#makeRoom();
  }

  /** JSON of the response; null where the caller has none of this id. */
  response(caller: Caller, id: string): string | null {
    return this.#find(caller, id)?.response ?? null;
  }

  /** The conversation up to and with the response. */
  items(caller: Caller, id: string): Item[] | null {
    const entry = this.#find(caller, id);
    return entry && (JSON.parse(entry.items) as Item[]);
  }

  /** Whether there was one. */
  remove(caller: Caller, id: string): boolean {
    const found = this.#find(caller, id) !== null;
    if (found) this.#drop(caller.namespace, id);
    return found;
  }

  #find({ namespace }: Caller, id: string): Entry | null {
    const entries = this.#shelves.get(namespace)?.entries;
    const entry = entries?.get(id);
    if (!entries || !entry) return null;
    if (entry.expiresAt <= Date.now()) {
      this.#drop(namespace, id);
      return null;
    }
    entries.delete(id);
    entries.set(id, entry);
    return entry;
  }

  #makeRoom(): void {
    while (this.#bytes > this.limits.maxBytes) {
      let greediest = -1;
      let most = -1;
      for (const [namespace, { bytes }] of this.#shelves) {
        if (bytes <= most) continue;
        greediest = namespace;
        most = bytes;
      }
      const oldest = this.#shelves.get(greediest)?.entries.keys().next().value;
      if (oldest === undefined) return;
      this.#drop(greediest, oldest);
    }
  }

  #drop(namespace: number, id: string): void {
    const shelf = this.#shelves.get(namespace);
    const entry = shelf?.entries.get(id);
    if (!shelf || !entry) return;
    shelf.entries.delete(id);
    shelf.bytes -= entry.bytes;
    this.#bytes -= entry.bytes;
    if (shelf.entries.size === 0) this.#shelves.delete(namespace);
  }
}
