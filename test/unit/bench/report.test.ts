import { expect, it } from 'vitest';
import { formatReport, type Report } from '../../../src/bench/report.js';

const report: Report = {
  model: 'smollm2',
  url: 'http://127.0.0.1:1',
  runtime: 'avx2, 2 threads',
  readBandwidthGBs: 49,
  weightBytes: 98e6,
  reference: { board: 'AGX Orin', gen_throughput: 11.19, source: 'a log' },
  decode: [{ batch: 8, tokensPerSecond: 800, ttftMs: 12.34, bytesPerToken: 13e6, bandwidthGBs: 10.4, share: 0.2122 }],
  prefill: { promptTokens: 512, tokensPerSecond: 1000, ttftMs: 512 },
  notes: ['a doubt'],
};

it('shows rates, bytes and the share of the limit', () => {
  const text = formatReport(report);
  expect(text).toContain('smollm2 at http://127.0.0.1:1, avx2, 2 threads');
  expect(text).toMatch(/batch 8\s+800\.0\s+100\.0\s+12\.3\s+13\.0 MB\s+10\.4\s+21 %/);
  expect(text).toContain('prefill  1000.0 token/s, 512 tokens in 512.0 ms');
  expect(text).toContain('read bandwidth  49.0 GB/s; 98.0 MB of weights allow 500 token/s at batch 1');
  expect(text).toContain('documented  11.19 token/s on AGX Orin (a log)');
  expect(text).toContain('note  a doubt');
});

it('shows a dash for what could not be measured', () => {
  const [row] = report.decode;
  if (row === undefined) throw new Error('no row');
  const unknown = { ...row, tokensPerSecond: Number.NaN, bytesPerToken: null, bandwidthGBs: null, share: null };
  const text = formatReport({
    ...report,
    decode: [unknown],
    readBandwidthGBs: null,
    weightBytes: null,
    prefill: null,
    reference: null,
    notes: [],
  });
  expect(text).toMatch(/batch 8\s+-\s+-\s+12\.3\s+-\s+-\s+-\n/);
  expect(text).not.toContain('read bandwidth');
});
