import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { PHASES, PhaseTracker, phaseOf } from '../../../../src/engine/sglang/phases.js';

const logOf = (version: string) =>
  readFileSync(fileURLToPath(new URL(`../../../fixtures/sglang/logs/${version}.log`, import.meta.url)), 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));

describe('the phases of a start', () => {
  it.each(['0.4.2', '0.5.23'])('are all found in the log of %s, in order, with what they came to', (version) => {
    const tracker = new PhaseTracker();
    const changes = logOf(version).flatMap((line) => tracker.push(line) ?? []);
    expect(changes.flatMap(({ begun }) => begun ?? [])).toEqual(PHASES);
    const outcomes = changes.flatMap(({ ended }) => ended ?? []);
    expect(outcomes).toEqual([
      'done',
      '41.55 GB left',
      '27.00 GB of KV cache',
      expect.stringMatching(/^graphs in [\d.]+ s$/),
    ]);
  });

  it('of weights and graphs have percentages', () => {
    const tracker = new PhaseTracker();
    const shares = logOf('0.4.2').flatMap((line) => {
      const fraction = tracker.push(line)?.fraction ?? null;
      return fraction === null ? [] : [`${tracker.phase} ${fraction}`];
    });
    expect(shares).toContain('loading weights 0.5');
    expect(shares).toContain('capturing graphs 0.43');
  });

  it('say where a start hangs', () => {
    const tracker = new PhaseTracker();
    expect(tracker.describe()).toBe('starting');
    tracker.push('Loading safetensors checkpoint shards:  99% Completed | 99/100 [00:27<00:00, 13.71s/it]');
    expect(tracker.describe()).toBe('loading weights (99 %)');
  });

  it('never go back: ranks write into one log', () => {
    const tracker = new PhaseTracker();
    tracker.push('[2025-01-26 21:30:54 TP0] Capture cuda graph begin. This can take up to several minutes.');
    expect(tracker.push('[2025-01-26 21:30:51 TP1] Load weight end. avail mem=41 GB')).toBeNull();
    expect(tracker.phase).toBe('capturing graphs');
  });

  it('are not read from what has nothing to do with them', () => {
    expect(phaseOf('[2025-01-26 21:30:54] INFO: 100% sure | nothing')).toBeNull();
    expect(phaseOf('| 1/2 [')).toBeNull();
  });
});
