import { beforeAll, describe, expect, it } from 'vitest';
import { superviseServer } from '../../../src/engine/supervise.js';
import { setLogLevel } from '../../../src/log.js';

beforeAll(() => setLogLevel('error'));

/** A server and a runtime that note what is asked of them. */
function parts() {
  const acts: string[] = [];
  const runtime = {
    failure: null as Error | null,
    stop: async () => {
      acts.push('runtime stopped');
    },
  };
  const server = {
    drain: async (timeoutMs: number) => {
      acts.push(`drained within ${timeoutMs}`);
      return 0;
    },
  };
  return { acts, runtime, server };
}

describe('superviseServer', () => {
  it('drains, then stops the runtime, once', async () => {
    const { acts, runtime, server } = parts();
    const { done, stop } = superviseServer(server, runtime, 1000);
    await Promise.all([stop(), stop(), done]);
    expect(acts).toEqual(['drained within 1000', 'runtime stopped']);
  });

  it('leaves the runtime to what is done before it stops', async () => {
    const { acts, runtime, server } = parts();
    const { stop } = superviseServer(server, runtime, 1000, async () => {
      acts.push('saved');
    });
    await stop();
    expect(acts).toEqual(['drained within 1000', 'saved', 'runtime stopped']);
  });

  it('ends by itself when the runtime has failed, and says why', async () => {
    const { acts, runtime, server } = parts();
    const { done } = superviseServer(server, runtime, 1000, async () => {
      acts.push('saved');
    });
    runtime.failure = new Error('out of luck');
    await expect(done).rejects.toMatchObject({
      code: 'E_RUNTIME_FAILED',
      message: 'the runtime failed: out of luck',
    });
    expect(acts).toEqual(['drained within 1000', 'runtime stopped']);
  });

  it('a failure to drain reaches whoever waits', async () => {
    const { runtime } = parts();
    const server = { drain: () => Promise.reject(new Error('no drain')) };
    const { done, stop } = superviseServer(server, runtime, 1000);
    await expect(stop()).rejects.toThrow('no drain');
    await expect(done).rejects.toThrow('no drain');
  });
});
