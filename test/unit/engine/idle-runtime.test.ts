import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { GREEDY, type StepStats } from '../../../src/addon/binding.js';
import type { TokenEvent } from '../../../src/addon/runtime.js';
import { type IdleOptions, IdleRuntime } from '../../../src/engine/idle-runtime.js';
import { setLogLevel } from '../../../src/log.js';
import { EOS } from '../server/fake-model.js';
import { FakeRuntime, type FakeRuntimeOptions, IDLE_STEP } from '../server/fake-runtime.js';

const IDLE_MS = 30;
const REQUEST = {
  promptIds: Int32Array.of(1),
  maxNewTokens: 4,
  minNewTokens: 0,
  stopTokenIds: Int32Array.of(EOS),
  sampling: GREEDY,
  promptLogprobs: false,
  cacheSalt: 0,
};

beforeAll(() => setLogLevel('error'));
afterEach(() => void vi.restoreAllMocks());

class Stopping extends FakeRuntime {
  numStops = 0;
  override async stop(): Promise<void> {
    this.numStops++;
  }
}

/** `reload`: what happens when the model is loaded again. */
function rig({
  script,
  reload,
  maxWaiting = 8,
  beforeUnload,
  forgetSaved,
}: {
  reload?: () => Promise<void>;
  beforeUnload?: IdleOptions['beforeUnload'];
  forgetSaved?: IdleOptions['forgetSaved'];
  maxWaiting?: number;
} & FakeRuntimeOptions = {}) {
  const runtimes = [new Stopping({ ...(script && { script }) })];
  const idle = new IdleRuntime(runtimes[0] as Stopping, {
    unloadAfterMs: IDLE_MS,
    maxWaiting,
    ...(beforeUnload && { beforeUnload }),
    ...(forgetSaved && { forgetSaved }),
    reload: async () => {
      await reload?.();
      runtimes.push(new Stopping({ ...(script && { script }) }));
      return runtimes.at(-1) as Stopping;
    },
  });
  const unloaded = () => vi.waitFor(() => expect(idle.residency).toBe('unloaded'), { interval: 5, timeout: 5000 });
  return { idle, runtimes, unloaded };
}

async function collect(events: AsyncIterable<TokenEvent>): Promise<TokenEvent[]> {
  const all: TokenEvent[] = [];
  for await (const event of events) all.push(event);
  return all;
}

const answer = (idle: IdleRuntime, signal?: AbortSignal) => collect(idle.submit(REQUEST, signal));

