import { getEventListeners } from 'node:events';
import { beforeEach, describe, expect, it } from 'vitest';
import { GREEDY } from '../../../src/addon/binding.js';
import { NativeEngineRuntime, type SubmitRequest, type TokenEvent } from '../../../src/addon/runtime.js';
import { anySpec, FakeNative } from './fake-native.js';

const STOP = 1;
const LENGTH = 2;
const ABORT = 3;
const ERROR = 4;

const request: SubmitRequest = {
  promptIds: Int32Array.of(1, 2),
  maxNewTokens: 4,
  minNewTokens: 0,
  stopTokenIds: new Int32Array(0),
  sampling: GREEDY,
  promptLogprobs: false,
  cacheSalt: 0,
};

let native: FakeNative;
let runtime: NativeEngineRuntime;

beforeEach(async () => {
  native = new FakeNative();
  runtime = await NativeEngineRuntime.start(anySpec, undefined, native.binding);
});

const lastId = () => native.submitted.at(-1)?.id ?? -1;

async function collect(events: AsyncIterable<TokenEvent>): Promise<TokenEvent[]> {
  const all: TokenEvent[] = [];
  for await (const event of events) all.push(event);
  return all;
}

describe('events', () => {
  it('reach their request in order, whether read before or after they come', async () => {
    const a = collect(runtime.submit(request));
    const idA = lastId();
    const b = runtime.submit(request);
    const idB = lastId();
    expect(idB).not.toBe(idA);
    native.step([
      { id: idA, token: 5 },
      { id: idB, token: 6 },
    ]);
    native.step([
      { id: idB, token: 7, finish: STOP },
      { id: idA, token: 8, finish: LENGTH },
    ]);
    expect((await a).map(({ tokenId, finishReason }) => [tokenId, finishReason])).toEqual([
      [5, null],
      [8, 'length'],
    ]);
    expect((await collect(b)).map(({ tokenId, finishReason }) => [tokenId, finishReason])).toEqual([
      [6, null],
      [7, 'stop'],
    ]);
  });

  it('tell what their request found in the prefix cache', async () => {
    const a = runtime.submit(request);
    const idA = lastId();
    const b = runtime.submit(request);
    const idB = lastId();
    native.step([], null, [[idB, 32]]);
    native.step([
      { id: idA, token: 1, finish: LENGTH },
      { id: idB, token: 2, finish: LENGTH },
    ]);
    expect(await collect(a)).toMatchObject([{ tokenId: 1, cachedTokens: 0 }]);
    expect(await collect(b)).toMatchObject([{ tokenId: 2, cachedTokens: 32 }]);
  });

  it('carry the log-probabilities that belong to them', async () => {
    const a = runtime.submit(request);
    const idA = lastId();
    const b = runtime.submit(request);
    const idB = lastId();
    native.step([
      { id: idB, token: 1, isPrompt: true },
      { id: 4_000_000, token: 9, top: [[99, -9]] },
      {
        id: idA,
        token: 2,
        logprob: -0.5,
        top: [
          [2, -0.5],
          [3, -1],
        ],
        finish: STOP,
      },
      { id: idB, token: 4, logprob: -0.25, top: [[4, -0.25]], finish: STOP },
    ]);
    expect(await collect(a)).toEqual([
      {
        tokenId: 2,
        finishReason: 'stop',
        isPrompt: false,
        logprob: -0.5,
        topLogprobs: [
          { tokenId: 2, logprob: -0.5 },
          { tokenId: 3, logprob: -1 },
        ],
        cachedTokens: 0,
        checkedCount: 0,
      },
    ]);
    expect(await collect(b)).toMatchObject([
      { tokenId: 1, isPrompt: true, logprob: Number.NaN, topLogprobs: [] },
      { tokenId: 4, isPrompt: false, logprob: -0.25, topLogprobs: [{ tokenId: 4, logprob: -0.25 }] },
    ]);
  });

  it('that are queued need no turn of the event loop', async () => {
    const stream = runtime.submit(request);
    for (let token = 0; token < 50; token++) native.step([{ id: lastId(), token, finish: token === 49 ? STOP : 0 }]);
    let turns = 0;
    const timer = setImmediate(function turn() {
      turns++;
      setImmediate(turn).unref();
    });
    expect(await collect(stream)).toHaveLength(50);
    clearImmediate(timer);
    expect(turns).toBe(0);
  });

  it('come before the listeners of the step hear of it', async () => {
    const seen: string[] = [];
    const remove = runtime.onStep((stats) => seen.push(`step of ${stats.decodeSeqs}`));
    const reading = collect(runtime.submit(request)).then((events) => seen.push(`${events.length} events`));
    native.step([{ id: lastId(), token: 1, finish: STOP }]);
    await reading;
    remove();
    native.step([]);
    expect(seen).toEqual(['step of 1', '1 events']);
  });
});

