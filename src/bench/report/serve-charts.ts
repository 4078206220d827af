/** The figures of serving under load. Pure. */
import type { ResultOf, ServeLevel } from '../result.js';
import { describeLoad } from '../serve.js';
import { axis, tones } from './axes.js';
import { type Documented, documentedChart, type Own } from './documented-chart.js';
import { duration, figure, percent, plain, plainDuration } from './format.js';
import { lineChart, type Series } from './line-chart.js';

export function serveCharts(result: ResultOf<'serve'>, documented: readonly Documented[]): string[] {
  const done = result.serve.filter(({ completed }) => completed > 0);
  const [first] = done;
  if (first === undefined) return [];
  // Answers of one token have nothing between arrivals.
  const kinds = LATENCIES.flatMap((kind) => {
    const told = done.filter((level) => level[kind.key] !== null);
    return told.length === 0 ? [] : [{ ...kind, told }];
  });
  return [
    ...kinds.flatMap(({ key, title, told }) => (told.length > 1 ? [againstLatency(told, key, title)] : [])),
    ...kinds.map(({ key, title, told }) => distribution(told, key, `${title}, distribution`)),
    ...(done.length === 1 ? timelines(first) : []),
    documentedChart(ownOf(result, first), documented),
  ];
}

const LATENCIES = [
  { key: 'ttftMs', title: 'Time to the first token' },
  { key: 'itlMs', title: 'Between arrivals of text' },
] as const;

const ownOf = ({ model, device }: ResultOf<'serve'>, level: ServeLevel): Own => ({
  load: describeLoad(level),
  model,
  board: device.name,
  tokensPerSecond: level.outputThroughput,
});

/** By what tells the levels apart. */
const isByRate = (levels: readonly ServeLevel[]) =>
  levels[0]?.requestRate !== null && new Set(levels.map(({ requestRate }) => requestRate)).size === levels.length;

function shortLoad({ requestRate, maxConcurrency }: ServeLevel, byRate: boolean): string {
  if (byRate) return requestRate === null ? 'inf' : `${plain(requestRate)}/s`;
  return maxConcurrency === null ? 'all' : String(maxConcurrency);
}

/** A line from level to level: more load goes to the right until the server has no more to give. */
function againstLatency(levels: ServeLevel[], key: 'ttftMs' | 'itlMs', title: string): string {
  const byRate = isByRate(levels);
  const series = (['p50', 'p99'] as const).map((quantile, i): Series => {
    const points = levels.flatMap((level) => {
      const summary = level[key];
      if (summary === null) return [];
      const range = summary.ci95[quantile];
      return [
        {
          x: level.outputThroughput,
          y: summary[quantile],
          range,
          ...(i === 0 ? { label: shortLoad(level, byRate) } : {}),
        },
      ];
    });
    return { name: quantile, tone: i + 1, hasMarks: true, isDashed: quantile === 'p99', points };
  });
  const of = byRate ? 'requests a second' : 'requests at a time';
  return lineChart({
    title: `Throughput against latency: ${title.toLowerCase()}`,
    summary: levels
      .map(
        (level) =>
          `${describeLoad(level)}: ${figure(level.outputThroughput)} tokens a second, p99 ${duration(level[key]?.p99 ?? 0)}`,
      )
      .join('; '),
    x: axis(`output token/s (points: ${of})`, 'linear'),
    y: axis('time', 'log', { format: plainDuration }),
    series,
  });
}

/** More curves than there are colours are not told apart. */
const MOST_CURVES = 6;

/** The first, the last, and as many between them as can be told apart. */
function someOf(levels: ServeLevel[]): ServeLevel[] {
  const step = Math.max(1, (levels.length - 1) / (MOST_CURVES - 1));
  return levels.filter((_, i) => i === Math.round(Math.round(i / step) * step));
}

function distribution(all: ServeLevel[], key: 'ttftMs' | 'itlMs', title: string): string {
  const levels = someOf(all);
  const series = levels.flatMap((level, i): Series[] => {
    const curve = level.curves[key];
    // The last hundredth is a single request: it would take half of the paper.
    const points = curve.slice(0, 100).map((ms, at) => ({ x: ms, y: at / 100 }));
    const name = levels.length === 1 ? '' : shortLoad(level, isByRate(levels));
    return points.length === 0 ? [] : [{ name, tone: tones(i), points }];
  });
  return lineChart({
    title,
    summary: levels.map((level) => `${describeLoad(level)}: half within ${duration(level[key]?.p50 ?? 0)}`).join('; '),
    x: axis('within', 'linear', { format: plainDuration }),
    y: axis(key === 'ttftMs' ? 'share of the requests' : 'share of the gaps', 'linear', { upTo: 1, format: percent }),
    series,
    namesAbove: true,
  });
}

/** How a single level went on: whether it was steady, and how many were at work. */
function timelines({ timeline: { stepS, outputTokensPerSecond, running } }: ServeLevel): string[] {
  const over = (title: string, unit: string, tone: number, values: number[]) =>
    lineChart({
      title,
      summary: `over ${figure(stepS * values.length)} seconds; at most ${figure(Math.max(0, ...values))}`,
      x: axis('seconds from the start', 'linear'),
      y: axis(unit, 'linear'),
      series: [{ name: '', tone, isArea: true, points: values.map((y, i) => ({ x: (i + 0.5) * stepS, y })) }],
      height: 220,
    });
  return [
    over('Output over the run', 'tokens a second', 1, outputTokensPerSecond),
    over('Requests at work', 'requests', 2, running),
  ];
}
