/** Versions, specifiers and tags against what Python's `packaging` says (test/golden/registry/make-tables.py). */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  compareVersions,
  formatVersion,
  isPreRelease,
  parseVersion,
  type Version,
} from '../../../src/device/python-version.js';
import { parseSpecifiers, satisfies } from '../../../src/registry/specifier.js';
import { supportedTags } from '../../../src/registry/tags.js';

interface Table {
  versions: string[];
  normal: string[];
  prerelease: boolean[];
  order: number[][];
  invalid: string[];
  specifiers: Record<string, string[]>;
  bad_specifiers: string[];
  tags: { python: string; machine: string; glibc: string; tags: string[] }[];
}

const table: Table = JSON.parse(readFileSync(new URL('../../golden/registry/packaging.json', import.meta.url), 'utf8'));
const parsed = table.versions.map((text) => parseVersion(text) as Version);

describe('versions (PEP 440)', () => {
  it('have their normal spelling', () => {
    expect(parsed.map((version) => version && formatVersion(version))).toEqual(table.normal);
    expect(parsed.map(isPreRelease)).toEqual(table.prerelease);
  });

  it('have their order, every one against every other', () => {
    const order = parsed.map((a) => parsed.map((b) => Math.sign(compareVersions(a, b))));
    expect(order).toEqual(table.order);
  });

  it.each(table.invalid)('%j is none', (text) => expect(parseVersion(text)).toBeNull());

  it('are not read for ever', () => {
    const started = performance.now();
    expect(parseVersion(`${'1.'.repeat(100_000)}x`)).toBeNull();
    expect(parseVersion(`1+${'a.'.repeat(90)}!`)).toBeNull();
    expect(performance.now() - started).toBeLessThan(500);
  });
});

describe('specifiers', () => {
  it.each(Object.entries(table.specifiers))('%s', (text, expected) => {
    const specifiers = parseSpecifiers(text) ?? [];
    expect(specifiers.length).toBeGreaterThan(0);
    const taken = table.versions.filter((version, i) => satisfies(parsed[i] as Version, specifiers, version));
    expect(taken).toEqual(expected);
  });

  it.each(table.bad_specifiers)('%s is none', (text) => expect(parseSpecifiers(text)).toBeNull());
});

describe('tags (PEP 425, PEP 600)', () => {
  it.each(table.tags)('Python $python on $machine with glibc $glibc', ({ tags, ...target }) => {
    expect(supportedTags(target)).toEqual(tags);
  });

  it('hold no manylinux where the C library is not known', () => {
    const tags = supportedTags({ python: '3.10', machine: 'aarch64', glibc: null });
    expect(tags[0]).toBe('cp310-cp310-linux_aarch64');
    expect(tags.filter((tag) => tag.includes('manylinux'))).toEqual([]);
  });
});
