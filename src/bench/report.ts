/** The figures as a table. */
import { formatTable } from '../table.js';
import type { Figures } from './measure.js';

export interface Report extends Figures {
  model: string;
  url: string;
  runtime: string | null;
  /** GB/s that the device reads, measured in the same process; null: not measured. */
  readBandwidthGBs: number | null;
  weightBytes: number | null;
  /** The documented figure of the profile, where it has one. */
  reference: { board: string; gen_throughput: number; source: string } | null;
}

const fixed = (value: number | null, digits: number) =>
  value === null || Number.isNaN(value) ? '-' : value.toFixed(digits);
const megabytes = (bytes: number | null) => (bytes === null ? '-' : `${(bytes / 1e6).toFixed(1)} MB`);
const percent = (share: number | null) => (share === null ? '-' : `${(share * 100).toFixed(0)} %`);

export function formatReport(report: Report): string {
  const head = ['DECODE', 'TOKEN/S', 'A STREAM', 'TTFT MS', 'BYTES/TOKEN', 'GB/S', 'OF READ BW'];
  const rows = report.decode.map((row) => [
    `batch ${row.batch}`,
    fixed(row.tokensPerSecond, 1),
    fixed(row.tokensPerSecond / row.batch, 1),
    fixed(row.ttftMs, 1),
    megabytes(row.bytesPerToken),
    fixed(row.bandwidthGBs, 1),
    percent(row.share),
  ]);
  const runtime = report.runtime === null ? '' : `, ${report.runtime}`;
  const parts = [`${report.model} at ${report.url}${runtime}\n\n`, formatTable([head, ...rows], 1)];
  if (report.prefill !== null) {
    const { promptTokens, tokensPerSecond, ttftMs } = report.prefill;
    parts.push(`\nprefill  ${fixed(tokensPerSecond, 1)} token/s, ${promptTokens} tokens in ${fixed(ttftMs, 1)} ms\n`);
  }
  parts.push(limitLine(report));
  if (report.reference !== null) {
    const { board, gen_throughput, source } = report.reference;
    parts.push(`documented  ${gen_throughput} token/s on ${board} (${source})\n`);
  }
  for (const note of report.notes) parts.push(`note  ${note}\n`);
  return parts.join('');
}

function limitLine({ readBandwidthGBs, weightBytes }: Report): string {
  if (readBandwidthGBs === null) return '\n';
  const read = `read bandwidth  ${readBandwidthGBs.toFixed(1)} GB/s`;
  if (weightBytes === null) return `${read}\n`;
  const most = (readBandwidthGBs * 1e9) / weightBytes;
  return `${read}; ${megabytes(weightBytes)} of weights allow ${most.toFixed(0)} token/s at batch 1\n`;
}
