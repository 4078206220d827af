/** A result as tables for a terminal. Pure. */
import { formatTable } from '../../table.js';
import type { DecodeRow, LoadRow, Power, PrefillRow, Result, ResultOf, ServeLevel } from '../result.js';
import { describeLoad } from '../serve.js';
import type { Summary } from '../stats.js';
import { bytes, figure, fixed, percent, whole } from './format.js';

export function formatResult(result: Result): string {
  const runtime = result.runtime === null ? '' : `, ${result.runtime}`;
  const parts = [
    ...(result.status === 'partial' ? [`PARTIAL: ${endOf(result)}; this is what was measured until then\n`] : []),
    ...result.invalid.map((reason) => `INVALID: ${reason}\n`),
    `${result.model} at ${result.url}${runtime}\n\n`,
    bodyOf(result),
    ...result.notes.map((note) => `note  ${note}\n`),
  ];
  return parts.join('');
}

/** Why a partial run has no more. */
export const endOf = ({ failure }: Result) => failure?.message ?? 'the run was ended';

function bodyOf(result: Result): string {
  switch (result.kind) {
    case 'decode':
      return formatDecode(result);
    case 'prefill':
      return prefillTable(result.prefill);
    case 'serve':
      return result.serve.map(formatLevel).join('\n');
    case 'load':
      return loadTable(result.load);
  }
}

function formatDecode(result: ResultOf<'decode'>): string {
  const { decode, prefill, readBandwidthGBs, weightBytes, reference } = result;
  const parts = [decodeTable(decode)];
  if (prefill !== null) {
    const { tokensPerSecond, promptTokens, ttftMs } = prefill;
    parts.push(`\nprefill  ${fixed(tokensPerSecond, 1)} token/s, ${promptTokens} tokens in ${fixed(ttftMs, 1)} ms\n`);
  } else parts.push('\n');
  if (readBandwidthGBs !== null) parts.push(limitLine(readBandwidthGBs, weightBytes));
  if (reference !== null) {
    const { gen_throughput, board, source } = reference;
    parts.push(`documented  ${gen_throughput} token/s on ${board} (${source})\n`);
  }
  return parts.join('');
}

function limitLine(readBandwidthGBs: number, weightBytes: number | null): string {
  const read = `read bandwidth  ${readBandwidthGBs.toFixed(1)} GB/s`;
  if (weightBytes === null) return `${read}\n`;
  const most = (readBandwidthGBs * 1e9) / weightBytes;
  return `${read}; ${bytes(weightBytes)} of weights allow ${figure(most)} token/s at batch 1\n`;
}

const powerCells = (power: Power | null) => [fixed(power?.meanWatts ?? null, 1), figure(power?.tokensPerJoule ?? null)];
const POWER_HEAD = ['WATTS', 'TOKEN/J'];

function decodeTable(rows: readonly DecodeRow[]): string {
  const hasPower = rows.some(({ power }) => power !== null);
  const hasContexts = new Set(rows.map(({ promptTokens }) => promptTokens)).size > 1;
  const head = [
    'DECODE',
    ...(hasContexts ? ['CONTEXT'] : []),
    ...['TOKEN/S', 'A STREAM', 'TTFT MS', 'BYTES/TOKEN', 'GB/S', 'OF READ BW'],
    ...(hasPower ? POWER_HEAD : []),
  ];
  const cells = rows.map((row) => [
    `batch ${row.batch}`,
    ...(hasContexts ? [whole(row.promptTokens)] : []),
    fixed(row.tokensPerSecond, 1),
    fixed(row.tokensPerSecond === null ? null : row.tokensPerSecond / row.batch, 1),
    fixed(row.ttftMs, 1),
    bytes(row.bytesPerToken),
    fixed(row.bandwidthGBs, 1),
    percent(row.share),
    ...(hasPower ? powerCells(row.power) : []),
  ]);
  return formatTable([head, ...cells], 1);
}

