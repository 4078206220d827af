/** Two results beside each other: ratios, and whether they are more than noise. Pure. */
import { JsgError } from '../errors.js';
import type { Result, ResultOf } from './result.js';
import { describeLoad } from './serve.js';
import { median, type Range, standardError, t95 } from './stats.js';

export interface Comparison {
  /** `decode, batch 8`, `4 requests/s: TTFT p99` */
  what: string;
  unit: string;
  a: number;
  b: number;
  /** b over a; null: a is 0. */
  ratio: number | null;
  /** What the ratio may well be, from how far the measurements of each side lie apart. Null: measured once only. */
  range: Range | null;
  /** More is better. */
  isRate: boolean;
  verdict: 'better' | 'worse' | 'within noise' | 'unknown';
}

interface Figure {
  value: number | null;
  /** Where there are no repeats. */
  range: Range | null;
  /** Measurements of which the value is the median; empty: it was measured once, by many parts. */
  repeats: readonly number[];
  unit: string;
  isRate: boolean;
}

/** Why two results should not be compared; empty: nothing speaks against it. */
export function differences(a: Result, b: Result): string[] {
  if (a.kind !== b.kind) return [`one measures ${a.kind}, the other ${b.kind}`];
  const keys = [...new Set([...Object.keys(a.workload), ...Object.keys(b.workload)])];
  const show = (value: unknown) => (value === undefined ? 'nothing' : JSON.stringify(value));
  return keys
    .filter((key) => show(a.workload[key]) !== show(b.workload[key]))
    .map((key) => `${key}: ${show(a.workload[key])} and ${show(b.workload[key])}`);
}

/** What is to be known of two results beside their ratios: unlike in what may well be compared, and what did not go well. */
export function cautions(a: Result, b: Result): string[] {
  const keys = ['model', 'endpoint'] as const;
  return [
    ...keys.filter((key) => a[key] !== b[key]).map((key) => `another ${key}: ${a[key]} and ${b[key]}`),
    ...failuresOf('A', a),
    ...failuresOf('B', b),
  ];
}

function failuresOf(side: string, result: Result): string[] {
  if (result.kind !== 'serve') return [];
  return result.serve
    .filter(({ failed }) => failed > 0)
    .map(
      (level) =>
        `${side}, ${describeLoad(level)}: ${level.failed} of ${level.completed + level.failed} requests failed, ` +
        'and latencies are those of the others',
    );
}

/** Throws E_USAGE for unlike workloads, unless forced. */
export function requireAlike(a: Result, b: Result, force: boolean): void {
  const found = differences(a, b);
  if (found.length === 0 || (force && a.kind === b.kind)) return;
  throw new JsgError('E_USAGE', `the workloads differ: ${found.join('; ')}`, {
    ...(a.kind === b.kind ? { hint: '--force compares what both have all the same.' } : {}),
  });
}

/** What both have, in the order of the first. */
export function compare(a: Result, b: Result): Comparison[] {
  const [first, second] = [figuresOf(a), figuresOf(b)];
  return [...first].flatMap(([what, left]) => {
    const right = second.get(what);
    if (right === undefined || left.value === null || right.value === null) return [];
    const ratio = left.value === 0 ? null : right.value / left.value;
    const range = left.value === 0 || right.value === 0 ? null : ratioRange(left, right);
    const { unit, isRate } = left;
    return [
      { what, unit, a: left.value, b: right.value, ratio, range, isRate, verdict: verdictOf(ratio, range, isRate) },
    ];
  });
}

/** The errors of both sides, as independent ones of logarithms add up. */
function ratioRange(a: Figure, b: Figure): Range | null {
  if (a.repeats.length > 0 && b.repeats.length > 0) return ratioOfRepeats(a, b);
  if (a.range === null || b.range === null || a.value === null || b.value === null) return null;
  // A divisor that may be none may give anything.
  if (a.range[0] <= 0) return null;
  const ratio = b.value / a.value;
  const below = Math.hypot(Math.log(b.value / b.range[0]), Math.log(a.range[1] / a.value));
  const above = Math.hypot(Math.log(b.range[1] / b.value), Math.log(a.value / a.range[0]));
  return [ratio * Math.exp(-below), ratio * Math.exp(above)];
}

/** A median is so much less certain than a mean (normal noise, many repeats). */
const OF_MEDIAN = Math.sqrt(Math.PI / 2);