describe('leaving early', () => {
  it('cancels when the loop is left, and what still comes is dropped', async () => {
    const stream = runtime.submit(request);
    const id = lastId();
    native.step([{ id, token: 1 }]);
    for await (const _ of stream) break;
    expect(native.cancelled).toEqual([id]);
    native.step([{ id, token: 2 }]);
    native.step([{ id, finish: ABORT }]);
    expect(await collect(stream)).toEqual([]);
  });

  it('cancels when the loop throws', async () => {
    const stream = runtime.submit(request);
    native.step([{ id: lastId(), token: 1 }]);
    const reading = (async () => {
      for await (const _ of stream) throw new Error('reader');
    })();
    await expect(reading).rejects.toThrow('reader');
    expect(native.cancelled).toEqual([lastId()]);
  });

  it('does not cancel what has ended', async () => {
    const stream = runtime.submit(request);
    native.step([{ id: lastId(), token: 1, finish: STOP }]);
    for await (const _ of stream) break;
    expect(native.cancelled).toEqual([]);
  });
});

describe('abort signals', () => {
  it('cancel, and the reader gets the end that the runtime reports', async () => {
    const controller = new AbortController();
    const reading = collect(runtime.submit(request, controller.signal));
    native.step([{ id: lastId(), token: 1 }]);
    controller.abort();
    expect(native.cancelled).toEqual([lastId()]);
    native.step([{ id: lastId(), finish: ABORT }]);
    expect((await reading).map(({ finishReason }) => finishReason)).toEqual([null, 'abort']);
  });

  it('aborted beforehand: nothing is submitted', async () => {
    const events = await collect(runtime.submit(request, AbortSignal.abort()));
    expect(events).toMatchObject([{ tokenId: -1, finishReason: 'abort' }]);
    expect(native.submitted).toEqual([]);
  });

  it('are let go when the request ends, is left, fails, or is refused', async () => {
    const { signal } = new AbortController();
    const count = () => getEventListeners(signal, 'abort').length;
    const ended = runtime.submit(request, signal);
    expect(count()).toBe(1);
    native.step([{ id: lastId(), token: 1, finish: STOP }]);
    expect(count()).toBe(0);
    await collect(ended);

    const left = runtime.submit(request, signal);
    native.step([{ id: lastId(), token: 1 }]);
    for await (const _ of left) break;
    expect(count()).toBe(0);

    native.refusal = Object.assign(new Error('full'), { code: 'E_QUEUE_FULL' });
    expect(() => runtime.submit(request, signal)).toThrow();
    expect(count()).toBe(0);

    native.refusal = null;
    runtime.submit(request, signal);
    native.step([{ id: lastId(), finish: ERROR }], { code: 'E_RUNTIME_FAILED', message: 'NaN' });
    expect(count()).toBe(0);
  });
});

describe('errors', () => {
  it('of the addon keep their code', () => {
    native.refusal = Object.assign(new Error('the queue is full'), { code: 'E_QUEUE_FULL' });
    expect(() => runtime.submit(request)).toThrow(
      expect.objectContaining({ name: 'JsgError', code: 'E_QUEUE_FULL', message: 'the queue is full' }),
    );
  });

  it('that end the runtime reach every reader after what was queued, and every later submission', async () => {
    const failed = expect.objectContaining({ code: 'E_RUNTIME_FAILED', message: 'the model produced NaN' });
    const waiting = runtime.submit(request);
    const idWaiting = lastId();
    const queued = runtime.submit(request);
    const idQueued = lastId();
    const reading = collect(waiting);
    expect(runtime.failure).toBeNull();
    native.step([{ id: idQueued, token: 1 }]);
    native.step(
      [
        { id: idWaiting, finish: ERROR },
        { id: idQueued, finish: ERROR },
      ],
      {
        code: 'E_RUNTIME_FAILED',
        message: 'the model produced NaN',
      },
    );
    await expect(reading).rejects.toEqual(failed);
    const got: number[] = [];
    await expect(async () => {
      for await (const { tokenId } of queued) got.push(tokenId);
    }).rejects.toEqual(failed);
    expect(got).toEqual([1]);
    expect(runtime.failure).toEqual(failed);
    expect(() => runtime.submit(request)).toThrow(failed);
  });

  it('of loading keep their code', async () => {
    const binding = {
      ...native.binding,
      createRuntime: () => Promise.reject(Object.assign(new Error('tensor x is missing'), { code: 'E_MODEL_INVALID' })),
    };
    await expect(NativeEngineRuntime.start(anySpec, undefined, binding)).rejects.toMatchObject({
      name: 'JsgError',
      code: 'E_MODEL_INVALID',
    });
  });
});

describe('stop', () => {
  it('ends readers with abort, happens once, and closes the door', async () => {
    const reading = collect(runtime.submit(request));
    await Promise.all([runtime.stop(), runtime.stop()]);
    expect(native.numStops).toBe(1);
    expect(await reading).toMatchObject([{ finishReason: 'abort' }]);
    expect(() => runtime.submit(request)).toThrow(expect.objectContaining({ code: 'E_UNAVAILABLE' }));
  });
});
