/** Recipe files: what is refused, and how it is said. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { lineOf } from '../../../src/device/wheel-index.js';
import { joinCommand, splitCommand } from '../../../src/recipe/command-line.js';
import { loadRecipe } from '../../../src/recipe/recipe.js';
import { versionsFor } from '../../../src/recipe/variants.js';

function recipeOf(text: string | Buffer) {
  const path = join(mkdtempSync(join(tmpdir(), 'recipe-')), 'mine.yaml');
  writeFileSync(path, text);
  return () => loadRecipe(path);
}

const variant = (changes: object) =>
  JSON.stringify({
    description: 'mine',
    variants: {
      seed: {
        description: 'mine',
        requirements: { memory_gb: 1, disk_gb: 1 },
        steps: [{ id: 'one', title: 'one', run: 'true', timeout_min: 1 }],
        ...changes,
      },
    },
  });

describe('loadRecipe', () => {
  it('reads a file of the user', () => {
    expect(recipeOf(variant({}))()).toMatchObject({ name: 'mine', file: { description: 'mine' } });
  });

  it.each([
    ['an unknown key', variant({ step: [] }), /mine\.yaml: variants\.seed\.step: unknown key/],
    [
      'a number as version',
      variant({ requirements: { memory_gb: 1, disk_gb: 1, cuda: 12.6 } }),
      /requirements\.cuda: 12\.6; expected a version in quotes/,
    ],
    [
      'a missing key',
      variant({ requirements: { disk_gb: 1 } }),
      /requirements\.memory_gb: missing; expected a number above 0/,
    ],
    [
      'a folder outside',
      variant({ outputs: ['../x'] }),
      /outputs\.0: "\.\.\/x"; expected a path within the build folder/,
    ],
    ['no steps', variant({ steps: [] }), /steps: \[\]; expected at least one step/],
    ['an odd check', variant({ checks: [{ wheel: 'x' }] }), /checks\.0: .*expected a check: wheel with min_kb/],
    ['a mapping without variants', 'description: x', /variants: missing; expected a mapping of names to variants/],
    ['no mapping', '- 1', /mine\.yaml: the file: \[1\]; expected a mapping/],
    ['an empty file', '', /mine\.yaml: the file: null; expected a mapping/],
    ['no YAML', 'a: [', /mine\.yaml: /],
    ['bytes', Buffer.from([0, 255, 254, 0]), /mine\.yaml: /],
    ['a huge file', ' '.repeat(300_000), /not a file of at most 256 KiB/],
  ])('refuses %s', (_, text, message) => {
    expect(recipeOf(text)).toThrow(message);
  });

  it('names the nearest recipe', () => {
    expect(() => loadRecipe('flashinfr')).toThrow(
      expect.objectContaining({ code: 'E_USAGE', hint: expect.stringContaining('flashinfer') }),
    );
    expect(() => loadRecipe('./no/such.yaml')).toThrow(/cannot be read/);
  });
});

describe('versions that go together', () => {
  it.each([
    ['36.4.0', 'JetPack 6.1 and 6.2', true],
    ['36.5.2', 'JetPack 6.1 and 6.2', true],
    ['38.2.1', 'JetPack 7.0 and 7.1', true],
    ['39.2.0', 'JetPack 7.2', true],
    ['36.3.0', 'JetPack 6.0', false],
    ['35.4.1', 'JetPack 5', false],
    ['40.0.0', undefined, false],
    ['37.1', undefined, false],
  ])('L4T %s: %s', (l4t, name, builds) => {
    expect(lineOf(l4t)?.name).toBe(name);
    expect(versionsFor({ l4t, isJetson: true }) !== null).toBe(builds);
  });

  it('a Jetson that hides its release is not taken for another machine', () => {
    expect(versionsFor({ l4t: null, isJetson: true })).toBeNull();
    expect(versionsFor({ l4t: null, isJetson: false })).toMatchObject({ torch: '2.8.0', cuda: null });
  });
});

describe('command lines', () => {
  it.each([
    ["node '{package}/a b.mjs' native", ['node', '{package}/a b.mjs', 'native']],
    ['cmake .. -DX="a b"', ['cmake', '..', '-DX=a b']],
  ])('%s', (line, argv) => {
    expect(splitCommand(line)).toEqual(argv);
    expect(splitCommand(joinCommand(argv))).toEqual(argv);
  });
});
