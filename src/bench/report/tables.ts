/** Every number of a result as HTML tables: what the figures show, for those who read it otherwise. Pure. */
import type { Power, Result, ServeLevel } from '../result.js';
import { describeLoad } from '../serve.js';
import type { Summary } from '../stats.js';
import { bytes, figure, fixed, percent, whole } from './format.js';
import { escapeText, tag } from './markup.js';
import { LATENCIES } from './text.js';

type Rows = string[][];

export function tablesOf(result: Result): string {
  switch (result.kind) {
    case 'decode': {
      const prefill = result.prefill === null ? '' : table(prefillRows([result.prefill]));
      return table(decodeRows(result)) + prefill;
    }
    case 'prefill':
      return table(prefillRows(result.prefill));
    case 'serve':
      return table(loadRows(result.serve)) + result.serve.map(latencyTable).join('');
    case 'load':
      return table(startRows(result));
  }
}

/** The first row is the head. A column without a single value is left out. */
function table(all: Rows, caption?: string): string {
  const isTold = (_: string, column: number) => all.slice(1).some((row) => row[column] !== '-');
  const [head = [], ...rows] = all.map((row) => row.filter(isTold));
  const cells = (name: string, row: string[]) => row.map((cell) => tag(name, {}, escapeText(cell))).join('');
  const body = rows.map((row) => tag('tr', {}, cells('td', row))).join('');
  const title = caption === undefined ? '' : tag('h3', {}, escapeText(caption));
  return (
    title +
    tag(
      'div',
      { class: 'scroll' },
      tag('table', {}, tag('thead', {}, tag('tr', {}, cells('th', head))), tag('tbody', {}, body)),
    )
  );
}

const POWER_HEAD = ['W', 'token/J'];
const powerCells = (power: Power | null) => [fixed(power?.meanWatts ?? null, 1), figure(power?.tokensPerJoule ?? null)];
const rangeOf = (range: [number, number] | null) =>
  range === null ? '-' : `${figure(range[0])} – ${figure(range[1])}`;

function decodeRows({ decode }: Extract<Result, { kind: 'decode' }>): Rows {
  const head = [
    'streams',
    'context',
    'token/s',
    'repeats',
    'a stream',
    'TTFT ms',
    'bytes a token',
    'GB/s',
    'of the read bandwidth',
  ];
  return [
    [...head, ...POWER_HEAD],
    ...decode.map((row) => [
      String(row.batch),
      whole(row.promptTokens),
      fixed(row.tokensPerSecond, 1),
      rangeOf(row.spread),
      fixed(row.tokensPerSecond === null ? null : row.tokensPerSecond / row.batch, 1),
      fixed(row.ttftMs, 1),
      bytes(row.bytesPerToken),
      fixed(row.bandwidthGBs, 1),
      percent(row.share),
      ...powerCells(row.power),
    ]),
  ];
}

function prefillRows(rows: Extract<Result, { kind: 'prefill' }>['prefill']): Rows {
  return [
    ['prompts', 'tokens of each', 'token/s', 'repeats', 'TTFT ms', 'of fp16 peak', ...POWER_HEAD],
    ...rows.map((row) => [
      String(row.batch),
      whole(row.promptTokens),
      fixed(row.tokensPerSecond, 1),
      rangeOf(row.spread),
      fixed(row.ttftMs, 1),
      percent(row.peakShare),
      ...powerCells(row.power),
    ]),
  ];
}

function loadRows(levels: ServeLevel[]): Rows {
  const head = ['load', 'done', 'failed', 'output token/s', '95 %', 'token/s', 'requests/s', 'in', 'out', 'goodput'];
  return [
    [...head, ...POWER_HEAD],
    ...levels.map((level) => [
      describeLoad(level),
      whole(level.completed),
      whole(level.failed),
      figure(level.outputThroughput),
      rangeOf(level.outputThroughputCi95),
      figure(level.totalThroughput),
      figure(level.requestThroughput),
      whole(level.inputTokens),
      whole(level.outputTokens),
      level.goodput === null ? '-' : `${figure(level.goodput.requestsPerSecond)}/s, ${percent(level.goodput.share)}`,
      ...powerCells(level.power),
    ]),
  ];
}

function latencyTable(level: ServeLevel): string {
  const cells = (summary: Summary | null) => {
    const keys = ['mean', 'p50', 'p90', 'p99', 'max'] as const;
    return [...keys.map((key) => figure(summary?.[key] ?? null)), rangeOf(summary?.ci95.p99 ?? null)];
  };
  if (LATENCIES.every(([key]) => level[key] === null)) return '';
  const rows = LATENCIES.map(([key, name]) => [name, ...cells(level[key])]);
  return table([['milliseconds', 'mean', 'p50', 'p90', 'p99', 'max', 'p99, 95 %'], ...rows], describeLoad(level));
}

function startRows({ load }: Extract<Result, { kind: 'load' }>): Rows {
  return [
    ['page cache', 'was in it', 'bytes', 'weights s', 'GB/s', 'ready s', 'first token s'],
    ...load.map((row) => [
      row.cache,
      percent(row.cachedShare),
      bytes(row.bytes),
      fixed(row.loadS, 2),
      fixed(row.bytesPerSecond === null ? null : row.bytesPerSecond / 1e9, 2),
      fixed(row.readyS, 2),
      fixed(row.firstTokenS, 2),
    ]),
  ];
}
