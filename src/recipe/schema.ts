/** What a recipe file may hold: zod schemas, one key a meaning. */
import { z } from 'zod';
import { splitCommand } from './command-line.js';

const text = z.string('some text').min(1, 'some text that is not empty');
const relative = text.regex(/^(?!\/)(?!.*(?:^|\/)\.\.(?:\/|$))/, 'a path within the build folder, without ..');
const version = z.string('a version in quotes').regex(/^\d+(\.\d+)*$/, "a version in quotes, such as '12.6'");
const positive = z.number('a number above 0').positive('a number above 0');
const strings = z.array(text, 'a list of texts').default([]);
const environment = z.record(
  z.string().regex(/^[A-Za-z_]\w*$/, 'a name of a variable'),
  z.string('text in quotes'),
  'a mapping of variables to texts',
);

/**
 * Machines that a step or check is for. `index`: Jetsons, and where a path of the index of wheels is asked for; `pip`: the
 * others; `cuda`: where torch must have CUDA.
 */
const when = z
  .enum(
    ['always', 'jetson', 'other', 'gpu', 'index', 'pip', 'cuda'],
    'one of always, jetson, other, gpu, index, pip, cuda',
  )
  .default('always');

const gitSource = z.strictObject({
  git: z.url('an address'),
  name: text.regex(/^[\w.-]+$/, 'a name of a folder'),
  tag: text,
  commit: z
    .string()
    .regex(/^[0-9a-f]{40}$/, '40 hexadecimal digits')
    .optional(),
  note: text.optional(),
  submodules: z.array(z.strictObject({ path: relative, holds: relative }), 'a list of path and holds').default([]),
});

const packageSource = z.strictObject({
  package: text,
  version: text.nullable(),
  /** Compiled for the board's CUDA: from the index of wheels where the machine has a path on it. */
  index: z.boolean('true or false').default(false),
  sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/, '64 hexadecimal digits')
    .optional(),
});

const requirements = z.strictObject({
  jetpack: version.nullable().default(null),
  cuda: version.nullable().default(null),
  python: z.tuple([version, version], 'the oldest and the newest version').default(['3.8', '3.14']),
  tools: strings,
  modules: strings,
  jetson_modules: strings,
  /** RAM that one job may take. */
  memory_gb: positive,
  disk_gb: positive,
});

const step = z.strictObject({
  id: text.regex(/^[a-z0-9-]+$/, 'small letters, digits and -'),
  title: text,
  when,
  note: text.optional(),
  in: relative.default('.'),
  make: z.boolean('true or false').default(false),
  run: z.union([text.transform(splitCommand), z.array(text).min(1)], 'a command, as text or as a list'),
  env: environment.default({}),
  inputs: strings,
  outputs: strings,
  expects: text.nullable().default(null),
  timeout_min: positive,
});

const check = z.union(
  [
    z.strictObject({ wheel: relative, min_kb: positive, when }),
    z.strictObject({ contents: relative, prefix: text, count: z.int().positive(), when }),
    z.strictObject({ sm: relative, when }),
    z.strictObject({ import: text, version: text.nullable().default(null), needs: strings, when }),
    z.strictObject({ torch: z.literal(true), when }),
    z.strictObject({ kernel: text, code: text, when }),
  ],
  'a check: wheel with min_kb, contents with prefix and count, sm, import, torch, or kernel with code',
);

const variant = z.strictObject({
  description: text,
  warnings: strings,
  sources: z.array(z.union([gitSource, packageSource], 'a git source with name and tag, or a package')).default([]),
  requirements,
  environment: environment.default({}),
  steps: z.array(step, 'a list of steps').min(1, 'at least one step'),
  outputs: z.array(relative, 'a list of patterns').default([]),
  checks: z.array(check, 'a list of checks').default([]),
});

export const recipeSchema = z.union([
  z.strictObject({ description: text, includes: z.array(text).min(1) }),
  z.strictObject({ description: text, variants: z.record(text, variant, 'a mapping of names to variants') }),
]);

/** The two kinds apart, so that a fault is told of the kind that is meant. */
export const [includingSchema, buildingSchema] = recipeSchema.options;

export type RecipeFile = z.infer<typeof recipeSchema>;
export type Variant = z.infer<typeof variant>;
export type RecipeStep = Variant['steps'][number];
export type RecipeCheck = Variant['checks'][number];
export type When = RecipeStep['when'];
