/** The layers of the code, enforced: who may import whom in src/, and who may include whom in native/. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));

interface Import {
  from: string;
  to: string;
  isTypeOnly: boolean;
}

/** Files that every layer may use. */
const COMMON = [
  'shell',
  'errors',
  'log',
  'files',
  'nearest',
  'style',
  'table',
  'version',
  'client',
  'server-events',
  'own-text',
];

/** What each layer may import besides itself and COMMON; `name (types)`: types only; `name/file`: that file only. */
const LAYERS: Record<string, string[]> = {
  cli: ['usage', 'commands', 'profile/flags', 'server/limits'],
  usage: [],
  commands: [
    'engine',
    'service',
    'cluster',
    'bench',
    'doctor',
    'plan',
    'profile',
    'recipe',
    'device',
    'model',
    'addon',
    'registry',
    'bundle',
    'quantize',
  ],
  // SGLang runs in the virtual environment of its recipe; a crash is explained by the table of known failures.
  engine: [
    ...['server', 'plan', 'model', 'addon', 'device', 'profile/flags (types)'],
    ...['doctor/failures', 'recipe/build-folder', 'recipe/run/venv', 'processes'],
  ],
  server: ['addon', 'model'],
  // Power, clocks and the board around a measurement.
  bench: ['device'],
  // Other machines, over ssh; their flags are checked before they get here.
  cluster: ['recipe/yaml-file'],
  // Units of systemd.
  service: [],
  doctor: ['device', 'plan'],
  // What takes how many bytes, and how fast they are read: pure but for finding a model's files.
  plan: ['model', 'device', 'addon/binding (types)', 'profile/flags (types)'],
  profile: ['device'],
  recipe: ['device', 'processes'],
  model: ['addon/binding (types)'],
  // The index of wheels: finds, downloads and verifies; knows Python's versions and tags.
  registry: ['device'],
  // All that a board needs, gathered where there is a network and used where there is none.
  bundle: ['recipe', 'registry', 'model', 'device'],
  // A model of safetensors to a quantised one.
  quantize: ['model', 'addon'],
  device: [],
  // What builds and servers leave running is found and ended.
  processes: [],
  addon: [],
};

const layerOf = (file: string) => file.split('/')[0]?.replace(/\.ts$/, '') ?? '';

function allows(rule: string, { to, isTypeOnly }: Import): boolean {
  const [, target = '', types] = /^(\S+)( \(types\))?$/.exec(rule) ?? [];
  const file = to.replace(/\.ts$/, '');
  return (file === target || file.startsWith(`${target}/`)) && (types === undefined || isTypeOnly);
}

/** Null when the import keeps the rules, else what is wrong. */
function violation(found: Import): string | null {
  const from = layerOf(found.from);
  const to = layerOf(found.to);
  if (from === to || (COMMON.includes(to) && !found.to.includes('/'))) return null;
  if (COMMON.includes(from)) return `${found.from} is common to all layers, so it must not import ${found.to}`;
  const rules = LAYERS[from];
  if (rules === undefined) return `${found.from}: the folder has no layer; add it to LAYERS`;
  return rules.some((rule) => allows(rule, found)) ? null : `${found.from} must not import ${found.to}`;
}

/** Relative imports and exports of a TypeScript file, static and dynamic. */
function importsOf(file: string, text: string): Import[] {
  const statement = /^\s*(?:import|export)\s+(type\s)?[^'"`;]*?from\s+['"](\.[^'"]+)['"]/gm;
  const bare = /^\s*import\s+()['"](\.[^'"]+)['"]/gm;
  const dynamic = /\bimport\(\s*()['"](\.[^'"]+)['"]\s*\)/g;
  return [statement, bare, dynamic].flatMap((pattern) =>
    [...text.matchAll(pattern)].map(([whole, type, path = '']) => ({
      from: file,
      to: normalize(join(dirname(file), path)).replace(/\.js$/, '.ts'),
      isTypeOnly: Boolean(type) || onlyTypesNamed(whole),
    })),
  );
}

/** `import { type A, type B } from` carries types only. */
function onlyTypesNamed(statement: string): boolean {
  const names =
    /\{([^}]*)\}/
      .exec(statement)?.[1]
      ?.split(',')
      .map((name) => name.trim())
      .filter(Boolean) ?? [];
  return names.length > 0 && names.every((name) => name.startsWith('type '));
}

/** Files that import each other, in a circle, as far as values go: each list is one circle. */
function circles(imports: readonly Import[]): string[][] {
  const targets = new Map<string, string[]>();
  for (const { from, to, isTypeOnly } of imports) {
    if (!isTypeOnly) targets.set(from, [...(targets.get(from) ?? []), to]);
  }
  const found: string[][] = [];
  const done = new Set<string>();
  const visit = (file: string, trail: readonly string[]) => {
    if (trail.includes(file)) found.push([...trail.slice(trail.indexOf(file)), file]);
    if (trail.includes(file) || done.has(file)) return;
    for (const target of targets.get(file) ?? []) visit(target, [...trail, file]);
    done.add(file);
  };
  for (const file of targets.keys()) visit(file, []);
  return found;
}

function filesUnder(folder: string, pattern: RegExp): { file: string; text: string }[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => pattern.test(file))
    .map((file) => ({ file, text: readFileSync(join(root, folder, file), 'utf8') }));
}

