/** Building blocks of the request schemas. `null` means absent, as OpenAI's clients send it. */
import { z } from 'zod';
import { LIMITS } from '../limits.js';

const absentIfNull = <T extends z.ZodType>(schema: T) => schema.nullish().transform((value) => value ?? undefined);

/** Of fields that code checks by hand: what they are, for the description of the API. */
export const FORMS = new WeakMap<object, () => z.ZodType>();

/** A field that is checked by hand, since schemas name faults worse or cost more. `form`: what it may be, beside null. */
export function byHand(form: () => z.ZodType) {
  const field = z.unknown();
  FORMS.set(field, () => form().nullable());
  return field.optional();
}

/** A field that must be there. */
export function required<T extends z.ZodType>(field: T) {
  return field.transform((value, ctx): Exclude<z.output<T>, undefined> => {
    if (value === undefined) return fail(ctx, [], 'is required');
    return value as Exclude<z.output<T>, undefined>;
  });
}

/** A finite number from `min` to `max`. */
export function number(min: number, max: number) {
  const error = `must be a number from ${min} to ${max}`;
  return absentIfNull(z.number({ error }).min(min, { error }).max(max, { error }));
}

/** A whole number from `min` to `max`. */
export function integer(min: number, max: number) {
  const error = `must be an integer from ${min} to ${max}`;
  return absentIfNull(
    z
      .number({ error })
      .refine((value) => Number.isInteger(value) && value >= min && value <= max, { error })
      .meta({ type: 'integer', minimum: min, maximum: max }),
  );
}

export function boolean() {
  return absentIfNull(z.boolean({ error: 'must be true or false' }));
}

export function string(maxChars: number) {
  const error = `must be a string of at most ${maxChars} characters`;
  return absentIfNull(z.string({ error }).max(maxChars, { error }));
}

export function choice<const T extends readonly string[]>(values: T) {
  return absentIfNull(z.enum(values, { error: `must be one of ${values.join(', ')}` }));
}

/** An object with these fields, and others that are ignored. */
export function object<T extends z.ZodRawShape>(fields: T) {
  return absentIfNull(z.object(fields, { error: 'must be an object' }));
}

/** At most `maxCount` strings of at most `maxChars` characters. */
export function strings(maxCount: number, maxChars: number) {
  const error = `must be a list of at most ${maxCount} strings of at most ${maxChars} characters`;
  return absentIfNull(z.array(z.string({ error }).max(maxChars, { error }), { error }).max(maxCount, { error }));
}

/** OpenAI's `metadata`: up to 16 texts of up to 512 characters by names of up to 64. */
export function metadata() {
  const error = 'must be an object of at most 16 strings of at most 512 characters, with names of at most 64';
  const text = z.string({ error }).max(512, { error });
  return absentIfNull(
    z
      .record(z.string().max(64, { error }), text, { error })
      .refine((pairs) => Object.keys(pairs).length <= 16, { error }),
  );
}

const STOP_SCHEMA = { type: 'string', minLength: 1, maxLength: LIMITS.stopBytes };

/** A string or up to 16 of them, each 1 to 256 bytes of well-formed Unicode; always comes out as a list. */
export function stopStrings() {
  return absentIfNull(
    z
      .unknown()
      .transform((value, ctx): string[] => {
        const stops = typeof value === 'string' ? [value] : value;
        if (!Array.isArray(stops) || stops.length > LIMITS.stopStrings) {
          return fail(ctx, [], `must be a string or a list of at most ${LIMITS.stopStrings} strings`);
        }
        const path = (index: number) => (typeof value === 'string' ? [] : [index]);
        for (const [index, stop] of stops.entries()) {
          if (typeof stop !== 'string' || stop === '')
            return fail(ctx, path(index), 'must be a string that is not empty');
          if (Buffer.byteLength(stop) > LIMITS.stopBytes) {
            return fail(ctx, path(index), `must be at most ${LIMITS.stopBytes} bytes long`);
          }
          if (/\p{Surrogate}/u.test(stop)) return fail(ctx, path(index), 'must be well-formed Unicode');
        }
        return [...new Set(stops as string[])];
      })
      .meta({
        anyOf: [STOP_SCHEMA, { type: 'array', items: STOP_SCHEMA, maxItems: LIMITS.stopStrings }],
      }),
  );
}

/** Ids of tokens; that they are in the vocabulary is checked once the model is known. */
export function tokenIds(maxCount: number) {
  return absentIfNull(
    z
      .unknown()
      .transform((value, ctx): number[] => {
        if (!Array.isArray(value) || value.length > maxCount) {
          return fail(ctx, [], `must be a list of at most ${maxCount} token ids`);
        }
        const wrong = value.findIndex((id) => !isTokenId(id));
        return wrong < 0 ? (value as number[]) : fail(ctx, [wrong], 'must be a token id');
      })
      .meta({ type: 'array', items: { type: 'integer', minimum: 0, maximum: 2 ** 31 - 1 }, maxItems: maxCount }),
  );
}

export function isTokenId(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < 2 ** 31;
}

/** `{"token id": bias from -100 to 100}`, at most 1024 entries; comes out as pairs. */
export function logitBias() {
  return absentIfNull(
    z
      .unknown()
      .transform((value, ctx): [number, number][] => {
        if (typeof value !== 'object' || value === null || Array.isArray(value)) {
          return fail(ctx, [], 'must be an object from token ids to numbers');
        }
        const entries = Object.entries(value);
        if (entries.length > LIMITS.logitBias) return fail(ctx, [], `must have at most ${LIMITS.logitBias} entries`);
        const pairs: [number, number][] = [];
        for (const [key, bias] of entries) {
          const id = /^\d{1,10}$/.test(key) ? Number(key) : Number.NaN;
          const name = key.slice(0, 32);
          if (!isTokenId(id)) return fail(ctx, [name], 'is not a token id');
          if (typeof bias !== 'number' || !(bias >= -100 && bias <= 100)) {
            return fail(ctx, [name], 'must be a number from -100 to 100');
          }
          pairs.push([id, bias]);
        }
        return pairs;
      })
      .meta({
        type: 'object',
        additionalProperties: { type: 'number', minimum: -100, maximum: 100 },
        maxProperties: LIMITS.logitBias,
      }),
  );
}

/** Reports a fault at `path` below the field and ends its parsing. */
function fail(ctx: z.RefinementCtx, path: (string | number)[], message: string): never {
  ctx.addIssue({ code: 'custom', path, message });
  return z.NEVER;
}
