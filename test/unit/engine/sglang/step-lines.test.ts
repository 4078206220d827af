import { describe, expect, it } from 'vitest';
import { parseStepLine } from '../../../../src/engine/sglang/step-lines.js';

describe('step lines', () => {
  it.each([
    [
      '[2025-01-26 21:32:18 TP0] Decode batch. #running-req: 1, #token: 1351, token usage: 0.01, gen throughput (token/s): 11.19, #queue-req: 0',
      { rank: 'TP0', numRunning: 1, usedTokens: 1351, tokenUsage: 0.01, genThroughput: 11.19, numQueued: 0 },
    ],
    [
      // The guide's own lines end in the middle of a field.
      '[2025-01-27 00:06:47 TP0] Decode batch. #running-req: 1, #token: 115, token usage: 0.00, gen throughput (token/s): 30.84, #queue-req: ',
      { rank: 'TP0', usedTokens: 115, genThroughput: 30.84, numQueued: null },
    ],
    [
      '[2026-09-01 10:00:00] Decode batch, #running-req: 1, #token: 1351, token usage: 0.19, cuda graph: True, gen throughput (token/s): 11.87, #queue-req: 0',
      { rank: '', usedTokens: 1351, tokenUsage: 0.19, genThroughput: 11.87 },
    ],
    [
      '[2026-09-01 10:00:00 DP1 TP0 EP0] Decode batch [41], #running-req: 3, #full token: 900, full token usage: 0.30, #swa token: 80, swa token usage: 0.10, accept len: 2.10, accept rate: 0.70, cuda graph: True, gen throughput (token/s): 95.20, #queue-req: 2, est. decode TFLOPS/s (per GPU): 1.20',
      { rank: 'DP1 TP0 EP0', numRunning: 3, usedTokens: 900, tokenUsage: 0.3, genThroughput: 95.2, numQueued: 2 },
    ],
    [
      '(SchedulerActor pid=12, ip=10.0.0.2) [2026-09-01 10:00:00] Decode batch, #running-req: 1, #token: 10, token usage: 0.00, gen throughput (token/s): 5.00, #queue-req: 0',
      { rank: '', genThroughput: 5 },
    ],
  ])('%s', (line, fields) => {
    expect(parseStepLine(line)).toMatchObject({ kind: 'decode', ...fields });
  });

  it.each([
    '[2025-01-26 21:32:10 TP0] Prefill batch. #new-seq: 2, #new-token: 64, #cached-token: 12, cache hit rate: 15.79%, token usage: 0.02, #running-req: 3, #queue-req: 1',
    '[2026-09-01 10:00:00 TP0] Prefill batch [7], #new-seq: 2, #new-token: 64, #cached-token: 12, token usage: 0.02, #running-req: 3, #queue-req: 1, #pending-token: 0, cuda graph: False, input throughput (token/s): 812.50',
  ])('%s', (line) => {
    expect(parseStepLine(line)).toEqual({
      kind: 'prefill',
      rank: 'TP0',
      numNewSeqs: 2,
      numNewTokens: 64,
      numCachedTokens: 12,
      tokenUsage: 0.02,
      numRunning: 3,
      numQueued: 1,
    });
  });

  it.each([
    '',
    'Decode batch. #running-req: 1',
    '[2025-01-26 21:32:18 TP0] Decode batch. #running-req: x, gen throughput (token/s): 1',
    '[2025-01-26 21:32:18 TP0] Decode batch. ',
    '[2025-01-26 21:32:18 TP0] Prefill batch. #new-seq: 1',
    `[2025-01-26 21:32:18 TP0] user said: [2025-01-26 21:32:18] Decode batch. #running-req: 1, gen throughput (token/s): 9`,
    `[2025-01-26 21:32:18 ${' TP0'.repeat(2000)}`,
  ])('is none: %s', (line) => {
    expect(parseStepLine(line)).toBeNull();
  });
});
