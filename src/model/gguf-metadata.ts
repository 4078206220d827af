/** Typed access to the keys of a GGUF header; a key of the wrong type is refused by name. */
import type { GgufArray, GgufHeader, GgufValue } from './gguf.js';
import { modelInvalid, quote } from './model-error.js';

export class GgufMetadata {
  constructor(private readonly header: Pick<GgufHeader, 'path' | 'metadata'>) {}

  get path(): string {
    return this.header.path;
  }

  has(key: string): boolean {
    return this.header.metadata.has(key);
  }

  string(key: string): string | undefined {
    return this.get(key, 'a string', (value) => typeof value === 'string') as string | undefined;
  }

  number(key: string): number | undefined {
    return this.get(key, 'a number', (value) => typeof value === 'number') as number | undefined;
  }

  bool(key: string): boolean | undefined {
    return this.get(key, 'a bool', (value) => typeof value === 'boolean') as boolean | undefined;
  }

  /** A non-negative integer. */
  count(key: string): number | undefined {
    const isCount = (value: GgufValue) => typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
    return this.get(key, 'a non-negative integer', isCount) as number | undefined;
  }

  strings(key: string): string[] | undefined {
    const isStrings = (value: GgufValue) =>
      Array.isArray(value) && (value.length === 0 || typeof value[0] === 'string');
    return this.get(key, 'an array of strings', isStrings) as string[] | undefined;
  }

  numbers(key: string): Exclude<GgufArray, string[]> | undefined {
    const isNumbers = (value: GgufValue) =>
      ArrayBuffer.isView(value) || (Array.isArray(value) && typeof value[0] !== 'string');
    return this.get(key, 'an array of numbers', isNumbers) as Exclude<GgufArray, string[]> | undefined;
  }

  /** A count that some converters write once and others once a layer; different layers are refused. */
  countOfEveryLayer(key: string): number | undefined {
    const value = this.header.metadata.get(key);
    if (!Array.isArray(value) && !ArrayBuffer.isView(value)) return this.count(key);
    const [first] = value;
    if (typeof first !== 'number' || !Number.isSafeInteger(first) || first < 0) {
      throw modelInvalid(this.path, `key ${quote(key)} isn't an array of counts`);
    }
    for (const other of value) {
      if (other !== first) throw modelInvalid(this.path, `key ${quote(key)} differs between layers: not supported`);
    }
    return first;
  }

  required<T>(key: string, value: T | undefined): T {
    if (value === undefined) throw modelInvalid(this.path, `key ${quote(key)} is missing`);
    return value;
  }

  private get(key: string, expected: string, accepts: (value: GgufValue) => boolean): GgufValue | undefined {
    const value = this.header.metadata.get(key);
    if (value === undefined || accepts(value)) return value;
    throw modelInvalid(this.path, `key ${quote(key)} isn't ${expected}`);
  }
}
