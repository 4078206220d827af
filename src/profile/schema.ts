/** zod schemas over the table of flags: one check for profiles and for the command line. */
import { z } from 'zod';
import { JsgError } from '../errors.js';
import { nearest } from '../nearest.js';
import { FLAG_NAMES, FLAGS, type FlagName, type FlagSpec, type GivenSettings } from './flags.js';

function schemaOf(spec: FlagSpec): z.ZodType {
  switch (spec.kind) {
    case 'text':
      return z.string().min(1).max(4096);
    case 'int':
      return z.int().min(spec.min).max(spec.max);
    case 'number':
      return z.number().min(spec.min).max(spec.max);
    case 'choice':
      return z.enum(spec.choices as [string, ...string[]]);
    case 'toggle':
      return z.boolean();
  }
}

const valueSchemas = Object.fromEntries(FLAG_NAMES.map((name) => [name, schemaOf(FLAGS[name])])) as Record<
  FlagName,
  z.ZodType
>;

/** What a flag takes, for error messages: `one of a, b` or `a whole number from 1 to 9`. */
export function describeValues(name: FlagName): string {
  const spec: FlagSpec = FLAGS[name];
  switch (spec.kind) {
    case 'text':
      return 'some text';
    case 'int':
      return `a whole number from ${spec.min} to ${spec.max}`;
    case 'number':
      return `a number from ${spec.min} to ${spec.max}`;
    case 'choice':
      return `one of ${spec.choices.join(', ')}`;
    case 'toggle':
      return 'true or false';
  }
}

/** What SGLang says of a group size that TorchAO has no kernel for. */
function complaintOfSglang(name: FlagName, text: string): string {
  const group = name === 'torchao-config' ? /^int4wo-(\w+)$/.exec(text)?.[1] : undefined;
  return group === undefined ? '' : `; int4wo groupsize needs to be one of [32, 64, 128, 256] but got ${group}`;
}

/** What is wrong with a value: `'12' is not one of a, b`. */
export function describeFault(name: FlagName, value: string): string {
  return `${value} is not ${describeValues(name)}${complaintOfSglang(name, value.replace(/^['"]|['"]$/g, ''))}`;
}

/** Where the documented figure of a profile comes from. */
export const referenceSchema = z.strictObject({
  board: z.string().min(1),
  /** Tokens a second at batch 1, as the server's log line printed it. */
  gen_throughput: z.number().positive(),
  source: z.string().min(1),
});
export type Reference = z.infer<typeof referenceSchema>;

/** A profile file: flags by name, and two keys about the profile itself. */
export const profileSchema = z.strictObject({
  description: z.string().min(1),
  reference: referenceSchema.optional(),
  ...(Object.fromEntries(FLAG_NAMES.map((name) => [name, valueSchemas[name].optional()])) as {
    [K in FlagName]: z.ZodOptional<z.ZodType<GivenSettings[K]>>;
  }),
});
export const PROFILE_KEYS = Object.keys(profileSchema.shape);

/** Text from the command line as the value of a flag; throws E_USAGE naming flag, value and what it takes. */
export function parseFlag<K extends FlagName>(name: K, text: string | boolean): NonNullable<GivenSettings[K]> {
  const spec: FlagSpec = FLAGS[name];
  const isNumber = spec.kind === 'int' || spec.kind === 'number';
  // Number('') is 0 and Number('0x10') is 16: only plain decimals are meant.
  const value = isNumber && /^-?\d+(\.\d+)?$/.test(String(text)) ? Number(text) : text;
  const result = valueSchemas[name].safeParse(value);
  if (result.success) return result.data as NonNullable<GivenSettings[K]>;
  const near = spec.kind === 'choice' ? nearest(String(text), spec.choices) : null;
  throw new JsgError('E_USAGE', `--${name}: ${describeFault(name, `'${text}'`)}`, {
    ...(near === null ? {} : { hint: `Did you mean --${name} ${near}?` }),
  });
}
