import type { Runtime } from '../addon/runtime.js';

const INTERVAL_MS = 100;

export interface FailureWatch {
  /** The reason once the runtime has failed; null once `stop` was called before that. */
  happened: Promise<Error | null>;
  stop(): void;
}

/** Notices a runtime that failed, also when no request is there to be told. */
export function watchFailure(runtime: Pick<Runtime, 'failure'>): FailureWatch {
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
