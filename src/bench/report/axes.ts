/** What the figures of all kinds have in common. Pure. */
import { plain } from './format.js';
import type { Axis } from './line-chart.js';

export const axis = (title: string, kind: Axis['kind'], more: Partial<Axis> = {}): Axis => ({
  title,
  kind,
  format: plain,
  ...more,
});
/** Colours by order; the seventh is the first again. */
export const tones = (i: number) => (i % 6) + 1;
export const unique = (values: number[]) => [...new Set(values)].sort((a, b) => a - b);
