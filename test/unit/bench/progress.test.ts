import { describe, expect, it } from 'vitest';
import { benchProgress } from '../../../src/commands/bench-progress.js';

function progress(columns: number) {
  let nowMs = 0;
  let written = '';
  const stream = {
    isTTY: columns > 0,
    columns,
    write: (text: string) => {
      written += text;
      return true;
    },
  } as unknown as NodeJS.WriteStream;
  const shown = benchProgress(stream, () => nowMs);
  return {
    shown,
    at: (ms: number) => {
      nowMs = ms;
    },
    written: () => written,
  };
}

describe('progress of a bench', () => {
  it('plain lines where there is no terminal: one for each thing, and one now and then', () => {
    const { shown, at, written } = progress(0);
    shown.update('batch 1', 0);
    at(1000);
    shown.update('batch 1', 0.1, '3 answered');
    at(2000);
    shown.update('batch 2', 0.25);
    at(8000);
    shown.update('batch 2', 0.5);
    shown.tell('wrote x');
    shown.end();
    expect(written().split('\n')).toEqual([
      'measuring batch 1, 0 %',
      'measuring batch 2, 25 %, about 6 s left',
      'measuring batch 2, 50 %, about 8 s left',
      'wrote x',
      '',
    ]);
  });

  it('one line on a terminal, no longer than it, taken away at the end', () => {
    const { shown, at, written } = progress(30);
    shown.update('batch 1', 0.5, 'a great many requests answered');
    at(100);
    shown.update('batch 1', 0.6);
    at(400);
    shown.update('batch 1', 0.7);
    shown.end();
    const lines = written().split('\r\x1b[K');
    expect(lines).toEqual(['', 'measuring batch 1, a great ma', 'measuring batch 1, 70 %', '']);
  });
});