describe('a runtime that unloads when idle', () => {
  it('is loaded again by the next requests, once for all of them', async () => {
    const { idle, runtimes, unloaded } = rig();
    const before = await answer(idle);
    expect(idle.residency).toBe('loaded');
    await unloaded();
    expect(runtimes[0]?.numStops).toBe(1);
    expect(idle.stats()).toMatchObject({ numRunning: 0, usedTokens: 0, totalTokens: 0 });
    expect(idle.info.totalTokens).toBe(4096);
    expect(idle.flushCache()).toBe(true);

    const waiting = [answer(idle), answer(idle), answer(idle)];
    expect(idle.residency).toBe('loading');
    expect(idle.stats().numQueued).toBe(3);
    expect(idle.numLive).toBe(3);
    for (const events of await Promise.all(waiting)) expect(events).toEqual(before);
    expect(runtimes).toHaveLength(2);
    expect(runtimes[1]?.submitted).toHaveLength(3);
    await unloaded();
    expect(runtimes[1]?.numStops).toBe(1);
  });

  it('leaves the model to what is done before it is unloaded', async () => {
    const acts: string[] = [];
    const { idle, runtimes, unloaded } = rig({
      beforeUnload: async (runtime) => {
        acts.push(`saved, stopped ${(runtime as Stopping).numStops} times`);
      },
    });
    await answer(idle);
    await unloaded();
    await answer(idle);
    expect(acts).toEqual(['saved, stopped 0 times']);
    expect(runtimes[0]?.numStops).toBe(1);
    await idle.saveCache({ path: '', header: new Uint8Array() });
    await unloaded();
    await expect(idle.saveCache({ path: '', header: new Uint8Array() })).rejects.toMatchObject({
      code: 'E_UNAVAILABLE',
    });
  });

  it('forgets what it saved when its cache is flushed while it is unloaded, before it is loaded again', async () => {
    const did: string[] = [];
    const { idle, unloaded } = rig({
      beforeUnload: async () => {
        did.push('save');
      },
      forgetSaved: async () => {
        did.push('forget');
      },
      reload: async () => {
        did.push('load');
      },
    });
    await answer(idle);
    expect(idle.flushCache()).toBe(true);
    await unloaded();
    expect(idle.flushCache()).toBe(true);
    const waiting = answer(idle);
    expect(idle.flushCache()).toBe(false);
    await waiting;
    expect(did).toEqual(['save', 'forget', 'load']);
    await idle.stop();
  });

  it('stays loaded while a request is alive, however long its step takes', async () => {
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const { idle, runtimes, unloaded } = rig();
    const stuck = runtimes[0] as Stopping;
    stuck.numLive = 1;
    void held.then(() => {
      stuck.numLive = 0;
    });
    await new Promise((resolve) => setTimeout(resolve, 5 * IDLE_MS));
    expect(idle.residency).toBe('loaded');
    release();
    await unloaded();
  });

  it('tells steps of every runtime to those who listen', async () => {
    const { idle, runtimes, unloaded } = rig();
    const seen: StepStats[] = [];
    const stop = idle.onStep((stats) => seen.push(stats));
    runtimes[0]?.emitStep({ decodeSeqs: 1 });
    await unloaded();
    await answer(idle);
    runtimes[1]?.emitStep({ decodeSeqs: 2 });
    stop();
    runtimes[1]?.emitStep({ decodeSeqs: 3 });
    expect(seen).toEqual([
      { ...IDLE_STEP, decodeSeqs: 1 },
      { ...IDLE_STEP, decodeSeqs: 2 },
    ]);
  });

  it('says why it cannot be loaded, to all that wait, and tries again for the next', async () => {
    let fault: Error | null = new Error('no memory for the weights');
    const { idle, runtimes, unloaded } = rig({
      reload: async () => {
        if (fault) throw fault;
      },
    });
    await unloaded();
    for (const outcome of await Promise.allSettled([answer(idle), answer(idle)])) {
      expect(outcome).toMatchObject({
        status: 'rejected',
        reason: {
          code: 'E_UNAVAILABLE',
          message: 'the model could not be loaded again: no memory for the weights',
        },
      });
    }
    expect(idle.residency).toBe('unloaded');
    expect(idle.failure).toBeNull();
    expect(idle.numLive).toBe(0);
    fault = null;
    expect((await answer(idle)).at(-1)?.finishReason).toBe('length');
    expect(runtimes).toHaveLength(2);
  });

  it('lets go of a request that is given up while it waits', async () => {
    let loaded = () => {};
    const { idle, runtimes, unloaded } = rig({
      reload: () =>
        new Promise((resolve) => {
          loaded = resolve;
        }),
    });
    await unloaded();
    const controller = new AbortController();
    const waiting = answer(idle, controller.signal);
    controller.abort();
    expect((await waiting).map(({ finishReason }) => finishReason)).toEqual(['abort']);
    loaded();
    await vi.waitFor(() => expect(runtimes).toHaveLength(2));
    expect(runtimes[1]?.submitted).toHaveLength(0);
  });

  it('lets only so many wait', async () => {
    const { idle, unloaded } = rig({ maxWaiting: 2 });
    await unloaded();
    const waiting = [answer(idle), answer(idle)];
    expect(() => idle.submit(REQUEST)).toThrow('2 requests wait for the model to be loaded again');
    await Promise.all(waiting);
    expect(await answer(idle)).not.toHaveLength(0);
  });

  it('can be stopped while it is unloaded, and while it is being loaded', async () => {
    const first = rig();
    await first.unloaded();
    await first.idle.stop();
    expect(first.runtimes).toHaveLength(1);
    expect(() => first.idle.submit(REQUEST)).toThrow('stopping');

    const second = rig();
    await second.unloaded();
    const waiting = answer(second.idle);
    const stopped = second.idle.stop();
    await expect(waiting).rejects.toThrow('the server is shutting down');
    await stopped;
    expect(second.runtimes[1]?.numStops).toBe(1);
  });

  it('stops what is loaded, and does not unload it as well', async () => {
    const { idle, runtimes } = rig();
    await Promise.all([idle.stop(), idle.stop()]);
    await new Promise((resolve) => setTimeout(resolve, 3 * IDLE_MS));
    expect(runtimes[0]?.numStops).toBe(1);
  });
});
