/** The life of a server that is up: it ends in order when told to, and by itself when the runtime has failed. */
import type { Runtime } from '../addon/runtime.js';
import { JsgError } from '../errors.js';
import { log } from '../log.js';
import type { RunningServer } from '../server/listen.js';
import type { Running } from './engine.js';

/**
 * `done` resolves when `stop` is through. After a failure clients get their error, and `done` rejects. `beforeStop` has the
 * runtime to itself when no request is left; it is not called after a failure, and must not throw.
 */
export function superviseServer(
  server: Pick<RunningServer, 'drain'>,
  runtime: Pick<Runtime, 'failure' | 'stop'>,
  drainTimeoutMs: number,
  beforeStop: () => Promise<void> = async () => {},
): Pick<Running, 'done' | 'stop'> {
  const failure = watchFailure(runtime);
  let ended: Promise<void> | null = null;
  const stop = () => {
    ended ??= end(server, runtime, drainTimeoutMs, beforeStop);
    failure.stop();
    return ended;
  };
  const done = failure.happened.then(async (error) => {
    if (error !== null) log.error(`the runtime failed: ${error.message}`);
    await stop();
    if (error !== null)
      throw new JsgError('E_RUNTIME_FAILED', `the runtime failed: ${error.message}`, { cause: error });
  });
  return { done, stop };
}

async function end(
  server: Pick<RunningServer, 'drain'>,
  runtime: Pick<Runtime, 'failure' | 'stop'>,
  drainTimeoutMs: number,
  beforeStop: () => Promise<void>,
): Promise<void> {
  const numCut = await server.drain(drainTimeoutMs);
  if (numCut > 0) log.warning(`${numCut} requests did not end within ${drainTimeoutMs / 1000} s and were cut off`);
  if (!runtime.failure) await beforeStop();
  await runtime.stop();
}

/** How soon a failure is noticed, also when no request is there to be told. */
const INTERVAL_MS = 100;

interface FailureWatch {
  /** The reason once the runtime has failed; null once `stop` was called before that. */
  happened: Promise<Error | null>;
  stop(): void;
}

function watchFailure(runtime: Pick<Runtime, 'failure'>): FailureWatch {
  let stop = () => {};
  const happened = new Promise<Error | null>((resolve) => {
    const timer = setInterval(() => runtime.failure && settle(runtime.failure), INTERVAL_MS);
    const settle = (outcome: Error | null) => {
      clearInterval(timer);
      resolve(outcome);
    };
    stop = () => settle(null);
  });
  return { happened, stop: () => stop() };
}
