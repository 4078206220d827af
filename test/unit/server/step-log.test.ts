import { describe, expect, it } from 'vitest';
import type { StepStats } from '../../../src/addon/binding.js';
import type { Acceptance } from '../../../src/server/draft-counts.js';
import { StepLog } from '../../../src/server/step-log.js';
import { IDLE_STEP } from './fake-runtime.js';

const FORM_A =
  /Decode batch\. #running-req: (\d+), #token: (\d+), token usage: ([\d.]+), gen throughput \(token\/s\): ([\d.]+), #queue-req: (\d+)/;
const FORM_B =
  /^Decode batch, #running-req: (\d+), #token: (\d+), token usage: ([\d.]+), cuda graph: (True|False), gen throughput \(token\/s\): ([\d.]+), #queue-req: (\d+)$/;

function recorder(interval = 40, speculates = false) {
  const lines: string[] = [];
  const throughputs: number[] = [];
  const acceptances: Acceptance[] = [];
  let now = 0;
  const stepLog = new StepLog(
    { interval, speculates },
    ({ tokensPerSecond, acceptance }) => {
      throughputs.push(tokensPerSecond);
      if (acceptance) acceptances.push(acceptance);
    },
    (line) => lines.push(line),
    () => now,
  );
  const step = (stats: Partial<StepStats>, ms = 10) => {
    now += ms;
    stepLog.step({ ...IDLE_STEP, elapsedUs: ms * 1000, ...stats });
  };
  const decode = () => lines.filter((line) => line.startsWith('Decode')).map((line) => FORM_B.exec(line) ?? [line]);
  return { lines, throughputs, acceptances, step, decode, wait: (ms: number) => (now += ms) };
}

