/** What SIGTERM, SIGINT and SIGHUP do to a server in the foreground. */
import type { Running } from '../engine/engine.js';
import { log } from '../log.js';

/** Shell convention: 128 + the signal's number. */
const SIGNAL_EXIT = { SIGTERM: 143, SIGINT: 130, SIGHUP: 129 } as const;
type EndSignal = keyof typeof SIGNAL_EXIT;
const END_SIGNALS = Object.keys(SIGNAL_EXIT) as EndSignal[];

/** What was started; the signal's exit code when one came before that and all is ended. */
export async function untilStarted<T>(start: (signal: AbortSignal) => Promise<T>): Promise<T | number> {
  const abort = new AbortController();
  let caught: EndSignal | null = null;
  const onSignal = (signal: EndSignal) => {
    caught ??= signal;
    abort.abort();
  };
  for (const name of END_SIGNALS) process.on(name, onSignal);
  try {
    return await start(abort.signal);
  } catch (error) {
    if (caught === null) throw error;
    log.info(`${caught}: the start was given up`);
    return SIGNAL_EXIT[caught];
  } finally {
    for (const name of END_SIGNALS) process.off(name, onSignal);
  }
}

/** The exit code: 0 once drained, the signal's when a second one came. Rejects when the server fails. */
export function untilStopped(running: Pick<Running, 'done' | 'stop'>): Promise<number> {
  return new Promise((resolve, reject) => {
    let isDraining = false;
    const onSignal = (signal: EndSignal) => {
      if (isDraining) return resolve(SIGNAL_EXIT[signal]);
      isDraining = true;
      log.info(`${signal}: no more requests are taken, running ones may finish; a second signal ends at once`);
      running.stop().catch(reject);
    };
    for (const name of END_SIGNALS) process.on(name, onSignal);
    running.done.then(() => resolve(0), reject);
  });
}
