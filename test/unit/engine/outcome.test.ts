import { describe, expect, it } from 'vitest';
import { explain } from '../../../src/doctor/failures.js';
import { Backoff } from '../../../src/engine/backoff.js';
import { outcomeOf } from '../../../src/engine/outcome.js';

const log = { path: '/logs/sglang.log', lastLines: ['last words'] };
const ended = { exitCode: 1, signal: null, hungForMs: null };

describe('why a server is gone', () => {
  it.each([
    [
      'RuntimeError: CUDA error: no kernel image is available for execution on the device',
      'E_DEVICE_UNSUITABLE',
      false,
    ],
    [
      "[Errno 98] error while attempting to bind on address ('127.0.0.1', 30000): address already in use",
      'E_PORT_IN_USE',
      true,
    ],
    ['launch_server.py: error: unrecognized arguments: --foo', 'E_USAGE', false],
    ['torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.', 'E_OUT_OF_MEMORY', true],
    [
      "OSError: org/nope is not a local folder and is not a valid model identifier listed on 'https://huggingface.co/models'",
      'E_MODEL_NOT_FOUND',
      false,
    ],
  ])('%s', (line, code, mayRecover) => {
    const outcome = outcomeOf(ended, 'SGLang', 'loading weights', explain([line]), log);
    expect(outcome.error).toMatchObject({
      code,
      message: expect.stringContaining('SGLang ended while loading weights (exit code 1): '),
    });
    expect(outcome.error.message).toContain('why: ');
    expect(outcome.error.hint).toContain('/logs/sglang.log');
    expect(outcome.mayRecover).toBe(mayRecover);
  });

  it('a SIGKILL that nobody explains is memory, said as a guess', () => {
    const { error } = outcomeOf({ ...ended, exitCode: null, signal: 'SIGKILL' }, 'SGLang', 'serving', [], log);
    expect(error).toMatchObject({ code: 'E_OUT_OF_MEMORY', hint: expect.stringContaining('most likely') });
  });

  it('a silence is told with its length and its place', () => {
    const { error } = outcomeOf({ ...ended, hungForMs: 61_000 }, 'SGLang', 'loading weights (99 %)', [], log);
    expect(error.code).toBe('E_ENGINE_FAILED');
    expect(error.message).toContain('showed no progress for 61 s while loading weights (99 %)');
  });

  it('what nobody knows is shown as it was', () => {
    const { error, mayRecover } = outcomeOf(ended, 'SGLang', 'serving', [], log);
    expect(error.message).toContain('| last words');
    expect(mayRecover).toBe(true);
  });
});

describe('back-off', () => {
  it('doubles, and gives up after five failures in a row', () => {
    const backoff = new Backoff();
    expect([1, 2, 3, 4, 5, 6].map(() => backoff.next(0))).toEqual([1000, 2000, 4000, 8000, 16000, null]);
  });

  it('forgets failures after ten minutes of service', () => {
    const backoff = new Backoff();
    for (let i = 0; i < 5; i++) backoff.next(0);
    expect(backoff.next(600_000)).toBe(1000);
  });
});
