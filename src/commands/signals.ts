/** What SIGTERM, SIGINT and SIGHUP do to work and to a server in the foreground. */
import { setMaxListeners } from 'node:events';
import type { Running } from '../engine/engine.js';
import { log } from '../log.js';

/** Shell convention: 128 + the signal's number. */
const SIGNAL_EXIT = { SIGTERM: 143, SIGINT: 130, SIGHUP: 129 } as const;
type EndSignal = keyof typeof SIGNAL_EXIT;
const END_SIGNALS = Object.keys(SIGNAL_EXIT) as EndSignal[];

/** Work that such a signal aborts, so that it ends in order. */
export async function abortedBySignals<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const abort = new AbortController();
  const forget = onSignals(() => abort.abort());
  try {
    return await work(abort.signal);
  } finally {
    forget();
  }
}

/**
 * Work that such a signal asks to end in order, with what it has; a second one ends the process at once. `exitCode`: of the
 * signal; null: none came.
 */
export async function askedToEnd<T>(
  work: (signal: AbortSignal) => Promise<T>,
): Promise<{ value: T; exitCode: number | null }> {
  const abort = new AbortController();
  // Every request of a bench listens to it.
  setMaxListeners(0, abort.signal);
  let exitCode: number | null = null;
  const forget = onSignals((signal) => {
    exitCode = SIGNAL_EXIT[signal];
    forget();
    abort.abort();
  });
  try {
    const value = await work(abort.signal);
    return { value, exitCode };
  } finally {
    forget();
  }
}

/** What was started; the signal's exit code when one came before that and all is ended. */
export async function untilStarted<T>(start: (signal: AbortSignal) => Promise<T>): Promise<T | number> {
  const abort = new AbortController();
  let caught: EndSignal | null = null;
  const onSignal = (signal: EndSignal) => {
    caught ??= signal;
    abort.abort();
  };
  const forget = onSignals(onSignal);
  try {
    return await start(abort.signal);
  } catch (error) {
    if (caught === null) throw error;
    log.info(`${caught}: the start was given up`);
    return SIGNAL_EXIT[caught];
  } finally {
    forget();
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
    onSignals(onSignal);
    running.done.then(() => resolve(0), reject);
  });
}

/** Until what it returns is called. */
function onSignals(listener: (signal: EndSignal) => void): () => void {
  for (const name of END_SIGNALS) process.on(name, listener);
  return () => {
    for (const name of END_SIGNALS) process.off(name, listener);
  };
}
