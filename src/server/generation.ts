/**
 * A request's sequences: submitted together, read side by side, ended together. Every route goes through here, streamed
 * or not, so that what a stream adds up to is what an unstreamed answer says.
 */
import type { Context } from 'hono';
import type { TokenEvent } from '../addon/runtime.js';
import { JsgError } from '../errors.js';
import { callerOf } from './auth.js';
import type { ServerContext } from './context.js';
import { RequestError } from './error-response.js';
import { TIME_OVER } from './lifecycle.js';
import { type GenerationSink, type SequencePlan, SequenceReader } from './sequence-reader.js';

export interface Generation {
  /** Feeds the sink until all sequences have ended; the first failure ends them all and is thrown. */
  run(sink: GenerationSink): Promise<void>;
  abort(reason: unknown): void;
}

/**
 * Refuses what would be refused later anyway, before anything is read of the request: under overload that is what keeps
 * refusals quick and the machine free for those who are served. Throws E_UNAVAILABLE, E_QUEUE_FULL.
 */
export function admit(server: ServerContext): void {
  server.lifecycle.admit();
  const { options, runtime } = server;
  const { numRunning, numQueued, queuedTokens } = runtime.stats();
  if (numRunning + numQueued >= options.maxRunningRequests + options.maxQueuedRequests) {
    throw new JsgError('E_QUEUE_FULL', `${numRunning} requests run and ${numQueued} wait: the queue is full`);
  }
  if (queuedTokens > 0 && queuedTokens >= (options.maxQueuedTokens ?? Number.POSITIVE_INFINITY)) {
    throw new JsgError('E_QUEUE_FULL', `${queuedTokens} prompt tokens wait: the queue is full`);
  }
}

/**
 * Submits all sequences at once. Throws what the runtime says to any of them (E_QUEUE_FULL, E_INVALID_REQUEST), and
 * then none of them runs. They are freed when the client of `c` is gone, and by an `/abort_request` of the same caller with
 * any of the ids. A request whose time is over ends with what it has and the finish reason `abort`, or with E_TIMEOUT where it
 * has no token yet.
 */
export function startGeneration(
  server: ServerContext,
  requestIds: string | readonly string[],
  plans: readonly SequencePlan[],
  c: Context,
): Generation {
  const { signal } = c.req.raw;
  server.lifecycle.admit();
  checkCount(server, plans.length);
  const ids = typeof requestIds === 'string' ? [requestIds] : requestIds;
  const controller = server.lifecycle.begin(ids, callerOf(c));
  const onGone = () => controller.abort(signal.reason);
  if (signal.aborted) onGone();
  else signal.addEventListener('abort', onGone, { once: true });
  const readers: SequenceReader[] = [];
  const deadline = startDeadline(plans, readers, controller);
  const close = () => {
    clearTimeout(deadline);
    signal.removeEventListener('abort', onGone);
    server.lifecycle.end(controller);
  };

  let sequences: AsyncIterable<TokenEvent>[];
  try {
    sequences = plans.map(({ submit }) =>
      submit.maxNewTokens > 0 || submit.promptLogprobs ? server.runtime.submit(submit, controller.signal) : nothing(),
    );
  } catch (error) {
    controller.abort(error);
    close();
    throw error;
  }

  return {
    abort: (reason) => controller.abort(reason),
    async run(sink) {
      try {
        readers.push(...plans.map((plan, index) => new SequenceReader(server, plan, index, sink)));
        const reading = sequences.map((events, index) =>
          (readers[index] as SequenceReader).read(events, controller.signal).catch((error: unknown) => {
            // One failed: its siblings are of no use to anyone.
            controller.abort(error);
            throw error;
          }),
        );
        await settleAll(reading);
      } finally {
        close();
      }
    },
  };
}

/** Ends the request when its time is over. */
function startDeadline(
  plans: readonly SequencePlan[],
  readers: readonly SequenceReader[],
  controller: AbortController,
): NodeJS.Timeout | undefined {
  const seconds = plans.find((plan) => plan.timeoutSeconds !== null)?.timeoutSeconds ?? null;
  if (seconds === null) return undefined;
  return setTimeout(() => {
    const hasBegun = readers.some((reader) => reader.numTokens > 0);
    const late = new JsgError('E_TIMEOUT', `no token came within the ${seconds} s that the request gave itself`);
    controller.abort(hasBegun ? TIME_OVER : late);
  }, seconds * 1000);
}

/** Retrying would not help a request that is larger than running and waiting places together. */
function checkCount({ options }: ServerContext, count: number): void {
  const places = options.maxRunningRequests + options.maxQueuedRequests;
  if (count <= places) return;
  throw new RequestError(`the request needs ${count} sequences at once; this server holds at most ${places}`);
}

/** A sequence that is to generate nothing and score nothing: the runtime has no part in it. */
async function* nothing(): AsyncGenerator<TokenEvent> {
  yield { tokenId: -1, finishReason: 'length', isPrompt: false, logprob: Number.NaN, topLogprobs: [] };
}

/** Like Promise.all, but waits for every one to end before it throws the first failure. */
async function settleAll(promises: Promise<void>[]): Promise<void> {
  let failed = false;
  let failure: unknown;
  await Promise.all(
    promises.map((promise) =>
      promise.catch((error: unknown) => {
        if (!failed) failure = error;
        failed = true;
      }),
    ),
  );
  if (failed) throw failure;
}