/** Welch's test, of the logarithms: repeats are few, and t makes up for what they do not tell. Null: one that was not repeated. */
function ratioOfRepeats(a: Figure, b: Figure): Range | null {
  if (a.value === null || b.value === null || a.repeats.length < 2 || b.repeats.length < 2) return null;
  const errors = [a, b].map(({ value, repeats }) => {
    const error = standardError(repeats) / (value as number);
    return { squared: error ** 2, freedom: repeats.length - 1 };
  });
  const squared = errors.reduce((sum, error) => sum + error.squared, 0);
  if (squared === 0) return [b.value / a.value, b.value / a.value];
  const freedom = squared ** 2 / errors.reduce((sum, error) => sum + error.squared ** 2 / error.freedom, 0);
  const factor = Math.exp(t95(freedom) * OF_MEDIAN * Math.sqrt(squared));
  return [b.value / a.value / factor, (b.value / a.value) * factor];
}

function verdictOf(ratio: number | null, range: Range | null, isRate: boolean): Comparison['verdict'] {
  if (ratio === 1) return 'within noise';
  if (ratio === null || range === null) return 'unknown';
  if (range[0] <= 1 && range[1] >= 1) return 'within noise';
  return ratio > 1 === isRate ? 'better' : 'worse';
}

function figuresOf(result: Result): Map<string, Figure> {
  switch (result.kind) {
    case 'decode':
      return decodeFigures(result);
    case 'prefill':
      return new Map(result.prefill.map((row) => prefillFigure(row)));
    case 'serve':
      return serveFigures(result);
    case 'load':
      return loadFigures(result);
  }
}

const rate = (value: number | null, range: Range | null, unit = 'token/s'): Figure => ({
  value,
  range,
  repeats: [],
  unit,
  isRate: true,
});

interface Repeated {
  tokensPerSecond: number | null;
  spread: Range | null;
  repeats: readonly number[];
}

/** Results from before repeats were kept have their spread alone. */
const repeated = ({ tokensPerSecond, spread, repeats }: Repeated): Figure => ({
  ...rate(tokensPerSecond, noise(spread)),
  repeats,
});

function prefillFigure(row: ResultOf<'prefill'>['prefill'][number]): [string, Figure] {
  return [`prefill, ${row.batch} x ${row.promptTokens} tokens`, repeated(row)];
}

/** One repeat has no spread. */
const noise = (range: Range | null): Range | null => (range === null || range[0] === range[1] ? null : range);

function decodeFigures({ decode, prefill }: ResultOf<'decode'>): Map<string, Figure> {
  const contexts = new Set(decode.map(({ promptTokens }) => promptTokens)).size;
  const figures = new Map<string, Figure>();
  for (const row of decode) {
    const what = `decode, batch ${row.batch}${contexts > 1 ? `, context ${row.promptTokens}` : ''}`;
    figures.set(what, repeated(row));
    if (row.power !== null) figures.set(`${what}: energy`, rate(row.power.tokensPerJoule, null, 'token/J'));
  }
  if (prefill !== null) figures.set(...prefillFigure(prefill));
  return figures;
}

const SERVE_LATENCIES = [
  ['ttftMs', 'TTFT'],
  ['itlMs', 'ITL'],
  ['tpotMs', 'TPOT'],
  ['e2eMs', 'end to end'],
] as const;

function serveFigures({ serve }: ResultOf<'serve'>): Map<string, Figure> {
  const figures = new Map<string, Figure>();
  for (const level of serve) {
    const what = describeLoad(level);
    figures.set(`${what}: output`, rate(level.outputThroughput, level.outputThroughputCi95));
    if (level.goodput !== null) {
      figures.set(`${what}: goodput`, rate(level.goodput.requestsPerSecond, null, 'requests/s'));
    }
    for (const [key, name] of SERVE_LATENCIES) {
      for (const quantile of ['p50', 'p90', 'p99'] as const) {
        const summary = level[key];
        const figure = { value: summary?.[quantile] ?? null, range: summary?.ci95[quantile] ?? null };
        figures.set(`${what}: ${name} ${quantile}`, { ...figure, repeats: [], unit: 'ms', isRate: false });
      }
    }
  }
  return figures;
}

function loadFigures({ load }: ResultOf<'load'>): Map<string, Figure> {
  const figures = new Map<string, Figure>();
  for (const cache of ['cold', 'warm'] as const) {
    const seconds = load.filter((row) => row.cache === cache).map(({ firstTokenS }) => firstTokenS);
    const figure = { value: median(seconds), range: null, repeats: seconds, unit: 's', isRate: false };
    if (seconds.length > 0) figures.set(`first token, ${cache} page cache`, figure);
  }
  return figures;
}
