/** What kind of JSON a value is. */

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export const isUnset = (value: unknown) => value === undefined || value === null;
