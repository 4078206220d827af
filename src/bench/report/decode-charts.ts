/** The figures of decoding. Pure. */
import type { DecodeRow, ResultOf } from '../result.js';
import { axis, tones, unique } from './axes.js';
import { type Bar, barChart } from './bar-chart.js';
import { type Documented, documentedChart, type Own } from './documented-chart.js';
import { figure, percent, plain } from './format.js';
import { lineChart, type Point, type Series } from './line-chart.js';

export function decodeCharts(result: ResultOf<'decode'>, documented: readonly Documented[]): string[] {
  const rows = result.decode.filter(({ tokensPerSecond }) => tokensPerSecond !== null);
  if (rows.length === 0) return [];
  return [
    throughputChart(rows, result.readBandwidthGBs),
    ...(rows.some(({ share }) => share !== null) ? [shareChart(rows)] : []),
    ...(rows.some(({ power }) => power !== null) ? [energyChart(rows)] : []),
    documentedChart(ownOf(result), documented),
  ];
}

const ownOf = ({ decode: [first], model, device }: ResultOf<'decode'>): Own => ({
  load: `batch ${first?.batch ?? 1}`,
  model,
  board: device.name,
  tokensPerSecond: first?.tokensPerSecond ?? 0,
});

/** Measured and allowed by the read bandwidth, over the number of streams, on logarithmic axes: a limit is a line there. */
function throughputChart(rows: DecodeRow[], readGBs: number | null): string {
  const batches = unique(rows.map(({ batch }) => batch));
  const contexts = unique(rows.map(({ promptTokens }) => promptTokens ?? 0));
  const series = contexts.flatMap((context, i): Series[] => {
    const ofContext = rows.filter(({ promptTokens }) => (promptTokens ?? 0) === context);
    const name = contexts.length === 1 ? 'measured' : `context ${plain(context)}`;
    const limit = readGBs === null ? [] : ofContext.flatMap((row) => limitPoint(row, readGBs));
    return [
      {
        name,
        tone: tones(i),
        hasMarks: true,
        points: ofContext.map((row) => measuredPoint(row, contexts.length === 1)),
      },
      // One limit is enough where contexts hardly differ in bytes.
      ...(i === 0 ? [{ name: 'read bandwidth', tone: 0, isDashed: true, points: limit }] : []),
    ];
  });
  return lineChart({
    title: 'Decoding, and what the memory allows',
    summary: rows.map((row) => `batch ${row.batch}: ${figure(row.tokensPerSecond)} tokens a second`).join('; '),
    x: axis('parallel streams', 'log', { ticks: batches }),
    y: axis('tokens a second, all streams', 'log'),
    series,
  });
}

const measuredPoint = ({ batch, tokensPerSecond, spread }: DecodeRow, isLabelled: boolean): Point => ({
  x: batch,
  y: tokensPerSecond ?? 0,
  range: spread,
  ...(isLabelled ? { label: figure(tokensPerSecond) } : {}),
});

function limitPoint({ batch, bytesPerToken }: DecodeRow, readGBs: number): Point[] {
  return bytesPerToken === null ? [] : [{ x: batch, y: (readGBs * 1e9) / bytesPerToken }];
}

const SHARE_UNIT = 'bytes that a step must read, over what this memory reads in the time';

function shareChart(rows: DecodeRow[]): string {
  const text = (row: DecodeRow) => `${percent(row.share)} · ${figure(row.bandwidthGBs)} GB/s`;
  const shown = { title: 'Share of the read bandwidth', unit: SHARE_UNIT, tone: 1, upTo: 1, text };
  return byBatch(rows, (row) => row.share, { ...shown, format: percent });
}

function energyChart(rows: DecodeRow[]): string {
  const source = rows.find(({ power }) => power !== null)?.power?.source ?? '';
  const text = ({ power }: DecodeRow) =>
    `${figure(power?.tokensPerJoule ?? null)} · ${figure(power?.meanWatts ?? null)} W`;
  const shown = { title: 'Energy', unit: `tokens a joule (${source})`, tone: 3, text };
  return byBatch(rows, ({ power }) => power?.tokensPerJoule ?? null, { ...shown, format: plain });
}

interface Shown {
  title: string;
  unit: string;
  tone: number;
  upTo?: number;
  text(row: DecodeRow): string;
  format(value: number): string;
}

/** Bars for one context; lines, one a context, for several. */
function byBatch(rows: DecodeRow[], measureOf: (row: DecodeRow) => number | null, shown: Shown): string {
  const { title, unit, tone, upTo, text, format } = shown;
  const contexts = unique(rows.map(({ promptTokens }) => promptTokens ?? 0));
  const known = rows.flatMap((row) => {
    const value = measureOf(row);
    return value === null ? [] : [{ row, value }];
  });
  const summary = known.map(({ row }) => `batch ${row.batch}, context ${row.promptTokens}: ${text(row)}`).join('; ');
  const end = upTo === undefined ? {} : { upTo };
  if (contexts.length === 1) {
    const bars = known.map(({ row, value }): Bar => ({ name: `batch ${row.batch}`, value, text: text(row), tone }));
    return barChart({ title, summary, unit, bars, ...end });
  }
  const series = contexts.map((context, i): Series => {
    const points = known.filter(({ row }) => (row.promptTokens ?? 0) === context);
    return {
      name: `context ${plain(context)}`,
      tone: tones(i),
      hasMarks: true,
      points: points.map(({ row, value }) => ({ x: row.batch, y: value })),
    };
  });
  const x = axis('parallel streams', 'log', { ticks: unique(rows.map(({ batch }) => batch)) });
  return lineChart({ title, summary, x, y: axis(unit, 'linear', { format, ...end }), series });
}