describe('imports of src/', () => {
  const sources = filesUnder('src', /\.ts$/);

  it('keep the layers', () => {
    const imports = sources.flatMap(({ file, text }) => importsOf(file, text));
    expect(imports.length).toBeGreaterThan(50);
    expect(imports.map(violation).filter((fault) => fault !== null)).toEqual([]);
  });

  it('go round in no circles', () => {
    expect(circles(sources.flatMap(({ file, text }) => importsOf(file, text)))).toEqual([]);
    const round = [
      ...importsOf('a/x.ts', "import { y } from './y.js';"),
      ...importsOf('a/y.ts', "import { z } from '../b/z.js';"),
      ...importsOf('b/z.ts', "import { x } from '../a/x.js';"),
    ];
    expect(circles(round)).toEqual([['a/x.ts', 'a/y.ts', 'b/z.ts', 'a/x.ts']]);
    // Types are gone when the code runs.
    expect(circles([...round.slice(0, 2), ...importsOf('b/z.ts', "import type { X } from '../a/x.js';")])).toEqual([]);
  });

  it('have no default exports', () => {
    const guilty = sources.filter(({ text }) => /^export default\b/m.test(text));
    expect(guilty.map(({ file }) => file)).toEqual([]);
  });

  it('leave exiting to cli.ts and loading of the addon to addon/binding.ts', () => {
    const exits = sources.filter(({ text }) => /\bprocess\.(exit|abort|reallyExit)\(/.test(text));
    expect(exits.map(({ file }) => file)).toEqual(['cli.ts']);
    const loads = sources.filter(({ text }) => /\bprocess\.dlopen\(|require\([^)]*\.node['"`]/.test(text));
    expect(loads.every(({ file }) => file === 'addon/binding.ts')).toBe(true);
  });

  it('of the page in the browser are its own, and the one file of src/ that it shares', () => {
    const imports = filesUnder('web', /\.tsx?$/).flatMap(({ file, text }) => importsOf(`web/${file}`, text));
    expect(imports.length).toBeGreaterThan(20);
    const others = imports.map(({ to }) => to).filter((to) => !to.startsWith('web/'));
    expect([...new Set(others)]).toEqual(['src/server-events.ts']);
  });

  it.each([
    ['server/app.ts', "import { loadProfile } from '../profile/profile.js';"],
    ['model/load.ts', "import { loadBinding } from '../addon/binding.js';"],
    ['profile/resolve.ts', "import { loadModel } from '../model/load.js';"],
    ['addon/runtime.ts', "const { createApp } = await import('../server/app.js');"],
    ['engine/native.ts', "import {\n  launch,\n} from '../commands/launch.js';"],
    ['errors.ts', "export { nearest } from './profile/profile.js';"],
    ['cli.ts', "import { loadProfile } from './profile/profile.js';"],
    ['helpers/x.ts', "import '../server/app.js';"],
  ])('%s: %s is caught', (file, text) => {
    const [found] = importsOf(file, text);
    expect(found && violation(found)).toMatch(/must not import|has no layer/);
  });

  it.each([
    ['model/model.ts', "import type { ModelConfig } from '../addon/binding.js';"],
    ['model/dtype.ts', "import { type DType } from '../addon/binding.js';"],
    ['cli.ts', "const x = await import('./commands/launch.js');"],
    ['server/app.ts', "import { JsgError } from '../errors.js';"],
  ])('%s: %s is allowed', (file, text) => {
    const [found] = importsOf(file, text);
    expect(found && violation(found)).toBeNull();
  });
});

/** What each part of native/ may include besides itself; each backend is a part of its own. */
const NATIVE: Record<string, string[]> = {
  addon: ['runtime', 'model', 'grammar'],
  // Text and JSON schemas are known here and nowhere else; the runtime sees token ids.
  grammar: ['runtime'],
  runtime: ['model'],
  model: ['backend'],
  'backend/cpu': ['backend', 'model'],
  'backend/cuda': ['backend', 'model'],
  backend: ['model'],
};

/** Where a layer is left, with the reason. */
const EXCEPTIONS: [file: string, included: RegExp][] = [
  // The one place where a backend is chosen.
  ['model/load.cpp', /^backend\/\w+\//],
];

const partOf = (path: string) => /^backend\/\w+(?=\/)/.exec(path)?.[0] ?? path.split('/')[0] ?? '';

function includeViolation(file: string, included: string): string | null {
  const [from, to] = [partOf(file), partOf(included)];
  if (included === 'napi.h') return from === 'addon' ? null : `${file} must not include napi.h`;
  if (from === to || included === 'error.h' || !included.includes('/')) return null;
  if (EXCEPTIONS.some(([exempt, pattern]) => exempt === file && pattern.test(included))) return null;
  return (NATIVE[from] ?? []).includes(to) ? null : `${file} must not include ${included}`;
}

describe('includes of native/', () => {
  const sources = filesUnder('native', /\.(h|cpp|inc|cu|cuh)$/).filter(({ file }) => !/^(test|bench)\//.test(file));

  it('keep the layers', () => {
    const faults = sources.flatMap(({ file, text }) =>
      [...text.matchAll(/^\s*#include\s+(?:"([^"]+)"|<(napi\.h)>)/gm)].map(([, included = '']) =>
        includeViolation(file, included),
      ),
    );
    expect(faults.filter((fault) => fault !== null)).toEqual([]);
  });

  it.each([
    ['runtime/engine.cpp', 'napi.h'],
    ['model/decoder.cpp', 'runtime/sequence.h'],
    ['model/decoder.cpp', 'backend/cpu/kernels.h'],
    ['runtime/engine.cpp', 'backend/backend.h'],
    ['runtime/pipeline.cpp', 'grammar/vocabulary.h'],
    ['backend/cpu/gemm.cpp', 'runtime/engine.h'],
  ])('%s including %s is caught', (file, included) => {
    expect(includeViolation(file, included)).toMatch(/must not include/);
  });
});
