/** Values of bench's own options, checked; each throws E_USAGE naming the flag. */
import { JsgError } from '../errors.js';
import { nearest } from '../nearest.js';
import type { Options } from './settings.js';

const camelCase = (flag: string) => flag.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());

export interface Bounds {
  min?: number;
  max: number;
}

/** A whole number; `fallback` where it is not given. */
export function whole<T>(options: Options, flag: string, fallback: T, bounds: Bounds): number | T {
  const text = options[camelCase(flag)];
  return text === undefined ? fallback : wholeNumber(flag, text, bounds);
}

/** Whole numbers with commas between them. */
export function wholes(options: Options, flag: string, fallback: number[], bounds: Bounds): number[] {
  const text = options[camelCase(flag)];
  return text === undefined ? fallback : unique(words(text).map((word) => wholeNumber(flag, word, bounds)));
}

/** A number, fractions allowed. */
export function real<T>(options: Options, flag: string, fallback: T, bounds: Bounds): number | T {
  const text = options[camelCase(flag)];
  return text === undefined ? fallback : realNumber(flag, text, bounds);
}

/** Rates with commas between them; `inf` is Infinity. */
export function rates(options: Options, flag: string, max: number): number[] {
  const text = options[camelCase(flag)];
  if (text === undefined) return [Number.POSITIVE_INFINITY];
  return unique(
    words(text).map((word) =>
      word === 'inf' ? Number.POSITIVE_INFINITY : realNumber(flag, word, { min: 1e-3, max }, ' or inf'),
    ),
  );
}

export function choice<T extends string>(options: Options, flag: string, choices: readonly T[]): T | null {
  const text = options[camelCase(flag)];
  if (text === undefined) return null;
  const found = choices.find((each) => each === text);
  if (found !== undefined) return found;
  const near = nearest(String(text), choices);
  throw new JsgError('E_USAGE', `--${flag}: '${text}' is not one of ${choices.join(', ')}`, {
    ...(near === null ? {} : { hint: `Did you mean --${flag} ${near}?` }),
  });
}

export const isGiven = (options: Options, flag: string) => options[camelCase(flag)] !== undefined;

const words = (text: unknown) => String(text).split(',');
const unique = (values: number[]) => [...new Set(values)];

function wholeNumber(flag: string, text: unknown, { min = 1, max }: Bounds): number {
  const value = /^\d+$/.test(String(text)) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw new JsgError('E_USAGE', `--${flag}: '${text}' is not a whole number from ${min} to ${max}`);
}

function realNumber(flag: string, text: unknown, { min = 0, max }: Bounds, other = ''): number {
  const value = /^\d*\.?\d+(e-?\d+)?$/i.test(String(text)) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw new JsgError('E_USAGE', `--${flag}: '${text}' is not a number from ${min} to ${max}${other}`);
}