function prefillTable(rows: readonly PrefillRow[]): string {
  const hasPower = rows.some(({ power }) => power !== null);
  const hasPeak = rows.some(({ peakShare }) => peakShare !== null);
  const head = [
    ...['PREFILL', 'TOKENS', 'TOKEN/S', 'TTFT MS'],
    ...(hasPeak ? ['OF FP16 PEAK'] : []),
    ...(hasPower ? POWER_HEAD : []),
  ];
  const cells = rows.map((row) => [
    `batch ${row.batch}`,
    whole(row.promptTokens),
    fixed(row.tokensPerSecond, 1),
    fixed(row.ttftMs, 1),
    ...(hasPeak ? [percent(row.peakShare)] : []),
    ...(hasPower ? powerCells(row.power) : []),
  ]);
  return formatTable([head, ...cells], 1);
}

function loadTable(rows: readonly LoadRow[]): string {
  const head = ['PAGE CACHE', 'WAS IN IT', 'BYTES', 'LOADED S', 'GB/S', 'READY S', 'FIRST TOKEN S'];
  const cells = rows.map((row) => [
    row.cache,
    percent(row.cachedShare),
    bytes(row.bytes),
    fixed(row.loadS, 2),
    fixed(row.bytesPerSecond === null ? null : row.bytesPerSecond / 1e9, 2),
    fixed(row.readyS, 2),
    fixed(row.firstTokenS, 2),
  ]);
  return formatTable([head, ...cells], 1);
}

export const LATENCIES = [
  ['ttftMs', 'TTFT'],
  ['itlMs', 'ITL'],
  ['tpotMs', 'TPOT'],
  ['e2eMs', 'END TO END'],
] as const;

function formatLevel(level: ServeLevel): string {
  const faults = Object.entries(level.failures).map(([kind, count]) => `${count} x ${kind}`);
  const counts = [
    `${level.completed} done`,
    `${level.failed} failed${faults.length > 0 ? ` (${faults.join(', ')})` : ''}`,
    ...(level.cancelled > 0 ? [`${level.cancelled} cancelled`] : []),
  ];
  const ci = level.outputThroughputCi95;
  const rows = [
    ['requests', `${counts.join(', ')}; at most ${level.peakConcurrency} at once, in ${fixed(level.durationS, 1)} s`],
    ...Object.entries(level.failureExamples).map(([kind, message]) => ['', `${kind}: ${message}`]),
    ['throughput', `${figure(level.outputThroughput)} output token/s${ci === null ? '' : ` (${ciText(ci)})`}`],
    ['', `${figure(level.totalThroughput)} token/s with input, ${figure(level.requestThroughput)} requests/s`],
    ['tokens', `${whole(level.inputTokens)} in${cachedText(level)}, ${whole(level.outputTokens)} out`],
  ];
  if (level.goodput !== null) {
    const { requestsPerSecond, share } = level.goodput;
    rows.push(['goodput', `${figure(requestsPerSecond)} requests/s, ${percent(share)} of the requests`]);
  }
  if (level.power !== null) {
    const { meanWatts, tokensPerJoule, source } = level.power;
    rows.push(['power', `${fixed(meanWatts, 1)} W (${source}), ${figure(tokensPerJoule)} output tokens a joule`]);
  }
  const latencies = LATENCIES.map(([key, name]) => latencyRow(name, level[key]));
  const table = formatTable([['MILLISECONDS', 'MEAN', 'P50', 'P90', 'P99', 'MAX'], ...latencies], 1);
  return `${describeLoad(level)}\n${formatTable(rows)}\n${table}`;
}

const ciText = ([low, high]: [number, number]) => `95 %: ${figure(low)} to ${figure(high)}`;
const cachedText = ({ cachedTokens }: ServeLevel) =>
  cachedTokens === null || cachedTokens === 0 ? '' : ` (${whole(cachedTokens)} from the prefix cache)`;

function latencyRow(name: string, summary: Summary | null): string[] {
  const cells = (['mean', 'p50', 'p90', 'p99', 'max'] as const).map((key) => figure(summary?.[key] ?? null));
  return [name, ...cells];
}
