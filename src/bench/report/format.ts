/** Numbers as a person reads them. Pure. */

/** Three significant digits or all before the point: `0.0123`, `1.23`, `12.3`, `123`, `1,234`. A dash for what is not known. */
export function figure(value: number | null): string {
  if (value === null || !Number.isFinite(value)) return '-';
  const size = Math.abs(value);
  if (size >= 1000) return Math.round(value).toLocaleString('en-US');
  if (size === 0) return '0';
  if (size >= 100) return value.toFixed(0);
  if (size >= 10) return value.toFixed(1);
  if (size >= 1) return value.toFixed(2);
  return Number(value.toPrecision(3)).toString();
}

export const fixed = (value: number | null, digits: number) =>
  value === null || !Number.isFinite(value) ? '-' : value.toFixed(digits);

export const percent = (share: number | null) => (share === null ? '-' : `${(share * 100).toFixed(0)} %`);

export const whole = (value: number | null) => (value === null ? '-' : Math.round(value).toLocaleString('en-US'));

/** `98.4 MB`, `15.0 GB` */
export function bytes(value: number | null): string {
  if (value === null) return '-';
  return value >= 1e9 ? `${(value / 1e9).toFixed(2)} GB` : `${(value / 1e6).toFixed(1)} MB`;
}

/** Round numbers of an axis: `50`, `0.5`, `1,000`. */
export const plain = (value: number): string => Number(value.toPrecision(6)).toLocaleString('en-US');

/** `850 ms`, `12.3 s` */
export function duration(ms: number): string {
  return ms < 1000 ? `${figure(ms)} ms` : `${figure(ms / 1000)} s`;
}

/** Of an axis: `500 ms`, `2 s`. */
export const plainDuration = (ms: number): string => (ms < 1000 ? `${plain(ms)} ms` : `${plain(ms / 1000)} s`);

/** What a path ends with: a model by its own name. */
export const lastPart = (path: string): string => path.split('/').filter(Boolean).at(-1) ?? path;