describe('StepLog', () => {
  it('writes a prefill line word for word', () => {
    const { lines, step } = recorder();
    step({ prefillSeqs: 1, prefillTokens: 64, numRunning: 1, usedTokens: 64, numQueued: 2 });
    expect(lines).toEqual([
      'Prefill batch, #new-seq: 1, #new-token: 64, #cached-token: 0, token usage: 0.02, #running-req: 0, #queue-req: 2',
    ]);
  });

  it('tells of a prompt that takes many steps once a second, and of all its tokens', () => {
    const { lines, step } = recorder(1000);
    for (let i = 0; i < 240; i++) {
      step({ prefillSeqs: 1, prefillTokens: 3, cachedTokens: i === 0 ? 16 : 0, decodeSeqs: 4, numRunning: 5 });
    }
    const tokens = lines.map((line) => Number(/#new-token: (\d+)/.exec(line)?.[1]));
    expect(tokens).toEqual([3, 300, 300]);
    step({ decodeSeqs: 5, numRunning: 5 });
    expect(lines[3]).toMatch(/^Prefill batch, #new-seq: 1, #new-token: 117, #cached-token: 0, .*#running-req: 4,/);
    // A step without prompts lies between these two.
    step({ prefillSeqs: 1, prefillTokens: 9, cachedTokens: 16, decodeSeqs: 5, numRunning: 6 });
    step({ decodeSeqs: 6, numRunning: 6 });
    step({ prefillSeqs: 2, prefillTokens: 7, decodeSeqs: 6, numRunning: 8 });
    step({ numRunning: 0 });
    expect(lines.slice(4, 6).map((line) => line.slice(0, 49))).toEqual([
      'Prefill batch, #new-seq: 1, #new-token: 9, #cache',
      'Prefill batch, #new-seq: 2, #new-token: 7, #cache',
    ]);
  });

  it('tells at once of a prompt that is all there was', () => {
    const { lines, step } = recorder();
    for (const prefillTokens of [5, 6]) step({ prefillSeqs: 1, prefillTokens, numRunning: 0 });
    expect(lines.filter((line) => line.startsWith('Prefill'))).toHaveLength(2);
  });

  it('tells of drafts where there may be some, between usage and graph', () => {
    const { step, lines, throughputs, acceptances } = recorder(4, true);
    step({ prefillSeqs: 1, prefillTokens: 8, numRunning: 1, usedTokens: 8 });
    for (let i = 1; i <= 4; i++)
      step({ decodeSeqs: 1, draftTokens: 5, acceptedTokens: 3, numRunning: 1, usedTokens: 8 + i });
    for (let i = 1; i <= 4; i++) step({ decodeSeqs: 1, numRunning: 1, usedTokens: 12 + i });
    expect(lines[1]).toMatch(
      /token usage: 0\.00, accept len: 4\.00, accept rate: 0\.60, cuda graph: False, gen throughput \(token\/s\): 400\.00/,
    );
    expect(lines[2]).toContain('accept len: 1.00, accept rate: 0.00, cuda graph');
    expect(throughputs).toEqual([400, 100]);
    expect(acceptances).toEqual([
      { acceptLength: 4, acceptRate: 0.6 },
      { acceptLength: 1, acceptRate: 0 },
    ]);
  });

  it('writes a decode line every 40 steps, and at the end of the stream', () => {
    const { step, decode } = recorder();
    step({ prefillSeqs: 1, prefillTokens: 8, numRunning: 1, usedTokens: 8 }, 500);
    for (let i = 1; i <= 99; i++) step({ decodeSeqs: 1, numRunning: 1, usedTokens: 8 + i });
    step({ decodeSeqs: 1, numRunning: 0, usedTokens: 0 });
    const lines = decode();
    expect(lines.map(([, running, tokens]) => [running, tokens])).toEqual([
      ['1', '48'],
      ['1', '88'],
      ['1', '107'],
    ]);
    // 10 ms a token; neither the prefill before nor anything else is in it.
    expect(lines.map((line) => line[5])).toEqual(['100.00', '100.00', '100.00']);
    expect(lines[0]?.[4]).toBe('False');
  });

  it('tells whether the last decode step was a replayed graph', () => {
    const { step, decode } = recorder(2);
    for (const cudaGraph of [0, 1, 1, 0]) step({ decodeSeqs: 1, numRunning: 1, cudaGraph });
    expect(decode().map((line) => line[4])).toEqual(['True', 'False']);
  });

  it('can be read by a parser of the older form, but for the words between', () => {
    const { lines, step } = recorder(1);
    step({ decodeSeqs: 2, numRunning: 2, usedTokens: 2048, numQueued: 3 });
    expect(lines[0]).toBe(
      'Decode batch, #running-req: 2, #token: 2048, token usage: 0.50, cuda graph: False, gen throughput (token/s): 200.00, #queue-req: 3',
    );
    expect(FORM_A.test((lines[0] as string).replace('batch,', 'batch.').replace(' cuda graph: False,', ''))).toBe(true);
  });

  it('counts all tokens of a batch, and the time of prefills in between', () => {
    const { step, decode } = recorder(4);
    for (let i = 0; i < 2; i++) step({ decodeSeqs: 8, numRunning: 8 });
    step({ prefillSeqs: 1, prefillTokens: 100, numRunning: 9 }, 60);
    for (let i = 0; i < 2; i++) step({ decodeSeqs: 9, numRunning: 9 });
    expect(decode()[0]?.[5]).toBe((34 / 0.1).toFixed(2));
  });

  it('does not count time in which nothing ran', () => {
    const { step, decode, wait, throughputs } = recorder(4);
    for (let i = 0; i < 3; i++) step({ decodeSeqs: 1, numRunning: i < 2 ? 1 : 0 });
    wait(60_000);
    for (let i = 0; i < 4; i++) step({ decodeSeqs: 1, numRunning: i < 3 ? 1 : 0 });
    expect(decode().map((line) => line[5])).toEqual(['100.00', '100.00']);
    expect(throughputs).toEqual([100, 0, 100, 0]);
  });

  it('does not take steps for fast that it heard of late', () => {
    const { step, decode, wait } = recorder(4);
    // The event loop was busy: four steps of 10 ms each are heard of within 4 ms.
    wait(36);
    for (let i = 0; i < 4; i++) step({ decodeSeqs: 1, numRunning: 1, elapsedUs: 10_000 }, 1);
    for (let i = 0; i < 4; i++) step({ decodeSeqs: 1, numRunning: 1, elapsedUs: 10_000 }, 1);
    expect(decode().map((line) => Number(line[5]))).toEqual([100, 100]);
  });

  it('writes a line when one stream of several ends, but not for each of a crowd', () => {
    const { step, decode } = recorder(1000);
    for (let i = 0; i < 20; i++) step({ decodeSeqs: 9, numRunning: 9 });
    for (let left = 8; left >= 1; left--) step({ decodeSeqs: left + 1, numRunning: left });
    expect(decode()).toHaveLength(1);
    step({ decodeSeqs: 1, numRunning: 0 });
    expect(decode()).toHaveLength(2);
  });

  it('writes nothing for a stream of one token', () => {
    const { step, decode } = recorder();
    step({ prefillSeqs: 1, prefillTokens: 3, numRunning: 0 });
    expect(decode()).toEqual([]);
  });
});
