/** The figures of each kind of result. Pure. */
import type { LoadRow, PrefillRow, Result } from '../result.js';
import { axis, tones, unique } from './axes.js';
import { barChart } from './bar-chart.js';
import { decodeCharts } from './decode-charts.js';
import type { Documented } from './documented-chart.js';
import { duration, figure, plainDuration } from './format.js';
import { lineChart, type Point, type Series } from './line-chart.js';
import { serveCharts } from './serve-charts.js';

export function chartsOf(result: Result, documented: readonly Documented[]): string[] {
  switch (result.kind) {
    case 'decode':
      return decodeCharts(result, documented);
    case 'prefill':
      return prefillCharts(result.prefill);
    case 'serve':
      return serveCharts(result, documented);
    case 'load':
      return [loadChart(result.load)];
  }
}

function prefillCharts(rows: PrefillRow[]): string[] {
  const batches = unique(rows.map(({ batch }) => batch));
  const lengths = unique(rows.map(({ promptTokens }) => promptTokens));
  const series = (value: (row: PrefillRow) => number, range: (row: PrefillRow) => Point['range']) =>
    batches.map((batch, i): Series => {
      const points = rows
        .filter((row) => row.batch === batch)
        .map((row) => ({
          x: row.promptTokens,
          y: value(row),
          range: range(row) ?? null,
          ...(batches.length === 1 ? { label: figure(value(row)) } : {}),
        }));
      return { name: batch === 1 ? '1 prompt' : `${batch} prompts`, tone: tones(i), hasMarks: true, points };
    });
  const x = axis('tokens of the prompt', 'log', { ticks: lengths });
  const told = rows.map((row) => `${row.batch} x ${row.promptTokens}: ${figure(row.tokensPerSecond)} tokens a second`);
  return [
    lineChart({
      title: 'Prefill',
      summary: told.join('; '),
      x,
      y: axis('prompt tokens a second', 'linear'),
      series: series(
        ({ tokensPerSecond }) => tokensPerSecond,
        ({ spread }) => spread,
      ),
    }),
    lineChart({
      title: 'Time to the first token',
      summary: rows.map((row) => `${row.batch} x ${row.promptTokens}: ${duration(row.ttftMs)}`).join('; '),
      x,
      y: axis('time, median', 'log', { format: plainDuration }),
      series: series(
        ({ ttftMs }) => ttftMs,
        () => null,
      ),
    }),
  ];
}

function loadChart(rows: LoadRow[]): string {
  const bars = rows.map((row) => ({
    name: `${row.cache} page cache`,
    value: row.firstTokenS,
    text: `${figure(row.firstTokenS)} s`,
    tone: row.cache === 'cold' ? 1 : 2,
    ...(row.loadS === null ? {} : { part: { value: row.loadS, text: `weights: ${figure(row.loadS)} s` } }),
  }));
  return barChart({
    title: 'From the start of the process to the first token',
    summary: bars.map(({ name, text }) => `${name}: ${text}`).join('; '),
    unit: 'seconds; in full colour: loading the weights',
    bars,
    width: 1080,
  });
}
