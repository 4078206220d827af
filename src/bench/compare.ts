/** Two results beside each other: ratios, and whether they are more than noise. Pure. */
import { JsgError } from '../errors.js';
import type { Result, ResultOf } from './result.js';
import { describeLoad } from './serve.js';
import type { Range } from './stats.js';

export interface Comparison {
  /** `decode, batch 8`, `4 requests/s: TTFT p99` */
  what: string;
  unit: string;
  a: number;
  b: number;
  /** b over a. */
  ratio: number;
  /** What the ratio may well be, from how far the measurements of each side lie apart. Null: measured once only. */
  range: Range | null;
  /** More is better. */
  isRate: boolean;
  verdict: 'better' | 'worse' | 'within noise' | 'unknown';
}

interface Figure {
  value: number | null;
  range: Range | null;
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
    if (right === undefined || left.value === null || right.value === null || left.value === 0) return [];
    const ratio = right.value / left.value;
    const range = ratioRange(left, right);
    const { unit, isRate } = left;
    return [
      { what, unit, a: left.value, b: right.value, ratio, range, isRate, verdict: verdictOf(ratio, range, isRate) },
    ];
  });
}

/** The errors of both sides, as independent ones add up. */
function ratioRange(a: Figure, b: Figure): Range | null {
  if (a.range === null || b.range === null || a.value === null || b.value === null) return null;
  const ratio = b.value / a.value;
  const below = Math.hypot((b.value - b.range[0]) / b.value, (a.range[1] - a.value) / a.value);
  const above = Math.hypot((b.range[1] - b.value) / b.value, (a.value - a.range[0]) / a.value);
  return [ratio * (1 - below), ratio * (1 + above)];
}

function verdictOf(ratio: number, range: Range | null, isRate: boolean): Comparison['verdict'] {
  if (range === null) return 'unknown';
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
  unit,
  isRate: true,
});

function prefillFigure(row: ResultOf<'prefill'>['prefill'][number]): [string, Figure] {
  return [`prefill, ${row.batch} x ${row.promptTokens} tokens`, rate(row.tokensPerSecond, noise(row.spread))];
}

/** One repeat has no spread. */
const noise = (range: Range | null): Range | null => (range === null || range[0] === range[1] ? null : range);

function decodeFigures({ decode, prefill }: ResultOf<'decode'>): Map<string, Figure> {
  const contexts = new Set(decode.map(({ promptTokens }) => promptTokens)).size;
  const figures = new Map<string, Figure>();
  for (const row of decode) {
    const what = `decode, batch ${row.batch}${contexts > 1 ? `, context ${row.promptTokens}` : ''}`;
    figures.set(what, rate(row.tokensPerSecond, noise(row.spread)));
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
      for (const quantile of ['p50', 'p99'] as const) {
        const summary = level[key];
        const figure = { value: summary?.[quantile] ?? null, range: summary?.ci95[quantile] ?? null };
        figures.set(`${what}: ${name} ${quantile}`, { ...figure, unit: 'ms', isRate: false });
      }
    }
  }
  return figures;
}

function loadFigures({ load }: ResultOf<'load'>): Map<string, Figure> {
  const figures = new Map<string, Figure>();
  for (const cache of ['cold', 'warm'] as const) {
    const seconds = load.filter((row) => row.cache === cache).map(({ firstTokenS }) => firstTokenS);
    const sorted = [...seconds].sort((a, b) => a - b);
    const [low, middle, high] = [sorted[0], sorted[Math.floor((sorted.length - 1) / 2)], sorted.at(-1)];
    if (low === undefined || middle === undefined || high === undefined) continue;
    const range = noise([low, high]);
    figures.set(`first token, ${cache} page cache`, { value: middle, range, unit: 's', isRate: false });
  }
  return figures;
}
